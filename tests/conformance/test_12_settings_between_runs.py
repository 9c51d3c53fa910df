"""Scenario 12: a setting of the snapshot is another one in the next run, and the rest of the table is skipped.

This version takes no snapshots: there are no segments whose number could change. What is missing: the saved plan, by which a
snapshot goes on with the segments that it began with. What is here is the same promise about the settings that there are: a
pipeline with saved positions keeps what it began with. `start` counts only where nothing is saved; other settings that
changed (the registry behind the schemas' ids, a sink of another type under the same name) are refused or said, which
`tests/unit/config` and `tests/e2e/test_schema_registry.py` show.
"""

from cdc.testing.sim.behaviour import Behaviour
from tests.conformance.oracle import Oracle, changes
from tests.conformance.scenario import Trial, conformance
from tests.conformance.subject import Options, Start
from tests.conformance.world import MINUTE

_STARTS: dict[str, tuple[Start, Start]] = {
    "trim-horizon, then latest": ("trim-horizon", "latest"),
    "latest, then trim-horizon": ("latest", "trim-horizon"),
}


@conformance(12, *_STARTS)
def test_a_pipeline_goes_on_as_it_began(trial: Trial, case: str) -> None:
    first, then = _STARTS[case]
    world = trial.world(seed=12, behaviour=Behaviour(ends_with_records=0.0))
    world.write(8)
    world.advance(10 * MINUTE)
    before = changes(world.log())
    subject = trial.subject(world, Options(start=first))
    subject.start()
    world.advance(30.0)
    world.write(8)
    world.advance(30.0)
    for _ in range(2):
        subject.terminate()
        world.write(8)
        world.split(world.leaves()[0])
        world.write(8)
        world.advance(5 * MINUTE)
        subject.start(start=then)
        world.advance(2 * MINUTE)
    oracle = Oracle(subject)
    passed_over = before if first == "latest" else set()
    oracle.complete(but_for=dict.fromkeys(world.destinations, passed_over))
    oracle.in_order()
    oracle.once(world.destinations)
    oracle.none_of(passed_over)
    oracle.told(())
    oracle.done()
