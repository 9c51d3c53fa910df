"""Scenario 17: two workers on one state. One is killed, and one that was paused wakes up and writes.

The local runtime has one worker at a time: who may work is a lease in the state store. What takes two machines that work at
the same time on one pipeline (leases by shard, a lagging sink's tail at the parent's claimant) is the `kcl` runtime, which
this version does not have. Here two machines are two names of a host: only on its own can be seen that a process is dead.
"""

from pathlib import Path

import pytest

from cdc.errors import ErrorKind, StateError
from cdc.model import ShardKey, after
from cdc.ports import Owner, SavedCursor, StateChange
from cdc.testing.sim.behaviour import Behaviour
from connectors.state_sqlite import SqliteStateStore
from tests.conformance.oracle import Kind, Oracle
from tests.conformance.scenario import Trial, conformance
from tests.conformance.subject import Options, Subject
from tests.conformance.world import MINUTE, World

_LEASE_SECONDS = 15.0
_MOMENTS = (0.0, 0.3, 0.6, 0.8, 0.9, 1.0, 1.3, 1.9, 2.5)
"""Seconds from the last write until it is paused: before a page is read, with batches on their way, before they are saved."""


def _at_work(trial: Trial, *, looks_at_clock: bool = True) -> tuple[World, Subject]:
    world = trial.world(seed=17, behaviour=Behaviour(ends_with_records=0.0))
    subject = trial.subject(world, Options(looks_at_clock=looks_at_clock))
    subject.start("a")
    world.advance(30.0)
    world.write(12)
    world.advance(10.0)
    return world, subject


def _whole(subject: Subject) -> Oracle:
    oracle = Oracle(subject)
    oracle.complete()
    oracle.in_order()
    oracle.once()
    oracle.told(())
    return oracle


@conformance(17, "a second one")
def test_a_second_worker_is_refused(trial: Trial, case: str) -> None:
    world, subject = _at_work(trial)
    subject.start("b")
    world.advance(5.0)
    subject.start("c", host="another")
    world.advance(5.0)
    world.write(12)
    world.advance(2 * MINUTE)
    oracle = _whole(subject)
    oracle.once(["bus"])
    if not subject.running("a"):
        oracle.wrong(Kind.STOPPED, "the first one")
    oracle.done()


@conformance(17, "killed, same host", "killed, another host")
def test_one_is_killed_and_the_other_takes_over(trial: Trial, case: str) -> None:
    """At once where it can be seen that the first is dead, else after its lease."""
    world, subject = _at_work(trial)
    host = "host" if case == "killed, same host" else "another"
    world.write(12)
    world.advance(1.2)
    subject.kill("a")
    killed_at = world.now
    world.write(12)
    while not subject.running("b"):  # as whatever supervises it
        subject.start("b", host=host)
        world.advance(1.0)
        if world.now - killed_at > 2 * _LEASE_SECONDS:
            break
    waited = world.now - killed_at
    world.write(12)
    world.advance(2 * MINUTE)
    oracle = _whole(subject)
    if not subject.running("b") or waited > (2.0 if host == "host" else _LEASE_SECONDS + 2.0):
        oracle.wrong(Kind.STOPPED, f"not taken over after {waited:.0f} s")
    oracle.done()


@conformance(17, "zombie", "zombie in mid-step")
def test_a_paused_worker_wakes_as_a_zombie(trial: Trial, case: str) -> None:
    """It had batches on their way and positions to save. Awake it writes and saves, if only for a moment ("mid-step": it
    has no look at the clock before): the store refuses it, the sinks that promise exactly once fence it off, and it ends."""
    refusals: set[str] = set()
    for moment in _MOMENTS:
        world, subject = _at_work(trial, looks_at_clock=case == "zombie")
        world.write(12)
        world.advance(moment)
        subject.pause("a")
        world.advance(_LEASE_SECONDS + 5.0)
        subject.start("b", host="another")
        world.write(12)
        world.advance(20.0)
        subject.resume("a")
        world.write(12, seconds=20.0)
        world.advance(MINUTE)
        oracle = _whole(subject)
        if subject.running("a") or subject.exit_code("a") == 0 or not subject.running("b"):
            oracle.wrong(Kind.STOPPED, "the zombie goes on, or its successor does not")
        oracle.done()
        refusals |= subject.refusals()
    if not trial.role.rough and not {"fenced", "save refused"} <= refusals:
        raise AssertionError(f"the zombie tried nothing: the scenario proves nothing: {refusals}")


# The same on the shipped store: what the lease does there is `cdc.testing.store_contract`'s; this is the whole of it in one.


def _cursor(sequence: str) -> StateChange:
    shard = ShardKey("arn:aws:dynamodb:eu-west-1:000000000000:table/orders/stream/1", "shardId-1")
    return StateChange(
        cursors=[SavedCursor("bus", shard, after(sequence), "orders", kept_by_sink=False, saved_at=0.0)]
    )


def test_the_shipped_store_refuses_a_zombie(tmp_path: Path) -> None:
    a, b = (SqliteStateStore(tmp_path / "state.db", "orders") for _ in range(2))
    try:
        a.open()
        b.open()
        zombie = a.acquire(Owner("one", 1, ""), lease_seconds=_LEASE_SECONDS, now=0.0)
        a.save(zombie, _cursor("100"))
        other = Owner("two", 1, "")
        with pytest.raises(StateError, match="one"):
            b.acquire(other, lease_seconds=_LEASE_SECONDS, now=_LEASE_SECONDS - 0.1)
        lease = b.acquire(other, lease_seconds=_LEASE_SECONDS, now=_LEASE_SECONDS + 0.1)
        b.save(lease, _cursor("200"))
        with pytest.raises(StateError) as save:
            a.save(zombie, _cursor("150"))
        with pytest.raises(StateError) as renewal:
            a.renew(zombie, now=_LEASE_SECONDS + 1)
        assert save.value.kind is renewal.value.kind is ErrorKind.NOT_OWNER
        (cursor,) = b.load().cursors
        assert cursor.position == after("200")
    finally:
        a.close()
        b.close()
