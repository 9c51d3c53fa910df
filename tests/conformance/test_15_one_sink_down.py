"""Scenario 15: one sink is down for an hour while the others go on; then it catches up, and they see nothing twice."""

from cdc.testing.sim.behaviour import Behaviour
from tests.conformance.front import Readers
from tests.conformance.oracle import Kind, Oracle
from tests.conformance.scenario import Trial, conformance
from tests.conformance.subject import Options
from tests.conformance.world import HOUR, MINUTE, Destination

_SOON_SECONDS = 60.0
"""A change is at a sink that is up: polls, commits, faults and late listings included."""
_READERS = 2
"""Developer Guide, "Change data capture for DynamoDB Streams": no more than two processes may read one shard at a time."""


@conformance(15, "ten minutes", "one shard", "through splits", "two sinks, one after the other")
def test_the_others_go_on_and_see_nothing_twice(trial: Trial, case: str) -> None:
    places = [Destination("bus"), Destination("lake", exactly_once=True), Destination("dr")]
    world = trial.world(seed=15, behaviour=Behaviour(ends_with_records=0.0), destinations=places)
    readers = Readers(world.sim)
    subject = trial.subject(world, Options(idle_poll_seconds=2.0))
    subject.start()
    world.advance(20.0)
    world.write(8)
    world.advance(20.0)
    world.outage("dr", 10 * MINUTE if case == "ten minutes" else HOUR)
    down = {"dr"}
    for turn in range(12):
        world.write(10, keys=8, seconds=MINUTE)
        if case == "through splits" and turn in (3, 6):
            world.split(world.leaves()[0])
        elif case == "through splits" and turn == 9:
            world.roll()
        elif case == "two sinks, one after the other" and turn == 6:
            world.outage("bus", HOUR)
            down.add("bus")
        world.advance(4 * MINUTE)
    world.advance(35 * MINUTE)
    oracle = Oracle(subject)
    oracle.complete()
    oracle.in_order()
    oracle.once(world.destinations)
    oracle.told(())
    written = {(one.stream, one.shard, one.sequence): one.at for one in oracle.log}
    for place in places:
        for one in place.arrived if place.name not in down else ():
            late = one.at - written[one.stream, one.shard, one.sequence]
            if late > _SOON_SECONDS:
                oracle.wrong(Kind.HELD_UP, f"{place.name} {one.sequence}: {late:.0f} s")
    if readers.most() > _READERS:
        oracle.wrong(Kind.TOO_MANY_READERS, f"{readers.most()}")
    oracle.done()
