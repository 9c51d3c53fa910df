"""A sink as a whole: opening and claiming it, losing it, halting it, asking it to flush."""

import pytest

from cdc.core import messages as m
from cdc.core.lineage import LaneState
from cdc.core.world import Settings, SinkState
from cdc.errors import ErrorKind, SinkError
from cdc.model import Reject, after
from tests.unit.core.script import Script, change, key, sequences, shard, source_error

REJECT = Reject("1", ErrorKind.REJECTED, "too large", b"{}")


def two_given(settings: Settings | None = None) -> tuple[Script, m.Write, m.Write]:
    """One batch of each of two shards is in the sink's hands."""
    script = Script(settings=settings)
    script.flow(shard(1), shard(2))
    script.open_iterators()
    for number, read in enumerate(script.new(m.Read), start=1):
        script.page(read, change(number))
    one, two = script.new(m.Write)
    return script, one, two


@pytest.mark.parametrize(("kind", "code"), [(ErrorKind.CONFIGURATION, 2), (ErrorKind.FENCED, 1)])
def test_a_sink_that_cannot_be_opened_as_it_is_configured_ends_the_process(
    kind: ErrorKind, code: int
) -> None:
    script = Script("a", "b")
    script.send(m.Started())
    script.send(m.SinkFailed("a", SinkError(kind, "no such thing", remedy="mend it")))
    assert script.stopped == m.Stop(code, "sink a: no such thing", "mend it")


def test_a_claim_that_is_refused_since_another_process_writes_ends_this_one() -> None:
    script = Script()
    script.start(shard(1))
    claim = script.one(m.Claim)
    script.send(m.ClaimFailed("a", claim.shards, SinkError(ErrorKind.FENCED, "a later epoch")))
    assert script.stopped is not None
    assert script.stopped.exit_code == 1
    assert "a later epoch" in script.stopped.reason


def test_a_sink_that_is_halted_while_it_is_down_is_not_opened_again() -> None:
    script, one, two = two_given(Settings(max_dead_letters_per_minute=0))
    script.accept(one)
    script.fail(two)
    script.new(m.OpenSink)
    script.durable(one, [REJECT])
    assert script.engine.world.sinks["a"].state is SinkState.HALTED
    script.wait(120.0)
    assert not script.new(m.OpenSink)


def test_a_sink_that_is_halted_while_it_opens_is_given_nothing_when_it_is_open() -> None:
    script, one, two = two_given(Settings(max_dead_letters_per_minute=0))
    script.accept(one)
    script.fail(two)
    script.wait(1.0)
    assert script.new(m.OpenSink)
    script.durable(one, [REJECT])
    script.send(m.SinkOpened("a"))
    script.wait(10.0)
    assert script.engine.world.sinks["a"].state is SinkState.HALTED
    assert not script.new(m.Claim)
    assert not script.new(m.FlushSink)


def test_a_flush_that_failed_is_not_repeated_for_what_has_become_durable_by_itself() -> None:
    script = Script(settings=Settings(max_undurable_batches=1))
    script.flow(shard(1))
    script.read(1)
    script.accept(write := script.one(m.Write))
    assert script.new(m.FlushSink)
    script.send(m.Flushed("a", SinkError(ErrorKind.UNAVAILABLE, "away")))
    script.durable(write)
    script.wait(60.0)
    assert not script.new(m.FlushSink)


def test_a_sink_that_is_down_is_not_asked_to_flush_at_the_end() -> None:
    script, one, two = two_given()
    script.accept(one)
    script.fail(two)
    script.send(m.StopRequested())
    assert not script.new(m.FlushSink)
    script.wait(1.0)
    script.save()
    script.wait(1.0)
    assert script.stopped == m.Stop(0, "stopped")


def test_a_second_request_to_stop_asks_for_nothing_twice() -> None:
    script, one, two = two_given()
    script.accept(one)
    script.accept(two)
    script.send(m.StopRequested())
    assert script.new(m.FlushSink)
    script.wait(5.0)
    script.send(m.StopRequested())
    assert not script.new(m.FlushSink)
    script.wait(1.5)
    script.save()
    script.wait(1.0)
    assert script.stopped == m.Stop(0, "stopped"), "and moves the end no farther away"


def test_a_sink_that_has_too_much_to_accept_waits_until_half_of_it_is_taken() -> None:
    script = Script(settings=Settings(max_unaccepted_bytes=200))
    script.flow(shard(1), shard(2), shard(3))
    script.open_iterators()
    for number, read in enumerate(script.new(m.Read), start=1):
        script.page(read, change(number))  # 100 bytes each
    one, two = script.new(m.Write)
    assert (sequences(one), sequences(two)) == ([1], [2])
    script.wait(0.5)
    assert not script.new(m.Read)
    script.accept(one)
    assert key(3) in [opened.reader.shard for opened in script.new(m.OpenIterator)]


def test_what_a_halted_shard_still_hands_back_does_not_hide_why_it_halted() -> None:
    """Behind a gap exit code 3 asks for a decision; a batch that comes back later is no reason to forget it."""
    script = Script(settings=Settings(until_caught_up=True))
    script.flow(shard(1))
    script.read(1)
    script.accept(write := script.one(m.Write))
    (read,) = script.new(m.Read)
    script.send(m.ReadFailed(read.reader, source_error(ErrorKind.TRIMMED)))
    lane = script.lane(1)
    because = lane.halted_because
    assert lane.gap
    told = script.notices()
    script.fail(write, ErrorKind.INVALID_REQUEST)
    assert lane.state is LaneState.HALTED
    assert (lane.gap, lane.halted_because) == (True, because)
    assert script.notices() == told
    assert lane.tracker.durable.order < after("1").order


def test_what_comes_back_with_a_batch_is_not_to_blame_for_anything() -> None:
    """The sink was away; whatever it says of what it had in its hands, that is sent again."""
    script = Script()
    script.flow(shard(1))
    script.read(1)
    script.accept(first := script.one(m.Write))
    script.page(script.one(m.Read), change(2))
    second = script.one(m.Write)
    script.fail(first)
    script.fail(second, ErrorKind.INVALID_REQUEST)
    assert script.lane(1).state is LaneState.UNCLAIMED
    assert "shard-halted" not in script.notices()
