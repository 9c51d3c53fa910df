"""Scenario 3: a closed shard with three records, watched for thirty minutes."""

from cdc.testing.sim.behaviour import Behaviour
from tests.conformance.oracle import verify
from tests.conformance.scenario import Trial, conformance
from tests.conformance.subject import Options
from tests.conformance.world import MINUTE


@conformance(3, "watched", "terminated and started", "killed and started")
def test_a_closed_shard_is_read_once(trial: Trial, case: str) -> None:
    world = trial.world(behaviour=Behaviour(ends_with_records=0.0))
    subject = trial.subject(world, Options(idle_poll_seconds=5.0))
    subject.start()
    world.advance(5.0)
    world.write(3)
    world.advance(15.0)
    world.roll()
    for _ in range(2):
        world.advance(15 * MINUTE)
        if case == "terminated and started":
            subject.terminate()
            subject.start()
        elif case == "killed and started":
            # A quarter of an hour after the last change: its position is saved, also at a sink that keeps none.
            subject.kill()
            subject.start()
    world.advance(MINUTE)
    verify(subject, once=world.destinations)
