"""Scenario 1: the last page of a shard carries records and no next iterator; or an empty page follows that has none."""

from cdc.testing.sim.behaviour import Behaviour
from tests.conformance.oracle import verify
from tests.conformance.scenario import Trial, conformance

_ENDS = {"with records": 1.0, "empty page": 0.0}


@conformance(1, "live, with records", "live, empty page", "backlog, with records", "backlog, empty page")
def test_the_end_of_a_shard_is_delivered(trial: Trial, case: str) -> None:
    begins, _, ends = case.partition(", ")
    world = trial.world(behaviour=Behaviour(ends_with_records=_ENDS[ends]))
    subject = trial.subject(world)
    if begins == "live":
        subject.start()
        world.advance(10.0)
    for _ in range(3):
        world.write(5)
        world.roll()
        world.advance(30.0)
    world.write(5)
    if begins == "backlog":
        subject.start()
    world.advance(180.0)
    verify(subject, once=world.destinations)
