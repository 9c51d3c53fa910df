"""Scenario 5: SIGTERM with batches in flight."""

from cdc.testing.sim.behaviour import Behaviour
from tests.conformance.oracle import Kind, Oracle
from tests.conformance.scenario import Trial, conformance
from tests.conformance.world import Destination


@conformance(5, "in flight", "again and again", "at a shard's end", "one sink down")
def test_an_orderly_end_is_followed_by_no_redelivery(trial: Trial, case: str) -> None:
    destinations = [
        Destination("bus", commit_seconds=2.0),
        Destination("lake", exactly_once=True, commit_seconds=40.0),
    ]
    world = trial.world(behaviour=Behaviour(ends_with_records=0.0), destinations=destinations)
    world.split(world.leaves()[0])
    subject = trial.subject(world)
    ends = []
    for _ in range(5 if case in ("again and again", "at a shard's end") else 1):
        subject.start()
        world.advance(130.0)
        world.write(10)
        if case == "at a shard's end":
            world.roll()
            world.write(5)
        if case == "one sink down":
            world.advance(6.0)
            world.write(10)
            world.advance(0.5)
            world.outage("bus", 120.0)
        world.advance(1.5)
        subject.terminate()
        ends.append(subject.exit_code())
    world.write(5)
    world.advance(120.0)
    subject.start()
    world.advance(900.0 if case == "at a shard's end" else 450.0)
    oracle = Oracle(subject)
    oracle.complete()
    oracle.in_order()
    oracle.once(world.destinations)
    oracle.told(())
    for end in ends:
        if end != 0:
            oracle.wrong(Kind.STOPPED, f"ended with {end}")
    oracle.done()
