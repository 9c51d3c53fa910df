from dataclasses import replace

import pytest

from cdc.core import messages as m
from cdc.core.world import Settings
from cdc.errors import ErrorKind, SinkError
from cdc.model import Listing, Reject, Shard, after
from cdc.ports import Saved, SavedCursor, SavedGap, SavedStart
from tests.unit.core.script import START, STREAM, Script, change, key, shard

UNTIL = Settings(until_caught_up=True, caught_up_seconds=5.0, stalled_seconds=60.0)


def quiet(script: Script, seconds: float, *shards: Shard) -> None:
    """Empty pages, listings and saves are answered at once."""
    end = script.now.monotonic + seconds
    while script.now.monotonic < end and script.stopped is None:
        script.open_iterators()
        for read in script.new(m.Read):
            script.page(read)
        for listing in script.new(m.ListShards):
            whole = listing.parent is None
            script.send(m.ShardsListed(STREAM.arn, listing.parent, Listing(shards if whole else (), whole)))
        script.save()
        script.wait(0.1)


def code(script: Script) -> int | None:
    return script.stopped.exit_code if script.stopped else None


def test_caught_up_is_empty_pages_for_a_while_and_then_a_listing() -> None:
    script = Script(settings=UNTIL)
    script.flow(shard(1))
    listings = [command for command in script.sent if isinstance(command, m.ListShards)]
    quiet(script, 4.5, shard(1))
    assert code(script) is None
    quiet(script, 4.0, shard(1))
    assert script.stopped == m.Stop(0, "caught up")
    after_ = [command for command in script.sent if isinstance(command, m.ListShards)]
    assert len(after_) == len(listings) + 1


def test_the_end_waits_for_the_answer_of_a_listing_that_was_asked_for_in_the_quiet() -> None:
    script = Script(settings=UNTIL)
    script.flow(shard(1))
    script.new(m.ListShards)
    for _ in range(100):
        script.open_iterators()
        for read in script.new(m.Read):
            script.page(read)
        script.save()
        script.wait(0.2)
    assert code(script) is None
    script.listing(shard(1))
    script.wait(0.5)
    assert code(script) == 0


def test_a_sink_behind_another_is_not_caught_up_however_empty_its_pages_are() -> None:
    """Pages are empty in mid-shard too."""
    saved = Saved(
        cursors=[
            SavedCursor("a", key(1), after("5"), "orders", False, START),
            SavedCursor("b", key(1), after("30"), "orders", False, START),
        ],
        starts=[SavedStart(sink, STREAM.arn, "orders", "trim-horizon", START) for sink in ("a", "b")],
    )
    script = Script("a", "b", settings=UNTIL, saved=saved)
    script.flow(shard(1))
    quiet(script, 30.0, shard(1))
    assert code(script) is None


def test_a_record_begins_the_wait_again() -> None:
    script = Script(settings=UNTIL)
    script.flow(shard(1))
    quiet(script, 4.0, shard(1))
    script.wait(1.0)
    script.read(1)
    script.durable(script.one(m.Write))
    quiet(script, 4.0, shard(1))
    assert code(script) is None
    quiet(script, 4.0, shard(1))
    assert code(script) == 0


def test_a_shard_that_the_last_listing_brings_is_read_first() -> None:
    script = Script(settings=UNTIL)
    script.flow(shard(1))
    quiet(script, 5.6)
    quiet(script, 6.0, shard(1), shard(2))
    script.claim()
    assert code(script) is None
    quiet(script, 10.0, shard(1), shard(2))
    assert code(script) == 0


def test_a_closed_shard_is_read_to_its_end_and_its_children_are_waited_for() -> None:
    script = Script(settings=UNTIL)
    script.flow(shard(1, closed=True))
    quiet(script, 20.0, shard(1, closed=True))
    assert code(script) is None
    script.wait(1.0)
    script.read(end=True)
    script.durable(script.one(m.Write))
    quiet(script, 3.0, shard(1, closed=True))
    assert code(script) is None, "its children may be listed late"
    quiet(script, 30.0, shard(1, closed=True))
    assert code(script) == 0, "a stream that was switched off has none"


def test_what_is_not_durable_is_flushed_and_waited_for() -> None:
    script = Script(settings=UNTIL)
    script.flow(shard(1))
    script.read(1)
    write = script.one(m.Write)
    script.accept(write)
    quiet(script, 20.0, shard(1))
    assert code(script) is None
    assert script.new(m.FlushSink)
    script.durable(write)
    quiet(script, 12.0, shard(1))
    assert code(script) == 0


def test_a_gap_is_3_once_the_others_are_caught_up() -> None:
    saved = Saved(
        cursors=[
            SavedCursor("a", key(1), after("5"), "orders", False, START),
            SavedCursor("a", key(2), after("5"), "orders", False, START),
        ],
        starts=[SavedStart("a", STREAM.arn, "orders", "trim-horizon", START)],
        gaps=[SavedGap("a", key(1), "orders", START, "it expired")],
    )
    script = Script(settings=UNTIL, saved=saved)
    script.flow(shard(1), shard(2), shard(3, 1))
    quiet(script, 4.0, shard(1), shard(2), shard(3, 1))
    assert code(script) is None
    quiet(script, 8.0, shard(1), shard(2), shard(3, 1))
    assert code(script) == 3
    assert script.stopped is not None
    assert "it expired" in script.stopped.reason
    assert script.stopped.remedy


def test_a_new_stream_that_waits_behind_a_gap_of_the_old_one_is_not_waited_for() -> None:
    old = replace(STREAM, arn=STREAM.arn + "-old", created_ms=STREAM.created_ms - 1)
    of_old = replace(shard(9), key=key(9)._replace(stream=old.arn))
    saved = Saved(
        cursors=[SavedCursor("a", key(1), after("5"), "orders", False, START)],
        starts=[SavedStart("a", stream.arn, "orders", "trim-horizon", START) for stream in (STREAM, old)],
        gaps=[SavedGap("a", of_old.key, "orders", START, "it expired")],
    )
    script = Script(settings=UNTIL, saved=saved)
    script.send(m.Started())
    script.send(m.SinkOpened("a"))
    script.send(m.StreamsResolved([STREAM, old]))
    end = script.now.monotonic + 20.0
    while script.now.monotonic < end and script.stopped is None:
        for listing in script.new(m.ListShards):
            shards = (of_old,) if listing.stream == old else (shard(1),)
            script.send(m.ShardsListed(listing.stream.arn, None, Listing(shards, complete=True)))
        script.save()
        script.wait(0.2)
    assert not script.new(m.Claim)
    assert code(script) == 3


def test_a_shard_that_is_refused_is_1() -> None:
    script = Script(settings=UNTIL)
    script.flow(shard(1))
    script.read(1)
    script.fail(script.one(m.Write), ErrorKind.INVALID_REQUEST)
    quiet(script, 10.0, shard(1))
    assert code(script) == 1


def test_a_sink_that_too_many_dead_letters_halted_is_1_with_the_remedy() -> None:
    script = Script(settings=replace(UNTIL, max_dead_letters_per_minute=0))
    script.flow(shard(1))
    script.read(1)
    script.durable(script.one(m.Write), [Reject("1", ErrorKind.REJECTED, "too large", b"{}")])
    quiet(script, 10.0, shard(1))
    assert code(script) == 1
    assert script.stopped is not None
    assert "sink a, which is halted" in script.stopped.reason
    assert "max_dead_letters_per_minute" in script.stopped.remedy


def test_a_sink_that_never_opens_is_1_after_a_minute_and_named() -> None:
    script = Script("a", "b", settings=UNTIL)
    script.start(shard(1), open_sinks=False)
    script.send(m.SinkOpened("a"))
    script.claim()
    tries = 0
    while script.stopped is None and script.now.monotonic < 1200.0:
        for command in script.new(m.OpenSink):
            if command.sink == "b":
                tries += 1
                script.send(m.SinkFailed("b", SinkError(ErrorKind.UNAVAILABLE, "nobody there")))
        quiet(script, 0.5, shard(1))
    assert code(script) == 1
    assert script.stopped is not None
    assert "sink b" in script.stopped.reason
    assert "nobody there" in script.stopped.reason
    assert 60.0 <= script.now.monotonic - 1000.0 <= 75.0
    assert tries > 3


def test_a_sink_that_opens_again_and_again_and_takes_nothing_is_a_stall() -> None:
    script = Script(settings=UNTIL)
    script.flow(shard(1))
    while script.stopped is None and script.now.monotonic < 1300.0:
        for command in script.new(m.OpenSink):
            script.send(m.SinkOpened(command.sink))
        script.claim()
        script.open_iterators()
        for read in script.new(m.Read):
            script.page(read, change(1))
        for write in script.new(m.Write):
            script.fail(write)
        for _ in script.new(m.FlushSink):
            script.send(m.Flushed("a", None))
        script.save()
        script.wait(0.2)
    assert code(script) == 1
    assert script.now.monotonic - 1000.0 <= 75.0


def test_a_sink_that_comes_back_when_the_others_are_done_has_its_minute() -> None:
    script = Script("a", "b", settings=UNTIL)
    script.start(shard(1), open_sinks=False)
    script.send(m.SinkOpened("a"))
    script.claim()
    for number in range(1, 900):  # a is busy for three minutes
        script.open_iterators()
        for read in script.new(m.Read):
            script.page(read, change(number))
        for write in script.new(m.Write):
            script.durable(write)
        for command in script.new(m.OpenSink):
            if command.sink == "b":
                script.send(m.SinkFailed("b", SinkError(ErrorKind.UNAVAILABLE, "away")))
        script.save()
        script.wait(0.2)
    assert code(script) is None
    quiet(script, 30.0, shard(1))
    assert code(script) is None


def test_a_source_that_answers_nothing_is_no_stall_of_a_sink() -> None:
    script = Script(settings=UNTIL)
    script.flow(shard(1))
    script.wait(300.0)
    assert code(script) is None


# An orderly end


def test_sigterm_reads_no_more_flushes_saves_and_ends_with_0() -> None:
    script = Script(settings=Settings(checkpoint_seconds=100.0))
    script.flow(shard(1))
    script.save()
    script.read(1)
    write = script.one(m.Write)
    script.accept(write)
    (read,) = script.new(m.Read)
    script.send(m.StopRequested())
    assert script.one(m.FlushSink).sink == "a"
    script.page(read, change(2))
    assert not script.new(m.Write)
    script.wait(1.0)
    assert code(script) is None
    script.durable(write)
    script.send(m.Flushed("a", None))
    script.wait(0.5)
    (save,) = script.save()
    assert [cursor.position for cursor in save.change.cursors] == [after("1")]
    script.wait(0.5)
    assert script.stopped == m.Stop(0, "stopped")
    assert not script.new(m.Read)
    assert not script.new(m.OpenIterator)


def test_what_is_accepted_after_the_signal_is_flushed_too() -> None:
    script = Script()
    script.flow(shard(1))
    script.read(1)
    write = script.one(m.Write)
    script.send(m.StopRequested())
    assert script.new(m.FlushSink)
    script.accept(write)
    script.send(m.Flushed("a", None))
    assert script.new(m.FlushSink), "the first flush may have begun before it"


@pytest.mark.parametrize("state", ["never opened", "opening", "down", "holds on to a batch"])
def test_a_signal_ends_with_0_whatever_a_sink_does(state: str) -> None:
    script = Script("a", "b", settings=Settings(stop_seconds=8.0))
    script.start(shard(1), open_sinks=False)
    script.send(m.SinkOpened("b"))
    if state == "down":
        script.send(m.SinkFailed("a", SinkError(ErrorKind.UNAVAILABLE, "away")))
    if state == "holds on to a batch":
        script.send(m.SinkOpened("a"))
    script.claim()
    script.open_iterators()
    for read in script.new(m.Read):
        script.page(read, change(1))
    for write in script.new(m.Write):
        if write.sink == "b":
            script.durable(write)
    script.save()
    begin = script.now.monotonic
    script.send(m.StopRequested())
    if state == "opening":
        script.send(m.SinkOpened("a"))
        assert not script.new(m.Claim)
    while script.stopped is None and script.now.monotonic < begin + 20.0:
        script.save()
        script.wait(0.1)
    assert script.stopped == m.Stop(0, "stopped")
    assert script.now.monotonic - begin <= 9.0
    assert [command for command in script.sent if isinstance(command, m.OpenSink) and command.sink == "a"][
        1:
    ] == []


def test_positions_that_can_not_be_saved_at_the_end_are_1() -> None:
    script = Script()
    script.flow(shard(1))
    script.read(1)
    script.durable(script.one(m.Write))
    script.send(m.StopRequested())
    script.wait(20.0)
    assert code(script) == 1


def test_nothing_is_said_after_the_end() -> None:
    script = Script()
    script.flow(shard(1))
    script.wait(2.0)
    script.save()
    script.send(m.StopRequested())
    script.wait(2.0)
    assert script.stopped is not None
    assert script.send(m.Tick()) == []
    assert script.send(m.SinkOpened("a")) == []


def test_everything_below_a_gap_is_not_waited_for() -> None:
    saved = Saved(
        cursors=[SavedCursor("a", key(1), after("5"), "orders", False, START)],
        starts=[SavedStart("a", STREAM.arn, "orders", "trim-horizon", START)],
        gaps=[SavedGap("a", key(1), "orders", START, "it expired")],
    )
    shards = shard(1, closed=True), shard(2, 1, closed=True), shard(3, 2)
    script = Script(settings=UNTIL, saved=saved)
    script.flow(*shards)
    quiet(script, 10.0, *shards)
    assert code(script) == 3


def test_of_two_sinks_that_make_no_progress_one_is_named() -> None:
    script = Script("a", "b", settings=UNTIL)
    script.start(shard(1), open_sinks=False)
    while script.stopped is None and script.now.monotonic < 1300.0:
        for command in script.new(m.OpenSink):
            script.send(m.SinkFailed(command.sink, SinkError(ErrorKind.UNAVAILABLE, "nobody there")))
        quiet(script, 0.5, shard(1))
    assert [command.exit_code for command in script.sent if isinstance(command, m.Stop)] == [1]
