"""Scenario 9: a parent disappears while its child is pending."""

from dataclasses import replace

from cdc.testing.sim.behaviour import Behaviour
from tests.conformance.oracle import Kind, Oracle, changes, verify
from tests.conformance.scenario import Trial, conformance
from tests.conformance.subject import Options
from tests.conformance.world import DAY, HOUR, MINUTE, World

_BEHAVIOUR = Behaviour(gone_early=1.0, rollover_seconds=0.0, ends_with_records=0.0)
_SLOWLY = Options(idle_poll_seconds=120.0)


def _assert_gone(world: World, shard: str) -> None:
    if shard in [one["ShardId"] for one in world.shards()]:
        raise AssertionError("the parent is still listed: the scenario proves nothing")


@conformance(9, "read before")
def test_a_child_does_not_wait_for_a_parent_that_was_read(trial: Trial, case: str) -> None:
    """The parent was read to its end, the process is away when its child has its first change."""
    world = trial.world(seed=9, behaviour=_BEHAVIOUR)
    (parent,) = world.leaves()
    subject = trial.subject(world, _SLOWLY)
    subject.start()
    world.write(5)
    world.advance(20 * HOUR)
    world.roll()
    world.advance(3 * MINUTE)
    subject.terminate()
    world.write(5)
    world.advance(5 * HOUR)
    _assert_gone(world, parent)
    subject.start()
    world.advance(10 * MINUTE)
    verify(subject, once=world.destinations)


@conformance(9, "never known")
def test_a_fresh_start_does_not_wait_for_a_parent_that_is_not_there(trial: Trial, case: str) -> None:
    world = trial.world(seed=9, behaviour=_BEHAVIOUR)
    (parent,) = world.leaves()
    world.write(5)
    world.advance(20 * HOUR)
    world.roll()
    world.write(5)
    world.advance(5 * HOUR)
    _assert_gone(world, parent)
    expired = changes(one for one in world.log() if one.trimmed)
    subject = trial.subject(world)
    subject.start()
    world.advance(10 * MINUTE)
    oracle = Oracle(subject)
    oracle.complete(but_for=dict.fromkeys(world.destinations, expired))
    oracle.in_order()
    oracle.once(world.destinations)
    oracle.told(())
    oracle.done()


@conformance(9, "unread, one sink down", "unread, process down")
def test_a_parent_that_went_unread_is_told_before_its_child_is_given(trial: Trial, case: str) -> None:
    world = trial.world(seed=9, behaviour=_BEHAVIOUR)
    (parent,) = world.leaves()
    subject = trial.subject(world, _SLOWLY)
    subject.start()
    world.advance(MINUTE)
    world.write(5)
    world.advance(MINUTE)
    if case == "unread, process down":
        subject.kill()
        missing = list(world.destinations)
    else:
        world.outage("bus", 26 * HOUR)
        missing = ["bus"]
    world.write(5)
    world.advance(20 * HOUR)
    world.roll()
    world.write(5)
    world.advance(DAY - 20 * HOUR + 2 * HOUR)
    _assert_gone(world, parent)
    if case == "unread, process down":
        subject.start()
    world.advance(20 * MINUTE)
    oracle = Oracle(subject)
    oracle.complete(but_for=dict.fromkeys(missing, changes(oracle.log)))
    oracle.in_order()
    oracle.told(missing)
    if not subject.running():
        oracle.wrong(Kind.STOPPED, "a gap ended the process")
    oracle.done()


@conformance(9, "never seen, process down")
def test_a_parent_that_nobody_ever_saw_is_told(trial: Trial, case: str) -> None:
    """Killed when the grandparent was finished and the parent not listed yet: its changes come and go, and what is left is
    a child that names it."""
    behaviour = replace(_BEHAVIOUR, listing_late_seconds=3600.0)
    world = trial.world(seed=9, behaviour=behaviour)
    (grandparent,) = world.leaves()
    subject = trial.subject(world, _SLOWLY)
    subject.start()
    world.advance(MINUTE)
    world.write(5)
    world.roll()
    (parent,) = world.leaves()
    world.advance(5 * MINUTE)
    if parent in [shard["ShardId"] for shard in world.shards()]:
        raise AssertionError("the parent is listed too early: the scenario proves nothing")
    subject.kill()
    world.write(5)
    world.advance(20 * HOUR)
    world.roll()
    world.write(5)
    world.advance(6 * HOUR)
    _assert_gone(world, grandparent)
    _assert_gone(world, parent)
    subject.start()
    world.advance(20 * MINUTE)
    oracle = Oracle(subject)
    oracle.complete(but_for=dict.fromkeys(world.destinations, changes(oracle.log)))
    oracle.in_order()
    oracle.once()
    oracle.told(world.destinations)
    oracle.done()
