"""The whole core in a simulated world, seed after seed.

make sim                                     500 seeds, on two cores
python -m tests.sim.engine --seed 17         one seed again, as it was, with its trace
python -m tests.sim.engine --shrink 17       the least that still breaks the promise that it breaks
"""

import pytest

from tests.sim.engine.__main__ import figures
from tests.sim.engine.profiles import plan_of
from tests.sim.engine.run import Run
from tests.sim.engine.runner import run_many
from tests.sim.engine.trace import told
from tests.sim.engine.virtual_time import BEGIN

SHARES = 6
SEEDS = 10
"""That count, in each share."""


@pytest.mark.parametrize("share", range(SHARES))
def test_nothing_is_lost_reordered_or_held_up(share: int, capsys: pytest.CaptureFixture[str]) -> None:
    first = share * 25
    summary = run_many(SEEDS, first=first)
    with capsys.disabled():
        print(
            f"\nfrom {first} on {summary.counted} seeds of {summary.ran}: {figures(summary.totals)}", end=""
        )
    failures = [
        f"python -m tests.sim.engine --seed {outcome.seed}: {outcome.failure}" for outcome in summary.failures
    ]
    assert not failures, "\n".join(failures)
    assert summary.counted == SEEDS
    assert summary.ran <= SEEDS + 3, "nearly every seed is to count"
    totals = summary.totals
    assert totals.changes >= 500 * SEEDS
    assert totals.redelivered >= SEEDS
    assert all((totals.crashes, totals.splits, totals.stops, totals.letters)), figures(totals)


def trace_of(seed: int) -> list[str]:
    run = Run(plan_of(seed))
    run.checks.trace = []
    run.drive()
    return list(told(run.checks.trace))


def test_one_seed_is_one_run() -> None:
    assert trace_of(3) == trace_of(3)


def test_what_one_concern_draws_changes_nothing_for_another() -> None:
    """Without one sink the writes, the other sinks' plans and the crashes are what they were."""
    plan, other = plan_of(5), plan_of(6)
    assert plan.writes != other.writes
    assert plan == plan_of(5)
    assert {sink.name for sink in plan.sinks} >= {"sink0", "sink1"}
    assert all(begin >= BEGIN for sink in plan.sinks for begin, _ in sink.temper.outages)
