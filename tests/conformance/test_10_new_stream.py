"""Scenario 10: the stream is disabled and enabled again, which gives it a new ARN; the table is deleted and created again."""

from cdc.testing.sim.behaviour import Behaviour
from tests.conformance.oracle import Oracle
from tests.conformance.scenario import Trial, conformance
from tests.conformance.world import MINUTE, World


def _enable_again(world: World) -> None:
    world.enable_stream(False)
    world.write(2)  # in no stream
    world.advance(2 * MINUTE)
    world.enable_stream(True)
    world.advance(MINUTE)


def _create_again(world: World) -> None:
    world.sim.call("DeleteTable", {"TableName": World.TABLE})
    world.advance(2 * MINUTE)
    world.create_table()
    world.advance(MINUTE)


@conformance(
    10, "enabled again", "enabled again, process down", "created again", "created again, process down"
)
def test_a_new_stream_is_told_and_followed(trial: Trial, case: str) -> None:
    what, _, down = case.partition(", ")
    world = trial.world(seed=10, behaviour=Behaviour(ends_with_records=0.0))
    old = world.stream()
    subject = trial.subject(world)
    subject.start()
    world.advance(10.0)
    world.write(8)
    world.advance(10.0)
    if down:
        subject.terminate()
    (_enable_again if what == "enabled again" else _create_again)(world)
    new = world.stream()
    assert new != old
    world.write(8)
    if down:
        subject.start()
    world.advance(5 * MINUTE)
    oracle = Oracle(subject)
    oracle.in_order()
    oracle.once(world.destinations)
    oracle.told_at_all(world.destinations, stream=new)
    # What waits for a decision may wait; where nothing is told nobody knows of one.
    oracle.complete(but_for={sink: oracle.of_stream(new) for sink in oracle.told_of(new)})
    subject.terminate()
    for sink in world.destinations:
        subject.decide(sink)
    subject.start()
    world.advance(5 * MINUTE)
    oracle.look_again()
    oracle.complete()
    oracle.in_order()
    oracle.done()
