"""Scenario 10: the stream is disabled and enabled again, which gives it a new ARN; the table is deleted and created again."""

from cdc.core.gap_kinds import GapKind
from cdc.testing.sim.behaviour import Behaviour
from tests.conformance.oracle import Oracle, changes
from tests.conformance.scenario import Trial, conformance
from tests.conformance.subject import Options
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
    10,
    "enabled again",
    "enabled again, process down",
    "enabled again, one sink behind",
    "enabled again, skip",
    "created again",
    "created again, process down",
    "created again, skip",
)
def test_a_new_stream_is_told_and_followed(trial: Trial, case: str) -> None:
    """The old one is read to its end before. With `on_gap: skip` the new one follows at once, with `halt` once decided."""
    what, _, how = case.partition(", ")
    down = how == "process down"
    world = trial.world(seed=10, behaviour=Behaviour(ends_with_records=0.0))
    old = world.stream()
    subject = trial.subject(world, Options(on_gap="skip" if how == "skip" else "halt"))
    subject.start()
    world.advance(10.0)
    if how == "one sink behind":
        world.outage("bus", 4 * MINUTE)
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
    oracle.told_as(GapKind.NEW_STREAM if what == "enabled again" else GapKind.NEW_TABLE, stream=new)
    # What waits for a decision may wait; where nothing is told nobody knows of one.
    waiting = {one.sink for one in subject.reports() if not one.decided}
    oracle.complete(but_for={sink: oracle.of_stream(new) for sink in waiting})
    subject.terminate()
    for sink in world.destinations:
        subject.decide(sink)
    subject.start()
    world.advance(5 * MINUTE)
    oracle.look_again()
    oracle.complete()
    oracle.in_order()
    oracle.done()


@conformance(10, "enabled again, process down, rest unread")
def test_what_was_left_on_the_old_stream_is_told(trial: Trial, case: str) -> None:
    """What a process that was away has not read of a replaced stream is not read any more: a loss, and told as one."""
    world = trial.world(seed=10, behaviour=Behaviour(ends_with_records=0.0))
    old = world.stream()
    subject = trial.subject(world, Options(on_gap="skip"))
    subject.start()
    world.advance(10.0)
    world.write(8)
    world.advance(10.0)
    subject.terminate()
    world.write(4)
    unread = changes(world.log()[-4:])
    _enable_again(world)
    world.write(8)
    subject.start()
    world.advance(5 * MINUTE)
    oracle = Oracle(subject)
    oracle.told_at_all(world.destinations, stream=old)
    oracle.complete(but_for=dict.fromkeys(world.destinations, unread))
    oracle.in_order()
    oracle.once(world.destinations)
    oracle.done()
