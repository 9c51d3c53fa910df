"""The whole engine in a simulated world, seed after seed.

CDC_SIM_SEED=17 pytest tests/sim/test_engine.py          one seed again, as it was
CDC_SIM_SEEDS=2000 pytest tests/sim/test_engine.py       more of them
"""

import os

import pytest

from tests.sim.engine.run import drive
from tests.sim.engine.seeds import profile_of
from tests.sim.engine.simulation import Simulation, Totals

SEEDS = 60
_ONE = os.environ.get("CDC_SIM_SEED")
_FIRST = int(_ONE) if _ONE else 0
_COUNT = 1 if _ONE else int(os.environ.get("CDC_SIM_SEEDS", str(SEEDS)))
_SHARE = 10
"""Seeds of one test case."""


@pytest.mark.parametrize("first", range(_FIRST, _FIRST + _COUNT, _SHARE))
def test_nothing_is_lost_reordered_or_held_up(first: int, capsys: pytest.CaptureFixture[str]) -> None:
    totals = Totals()
    for seed in range(first, min(first + _SHARE, _FIRST + _COUNT)):
        simulation = Simulation(seed, profile_of(seed))
        try:
            drive(simulation)
        except Exception as error:
            error.add_note(f"at {simulation.time:.3f}; again with CDC_SIM_SEED={seed}")
            raise
        totals.add(simulation.totals)
    with capsys.disabled():
        print(f"\nseeds {first} …: {totals}", end="")
    assert totals.changes >= 200
    if not _ONE:
        assert totals.crashes
        assert totals.splits
        assert totals.commands


def test_one_seed_is_one_run() -> None:
    runs = []
    for _ in range(2):
        simulation = Simulation(3, profile_of(3))
        simulation.keep_log = True
        drive(simulation)
        runs.append([(time, repr(message)) for time, message in simulation.seen])
    first, second = ([_without_addresses(line) for line in run] for run in runs)
    assert first == second


def _without_addresses(line: tuple[float, str]) -> tuple[float, str]:
    time, text = line
    return time, text.split(" object at 0x")[0]
