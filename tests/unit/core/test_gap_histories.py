"""Histories around gaps in which something was passed over untold, or a gap was told that is none."""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import pytest

from cdc.core import messages as m
from cdc.core.gap_kinds import SKIPPED, GapKind
from cdc.core.lineage import LaneState
from cdc.core.world import Settings
from cdc.errors import ErrorKind
from cdc.model import BEGINNING, Listing, ShardKey, after
from cdc.ports import Saved, SavedCursor, SavedGap, SavedStart
from cdc.runtime.positions import reset_of
from tests.unit.core.script import START, STREAM, Script, change, key, sequences, shard, source_error

HOUR = 3600.0
OLD = STREAM.arn + "-old"
BEGUN = Saved(
    cursors=[SavedCursor("a", key(1), after("5"), "orders", False, START)],
    starts=[SavedStart("a", STREAM.arn, "orders", "trim-horizon", START, STREAM.table_id)],
)


def gaps(script: Script) -> list[SavedGap]:
    return list(script.engine.world.gaps.values())


def lose(script: Script, hours: float) -> None:
    """The sink is down for so long."""
    write = script.one(m.Write)
    script.fail(write)
    for _ in range(int(hours * 60)):
        script.wait(60.0)
        opened = script.new(m.OpenSink)
        for command in opened:
            script.send(m.SinkFailed(command.sink, source_error(ErrorKind.UNAVAILABLE)))
    script.wait(60.0)
    for command in script.new(m.OpenSink):
        script.send(m.SinkOpened(command.sink))
    script.claim()


def test_start_latest_does_not_hold_for_a_new_stream_of_a_table_that_the_sink_has() -> None:
    """What was written to the new stream before anybody saw it is there, and owed."""
    saved = Saved(starts=[SavedStart("a", OLD, "orders", "latest", START - HOUR, STREAM.table_id)])
    script = Script(settings=Settings(start="latest", on_gap="skip"), saved=saved)
    script.start(shard(1, closed=True), shard(2, 1))
    script.wait(0.0)
    script.claim()
    assert script.lane(1).place == BEGINNING
    (opened,) = script.open_iterators()
    assert not opened.latest
    script.page(script.one(m.Read), change(1, START - 600.0))
    assert sequences(script.one(m.Write)) == [1]


def test_an_idle_shard_that_was_watched_for_a_day_has_no_gap_when_its_sink_comes_back() -> None:
    script = Script()
    script.flow(shard(1))
    script.open_iterators()
    for _ in range(30 * 12):
        for read in script.new(m.Read):
            script.page(read)
        script.wait(1.0)
        for read in script.new(m.Read):
            script.page(read)
        script.wait(299.0)
        script.save()
    for _ in range(3):
        script.wait(6.0)
        for read in script.new(m.Read):
            script.page(read)
    script.wait(6.0)
    script.page(script.one(m.Read), change(1, script.now.wall))
    lose(script, 0.1)
    script.wait(1.0)
    assert not gaps(script)
    assert script.lane(1).state is LaneState.FLOWING


@pytest.mark.parametrize("idle", [False, True])
def test_a_sink_that_is_down_for_a_day_behind_what_expired_has_another_gap(idle: bool) -> None:
    """It stands where it stood before it went down, and what it was to be given has expired meanwhile."""
    cursor = BEGUN.cursors[0]
    if idle:  # nothing was lost so far: the shard was idle, and watched
        cursor = replace(cursor, last_created=START - 25 * HOUR, through=START - 60.0)
    script = Script(settings=Settings(on_gap="skip"), saved=replace(BEGUN, cursors=[cursor]))
    script.flow(shard(1))
    script.send(m.ReadFailed(script.one(m.OpenIterator).reader, source_error(ErrorKind.TRIMMED)))
    script.save()
    script.wait(0.0)
    if not idle:
        script.send(m.ReadFailed(script.one(m.OpenIterator).reader, source_error(ErrorKind.TRIMMED)))
    before = len(gaps(script))
    script.read(8)
    lose(script, 30.0)
    (opened,) = script.new(m.OpenIterator)
    assert opened.position == after("5"), "asked once more"
    script.send(m.ReadFailed(opened.reader, source_error(ErrorKind.TRIMMED)))
    assert sum(gap.count for gap in gaps(script)) == before + 1


def test_what_comes_back_while_a_gap_is_being_recorded_is_not_told_by_that_gap() -> None:
    script = Script(settings=Settings(on_gap="skip"), saved=BEGUN)
    script.flow(shard(1))
    script.read(6, 7)
    write = script.one(m.Write)
    script.accept(write)
    script.send(m.ReadFailed(script.one(m.Read).reader, source_error(ErrorKind.TRIMMED)))
    (gap,) = gaps(script)
    assert gap.after == "7"
    script.fail(write, ErrorKind.UNAVAILABLE)
    script.save()
    script.wait(2.0)
    for command in script.new(m.OpenSink):
        script.send(m.SinkOpened(command.sink))
    script.claim()
    opened = script.new(m.OpenIterator)[-1]
    assert opened.position == after("5")
    script.send(m.ReadFailed(opened.reader, source_error(ErrorKind.TRIMMED)))
    (gap,) = gaps(script)
    assert (gap.after, gap.count) == ("5", 2), "6 and 7 are lost too"


def test_a_shard_that_waits_for_a_decision_is_halted_whatever_a_clock_said_once() -> None:
    """The clock was a day fast when an earlier gap was passed over."""
    fast = SavedGap("a", key(1), "orders", START + 24 * HOUR, "it expired", SKIPPED, "trimmed", False, "3")
    waits = SavedGap("a", key(1), "orders", START, "nobody read", "", "unread-too-long")
    script = Script(saved=replace(BEGUN, gaps=[fast, waits]))
    script.start(shard(1))
    assert script.lane(1).state is LaneState.HALTED


def left_streams() -> Saved:
    """The new stream had begun when the process ended, the old one was not read to its end, and has gone since."""
    of_old = SavedCursor("a", ShardKey(OLD, "shard-1"), after("5"), "orders", False, START)
    of_new = SavedCursor("a", key(1), BEGINNING, "orders", False, START)
    old = SavedStart("a", OLD, "orders", "trim-horizon", START - HOUR, STREAM.table_id)
    return Saved([of_old, of_new], [old, BEGUN.starts[0]])


def test_what_was_left_of_an_old_stream_waits_for_a_decision_until_caught_up_too() -> None:
    script = Script(settings=Settings(until_caught_up=True), saved=left_streams())
    script.flow(shard(1))
    for _ in range(200):
        script.open_iterators()
        for read in script.new(m.Read):
            script.page(read)
        if script.new(m.ListShards):
            script.listing(shard(1))
        script.save()
        if script.stopped:
            break
        script.wait(0.2)
    assert script.stopped is not None
    assert script.stopped.exit_code == 3


def test_left_streams_of_a_table_that_could_not_be_found_at_first_are_told() -> None:
    parcels = replace(STREAM, arn=STREAM.arn + "-2", table="parcels")
    script = Script(saved=left_streams())
    script.send(m.Started())
    script.send(m.SinkOpened("a"))
    script.send(m.StreamsResolved([parcels], {"orders": source_error(ErrorKind.THROTTLED)}))
    script.send(m.ShardsListed(parcels.arn, None, Listing((), complete=True)))
    script.save()
    script.wait(1.0)
    script.send(m.StreamsResolved([parcels, STREAM]))
    assert [gap.kind for gap in gaps(script)] == [GapKind.STREAM_LEFT]
    script.send(m.StreamsResolved([parcels, STREAM]))
    assert len(gaps(script)) == 1


def test_a_decision_of_an_earlier_version_does_not_hide_a_stream_that_is_gone() -> None:
    saved = left_streams()
    reset = SavedGap("a", ShardKey(OLD, "shard-1"), "orders", START, "reset by hand", "reset to latest")
    script = Script(saved=replace(saved, gaps=[reset]))
    script.start(shard(1))
    assert GapKind.STREAM_LEFT in [gap.kind for gap in gaps(script)]


def test_a_reset_decides_all_that_waits_on_its_shard() -> None:
    """A gap that was found by a sink that had halted, and the end of the stream after it."""
    trimmed = SavedGap("a", key(1), "orders", START, "it expired", "", "trimmed")
    left = SavedGap("a", key(1), "orders", START + HOUR, "it left", "", "stream-left")
    other = SavedGap("a", key(2), "orders", START, "it expired", SKIPPED, "trimmed")
    saved = replace(BEGUN, gaps=[trimmed, left, other])
    change_, done = reset_of(saved, {key(1): shard(1)}, "a", [key(1)], "trim-horizon", START + 2 * HOUR)
    assert {(gap.kind, gap.decision) for gap in change_.gaps} == {
        ("trimmed", "reset to trim-horizon"),
        ("stream-left", "reset to trim-horizon"),
    }
    assert len(done) == 1


YOUNG = ShardKey(STREAM.arn, f"shardId-{int(START - HOUR) * 1000:020}-00000002")


@pytest.mark.parametrize("young", [False, True])
@pytest.mark.parametrize("on_gap", ["halt", "skip"])
def test_a_shard_that_is_there_and_is_called_unknown_for_a_moment_is_read(
    on_gap: Literal["halt", "skip"], young: bool
) -> None:
    """Open, or closed and younger than a day: it cannot have expired. Giving its end would pass over all of it."""
    there = replace(shard(2, closed=True), key=YOUNG) if young else shard(1)
    script = Script(settings=Settings(on_gap=on_gap))
    script.flow(there)
    for _ in range(3):
        script.send(m.ReadFailed(script.one(m.OpenIterator).reader, source_error(ErrorKind.NOT_FOUND)))
        assert "read-failed" in script.notices()
        script.listing(there)
        script.save()
        script.wait(5.0)
    script.read(6)
    assert sequences(script.one(m.Write)) == [6]
    assert not gaps(script)


def gone_by_listing(script: Script) -> None:
    script.listing(shard(7))


def gone_with_its_stream(script: Script) -> None:
    script.send(m.ListingFailed(STREAM.arn, None, source_error(ErrorKind.NOT_FOUND)))


def gone_for_long(script: Script) -> None:
    for _ in range(40):
        script.listing(shard(1))
        script.wait(5.0)
        for opened in script.new(m.OpenIterator):
            script.send(m.ReadFailed(opened.reader, source_error(ErrorKind.NOT_FOUND)))


@pytest.mark.parametrize("gone", [gone_by_listing, gone_with_its_stream, gone_for_long])
def test_a_shard_that_stays_unknown_or_leaves_the_listing_is_gone(gone: Callable[[Script], None]) -> None:
    script = Script(saved=BEGUN)
    script.flow(shard(1))
    script.send(m.ReadFailed(script.one(m.OpenIterator).reader, source_error(ErrorKind.NOT_FOUND)))
    assert not gaps(script)
    gone(script)
    script.wait(1.0)
    for opened in script.new(m.OpenIterator):
        if opened.reader.shard == key(1):
            script.send(m.ReadFailed(opened.reader, source_error(ErrorKind.NOT_FOUND)))
    assert [gap.kind for gap in gaps(script)] == [GapKind.VANISHED]


def test_a_request_that_was_withdrawn_does_not_come_back_with_the_next_one() -> None:
    """Both on shards that are gone; the sum of the first is withdrawn by `skip`, and the second is asked for again."""
    name = ShardKey("", "orders trimmed snapshot requested")
    withdrawn = SavedGap("a", name, "orders", START - HOUR, "it expired", SKIPPED, "trimmed", count=7)
    asked = SavedGap("a", key(1), "orders", START, "it expired", "snapshot requested", "trimmed")
    script = Script(settings=Settings(on_gap="snapshot"), saved=replace(BEGUN, gaps=[withdrawn, asked]))
    script.start(shard(1))
    script.engine._gaps.add_up([key(1)])
    assert sorted((gap.decision, gap.count) for gap in gaps(script)) == [
        (SKIPPED, 7),
        ("snapshot requested", 1),
    ]


def test_one_empty_page_says_nothing_about_the_hours_after_it() -> None:
    """A shard is read for the first time when its oldest record has an hour left, its first page is empty as one in
    mid-shard may be, and then its sink takes nothing for two hours."""
    begun = replace(BEGUN.cursors[0], position=BEGINNING)
    for hours, gap in ((0.1, False), (2.0, True)):
        script = Script(saved=replace(BEGUN, cursors=[begun]), wall=START + 23 * HOUR)
        script.flow(shard(1))
        script.open_iterators()
        script.page(script.one(m.Read))
        sink = script.engine.world.sinks["a"]
        sink.starved, sink.unaccepted_bytes = True, 1 << 40
        script.wait(hours * HOUR)
        assert bool(gaps(script)) == gap


def test_a_shard_that_is_being_read_when_it_becomes_a_day_old_has_no_gap() -> None:
    begun = replace(BEGUN.cursors[0], position=BEGINNING)
    script = Script(saved=replace(BEGUN, cursors=[begun]), wall=START + 24 * HOUR - 1.0)
    script.flow(shard(1))
    script.open_iterators()
    script.read()
    script.wait(2.0)
    assert not gaps(script)


@pytest.mark.parametrize(
    ("began", "watched", "told"), [(25.0, False, True), (1.0, False, False), (25.0, True, False)]
)
def test_what_expires_before_an_iterator_at_the_oldest_record_is_told_to_whom_it_was_owed(
    began: float, watched: bool, told: bool
) -> None:
    """A page in mid-shard was empty, and before the next one the oldest record had expired."""
    cursor = SavedCursor("a", key(1), BEGINNING, "orders", False, START - 23.5 * HOUR)
    if watched:
        cursor = replace(cursor, through=START - 60.0)
    start = SavedStart("a", STREAM.arn, "orders", "trim-horizon", START - began * HOUR, STREAM.table_id)
    script = Script(settings=Settings(on_gap="skip"), saved=Saved(cursors=[cursor], starts=[start]))
    script.flow(shard(1))
    script.read()
    script.wait(1.0)
    script.send(m.ReadFailed(script.one(m.Read).reader, source_error(ErrorKind.TRIMMED)))
    assert [gap.kind for gap in gaps(script)] == ([GapKind.TRIMMED] if told else [])
    if told:
        script.save()
    script.wait(1.0)
    assert script.one(m.OpenIterator).position == BEGINNING
