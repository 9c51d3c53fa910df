"""What is found to be a gap, and what follows under each `on_gap`; every kind under every policy."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal, Protocol

import pytest

from cdc.core import messages as m
from cdc.core.gap_kinds import SKIPPED, SNAPSHOT_REQUESTED, GapKind, is_gap
from cdc.core.lineage import LaneState
from cdc.core.status import status
from cdc.core.world import Settings
from cdc.errors import ErrorKind
from cdc.model import BEGINNING, Listing, Place, Position, ShardKey, after, end_of_shard
from cdc.ports import Saved, SavedCursor, SavedGap, SavedStart
from tests.unit.core.script import (
    START,
    STREAM,
    Script,
    change,
    key,
    sequences,
    shard,
    source_error,
    state_error,
)
from tests.unit.core.states import after_saves

OnGap = Literal["halt", "snapshot", "skip"]
OLD = STREAM.arn + "-old"
HOUR = 3600.0


FIVE = after("5")


def cursor(number: int, position: Position = FIVE, sink: str = "a", **more: float) -> SavedCursor:
    return SavedCursor(sink, key(number), position, "orders", False, START, **more)


def start_of(sink: str = "a", stream: str = STREAM.arn, table_id: str = STREAM.table_id) -> SavedStart:
    return SavedStart(sink, stream, "orders", "trim-horizon", START, table_id)


BEGUN = Saved(cursors=[cursor(1)], starts=[start_of()])


def settings(on_gap: OnGap, *, until_caught_up: bool = False) -> Settings:
    return Settings(on_gap=on_gap, until_caught_up=until_caught_up)


def refused(on_gap: OnGap, kind: ErrorKind, saved: Saved | None) -> Script:
    script = Script(settings=settings(on_gap), saved=saved or BEGUN)
    script.flow(shard(1, closed=kind is ErrorKind.NOT_FOUND), shard(2, 1))
    refuse(script, kind)
    return script


def refuse(script: Script, kind: ErrorKind = ErrorKind.TRIMMED) -> m.OpenIterator:
    """The only iterator that was asked for, which is not given."""
    opened = script.one(m.OpenIterator)
    script.send(m.ReadFailed(opened.reader, source_error(kind)))
    return opened


def trimmed(on_gap: OnGap, saved: Saved | None = None) -> Script:
    return refused(on_gap, ErrorKind.TRIMMED, saved)


def vanished(on_gap: OnGap, saved: Saved | None = None) -> Script:
    return refused(on_gap, ErrorKind.NOT_FOUND, saved)


def started(on_gap: OnGap, saved: Saved, hours: float, *shards: int | tuple[int, int]) -> Script:
    """Up to the listing; nothing is saved."""
    script = Script(settings=settings(on_gap), saved=saved, wall=START + hours * HOUR)
    script.send(m.Started())
    script.send(m.SinkOpened("a"))
    script.send(m.StreamsResolved([STREAM]))
    script.listing(*(shard(one) if isinstance(one, int) else shard(*one) for one in shards))
    return script


def parent_gone(on_gap: OnGap, saved: Saved | None = None) -> Script:
    return started(on_gap, saved or Saved(cursors=[cursor(7)], starts=[start_of()]), 1.0, 7, (1, 99))


def unread(on_gap: OnGap, saved: Saved | None = None) -> Script:
    script = started(on_gap, saved or Saved(cursors=[cursor(1, BEGINNING)], starts=[start_of()]), 25.0, 1)
    script.claim()
    script.wait(0.0)
    return script


def new_stream(on_gap: OnGap, saved: Saved | None = None) -> Script:
    return started(on_gap, saved or Saved(starts=[start_of(stream=OLD)]), 1.0, 1)


def new_table(on_gap: OnGap, saved: Saved | None = None) -> Script:
    return started(on_gap, saved or Saved(starts=[start_of(stream=OLD, table_id="former")]), 1.0, 1)


class Found(Protocol):
    def __call__(self, on_gap: OnGap, saved: Saved | None = None, /) -> Script:
        """An engine that has just found the gap; what was saved before it may be another's."""


KINDS: Mapping[GapKind, Found] = {
    GapKind.TRIMMED: trimmed,
    GapKind.VANISHED: vanished,
    GapKind.PARENT_GONE: parent_gone,
    GapKind.UNREAD: unread,
    GapKind.NEW_STREAM: new_stream,
    GapKind.NEW_TABLE: new_table,
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def gaps(script: Script) -> list[SavedGap]:
    return list(script.engine.world.gaps.values())


def told(script: Script) -> list[m.Notice]:
    return [one for one in script.sent if isinstance(one, m.Notice) and one.event == "gap"]


@every_kind
def test_halt_stops_the_shard_at_the_sink_and_waits_for_a_decision(kind: GapKind) -> None:
    script = KINDS[kind]("halt")
    lane = script.lane(1)
    assert (lane.state, lane.gap) == (LaneState.HALTED, True)
    assert "cdc positions reset" in lane.remedy
    (gap,) = gaps(script)
    assert (gap.kind, gap.decision, gap.decided_at, gap.shard) == (kind, "", None, key(1))
    (notice,) = told(script)
    assert (notice.level, notice.fields["kind"]) == ("error", kind)
    assert gap in script.save()[-1].change.gaps
    script.wait(120.0)
    assert script.lane(1).state is LaneState.HALTED
    assert len(gaps(script)) == 1


def begins(script: Script) -> bool:
    """Whether the lane of shard 1 asked for anything since the last look."""
    claimed = any(key(1) in claim.shards for claim in script.new(m.Claim))
    opened = any(one.reader.shard == key(1) for one in script.new(m.OpenIterator))
    given = any(write.batch.shard == key(1) for write in script.new(m.Write))
    return claimed or opened or given


@every_kind
@pytest.mark.parametrize(("on_gap", "decision"), [("skip", SKIPPED), ("snapshot", SNAPSHOT_REQUESTED)])
def test_nothing_goes_on_behind_a_gap_before_the_gap_is_saved(
    kind: GapKind, on_gap: OnGap, decision: str
) -> None:
    script = KINDS[kind](on_gap)
    begins(script)
    (gap,) = gaps(script)
    assert (gap.kind, gap.decision, gap.decided_at) == (kind, decision, gap.found_at)
    assert script.lane(1).state is not LaneState.HALTED
    for _ in range(3):
        script.send(m.SaveFailed(script.new(m.Save)[-1].change, state_error()))
        script.wait(30.0)
        assert not begins(script), "not saved yet"
    (saving,) = script.new(m.Save)[-1:]
    assert gap in saving.change.gaps, "put back, and saved with all the rest"
    script.send(m.CursorsSaved(saving.change))
    script.wait(1.0)
    assert begins(script)
    assert gaps(script) == [gap]
    assert len(told(script)) == 1


@every_kind
@pytest.mark.parametrize("on_gap", ["skip", "snapshot"])
@pytest.mark.parametrize("saved", [False, True])
def test_a_crash_around_the_save_loses_no_gap_and_tells_none_twice(
    kind: GapKind, on_gap: OnGap, saved: bool
) -> None:
    before = KINDS[kind](on_gap)
    state = after_saves(before, last=saved)
    again = KINDS[kind](on_gap, state if saved else None)
    (gap,) = gaps(again)
    assert (gap.kind, gap.count) == (kind, 1)
    assert len(told(again)) == (not saved)
    again.save()
    again.wait(1.0)
    assert begins(again)


def test_behind_what_expired_the_oldest_record_comes_next() -> None:
    script = trimmed("skip")
    script.save()
    assert refuse(script).position == after("5"), "it asks once more"
    (opened,) = script.open_iterators()
    assert opened.position == BEGINNING
    script.page(script.one(m.Read), change(8), change(9))
    write = script.one(m.Write)
    assert (write.batch.start, sequences(write)) == (after("5"), [8, 9])
    script.accept(write)
    script.durable(write)
    script.wait(2.0)
    assert script.save()[-1].change.cursors[0].position == after("9")
    assert len(gaps(script)) == 1


def test_a_batch_that_comes_back_from_behind_a_gap_is_no_second_gap() -> None:
    script = trimmed("skip")
    script.save()
    refuse(script)
    script.open_iterators()
    script.page(script.one(m.Read), change(8))
    script.fail(script.one(m.Write))
    script.wait(5.0)
    script.send(m.SinkOpened("a"))
    script.claim()
    for opened in script.open_iterators():
        assert opened.position == BEGINNING
    assert len(gaps(script)) == 1


def test_what_was_called_gone_and_is_there_is_passed_over() -> None:
    """A service that calls a place expired, and still has the records before it: on several pages."""
    script = trimmed("skip")
    script.save()
    refuse(script)
    script.open_iterators()
    script.page(script.one(m.Read), change(1), change(2))
    script.wait(1.0)
    script.page(script.one(m.Read), change(3), change(5))
    script.wait(1.0)
    script.page(script.one(m.Read), change(6))
    assert sequences(script.one(m.Write)) == [6]


def test_an_oldest_record_that_moves_on_behind_a_gap_is_no_gap() -> None:
    script = trimmed("skip")
    script.save()
    refuse(script)
    script.open_iterators()
    script.send(m.ReadFailed(script.one(m.Read).reader, source_error(ErrorKind.TRIMMED)))
    assert script.open_iterators()[0].position == BEGINNING
    assert len(gaps(script)) == 1


def test_behind_a_shard_that_is_gone_its_children_come() -> None:
    script = vanished("skip")
    script.save()
    refuse(script, ErrorKind.NOT_FOUND)
    write = script.one(m.Write)
    assert (write.batch.end.place, sequences(write)) == (Place.END, [])
    script.durable(write)
    script.claim()
    assert script.open_iterators()[-1].reader.shard == key(2)
    assert len(gaps(script)) == 1


@pytest.mark.parametrize("kind", [ErrorKind.TRIMMED, ErrorKind.NOT_FOUND])
def test_what_a_search_for_a_bad_change_was_looking_at_has_gone(kind: ErrorKind) -> None:
    """The places where its parts end are behind the gap: no empty part may stand for them."""
    script = Script(settings=settings("skip"), saved=BEGUN)
    script.flow(shard(1, closed=True))
    script.open_iterators()
    script.page(script.one(m.Read), *(change(sequence) for sequence in (6, 7, 8, 9)))
    script.fail(script.one(m.Write), ErrorKind.REJECTED)
    script.wait(1.0)
    for _ in range(2):
        refuse(script, kind)
        script.wait(1.0)
        script.save()
    if kind is ErrorKind.TRIMMED:
        script.open_iterators()
        script.page(script.one(m.Read), change(20), change(21))
    write = script.one(m.Write)
    gone = kind is ErrorKind.NOT_FOUND
    assert sequences(write) == ([] if gone else [20, 21])
    assert write.batch.end.place is (Place.END if gone else Place.AFTER)
    assert len(gaps(script)) == 1


def test_behind_a_new_stream_the_old_one_is_drained_first() -> None:
    old = replace(STREAM, arn=OLD, created_ms=STREAM.created_ms - 1000)
    of_old = replace(shard(1), key=ShardKey(OLD, "shard-1"))
    script = Script(settings=settings("skip"))
    script.send(m.Started())
    script.send(m.SinkOpened("a"))
    script.send(m.StreamsResolved([old]))
    script.send(m.ShardsListed(OLD, None, Listing((of_old,), complete=True)))
    script.save()
    script.claim()
    script.send(m.StreamsResolved([STREAM]))
    script.listing(shard(1))
    script.save()
    assert [gap.kind for gap in gaps(script)] == [GapKind.NEW_STREAM]
    assert not script.new(m.Claim), "the old stream is not drained"
    script.read(1, end=True)
    script.durable(script.one(m.Write))
    script.claim()
    assert script.open_iterators()[-1].position == BEGINNING


def test_another_table_of_the_name_is_told_from_a_stream_that_was_switched_off_and_on() -> None:
    (gap,) = gaps(new_table("halt"))
    assert gap.certain
    assert "deleted and created anew" in gap.reason
    assert "are to be deleted at the sink" in new_table("halt").lane(1).remedy
    (gap,) = gaps(new_stream("halt"))
    assert not gap.certain
    unknown = Saved(starts=[start_of(stream=OLD, table_id="")])
    assert gaps(new_stream("halt", unknown))[0].kind == GapKind.NEW_STREAM


def test_the_newest_table_counts() -> None:
    """The name had two tables; the stream of the second one is switched off and on."""
    first = replace(start_of(stream=OLD, table_id="former"), started_at=START - 10.0)
    saved = Saved(starts=[start_of(stream=OLD + "er"), first])
    assert gaps(new_stream("halt", saved))[0].kind == GapKind.NEW_STREAM


def test_a_table_id_that_an_earlier_version_did_not_save_is_saved() -> None:
    script = Script(saved=replace(BEGUN, starts=[start_of(table_id="")]))
    script.flow(shard(1))
    starts = [one for save in script.sent if isinstance(save, m.Save) for one in save.change.starts]
    assert starts == [start_of()]
    assert not gaps(script)


def test_two_streams_begin_when_their_own_starts_are_saved() -> None:
    """The starts of one stream are saved while those of another wait for the next save."""
    other = replace(STREAM, arn=STREAM.arn + "-2", table="parcels")
    script = Script()
    script.send(m.Started())
    script.send(m.SinkOpened("a"))
    script.send(m.StreamsResolved([STREAM, other]))
    script.listing(shard(1))
    first = script.one(m.Save)
    of_other = replace(shard(1), key=ShardKey(other.arn, "shard-1"))
    script.send(m.ShardsListed(other.arn, None, Listing((of_other,), complete=True)))
    script.send(m.CursorsSaved(first.change))
    assert [claim.shards for claim in script.new(m.Claim)] == [[key(1)]]
    script.wait(1.0)
    script.save()
    assert [claim.shards for claim in script.new(m.Claim)] == [[of_other.key]]


# What is no gap


def test_an_idle_shard_whose_last_change_expired_while_it_was_read_has_no_gap() -> None:
    """A day without a change, an hour without a process: what the position names has expired, and nothing else."""
    idle = cursor(1, last_created=START - 25 * HOUR, through=START - 600.0)
    script = Script(saved=replace(BEGUN, cursors=[idle]), wall=START + HOUR)
    script.flow(shard(1))
    refuse(script)
    assert not gaps(script)
    (opened,) = script.open_iterators()
    assert opened.position == BEGINNING
    script.page(script.one(m.Read), change(8))
    assert sequences(script.one(m.Write)) == [8]


@pytest.mark.parametrize(
    ("last_created", "through"),
    [
        (START - 60.0, START - 60.0),  # the service drops what is younger than a day: nothing is sure
        (START - 40 * HOUR, START - 24 * HOUR),  # nobody looked for a day
        (None, START - 600.0),  # saved by an earlier version
        (START - 25 * HOUR, None),
    ],
)
def test_without_evidence_a_place_that_expired_is_a_gap(
    last_created: float | None, through: float | None
) -> None:
    saved = replace(BEGUN, cursors=[replace(cursor(1), last_created=last_created, through=through)])
    (gap,) = gaps(trimmed("halt", saved))
    assert not gap.certain
    assert "cannot be known" in gap.reason


@pytest.mark.parametrize("hours", [1.0, 23.0])
def test_an_idle_table_and_a_process_that_was_away_for_hours_is_no_gap(hours: float) -> None:
    saved = Saved(cursors=[cursor(1, BEGINNING, through=START - 600.0)], starts=[start_of()])
    script = started("halt", saved, hours, 1)
    script.save()
    script.claim()
    assert not gaps(script)
    assert script.lane(1).state is LaneState.FLOWING


def test_an_idle_table_and_a_process_that_was_away_for_a_day_can_not_be_decided() -> None:
    (gap,) = gaps(unread("halt"))
    assert not gap.certain
    assert "2026-01-01T00:00:00Z to 2026-01-02T01:00:00Z cannot be known" in gap.reason


def test_a_wall_clock_that_jumps_makes_no_gap() -> None:
    script = Script()
    script.flow(shard(1))
    script.open_iterators()
    script.now = replace(script.now, wall=START + 200_000.0)
    script.page(script.one(m.Read))
    script.wait(2.0)
    assert not gaps(script)


def test_one_sink_alone_was_away() -> None:
    saved = Saved(cursors=[cursor(1), cursor(1, after("30"), "b")], starts=[start_of(), start_of("b")])
    script = Script("a", "b", settings=settings("skip"), saved=saved)
    script.flow(shard(1))
    low = next(one for one in script.open_iterators() if one.position == after("5"))
    script.send(m.ReadFailed(low.reader, source_error(ErrorKind.TRIMMED)))
    assert [gap.sink for gap in gaps(script)] == ["a"]


def test_a_sink_at_the_same_place_has_a_gap_of_its_own_although_another_goes_on_there() -> None:
    """`b` is claimed later, stands where `a` stood, and must not share what `a` reads behind its gap unseen."""
    saved = Saved(cursors=[cursor(1), cursor(1, sink="b")], starts=[start_of(), start_of("b")])
    script = Script("a", "b", settings=settings("skip"), saved=saved)
    script.start(shard(1), open_sinks=False)
    script.send(m.SinkOpened("a"))
    script.claim()
    for _ in range(2):
        refuse(script)
        script.save()
    script.open_iterators()
    script.page(script.one(m.Read))
    script.send(m.SinkOpened("b"))
    script.claim()
    script.wait(1.0)
    opened = script.open_iterators()[-1]
    assert opened.position == after("5"), "asked for again, for both"
    script.send(m.ReadFailed(opened.reader, source_error(ErrorKind.TRIMMED)))
    assert sorted(gap.sink for gap in gaps(script)) == ["a", "b"]
    assert all(gap.count == 1 for gap in gaps(script))


@pytest.mark.parametrize(
    ("at", "ahead", "quiet"),
    [
        (FIVE, {"last_created": START - 30 * HOUR}, True),
        (BEGINNING, {"last_created": START - 30 * HOUR}, True),
        (FIVE, {"last_created": START - HOUR}, False),  # it is still there, and will come
        (FIVE, {}, False),
    ],
)
def test_a_sink_behind_a_gap_has_read_what_there_is_although_another_had_more(
    at: Position, ahead: dict[str, float], quiet: bool
) -> None:
    """What `b` had after that is gone: no page will ever bring `a` to where `b` is."""
    saved = Saved(
        cursors=[cursor(1, at, through=START), cursor(1, after("30"), "b", through=START, **ahead)],
        starts=[start_of(), start_of("b")],
    )
    script = Script("a", "b", settings=settings("skip"), saved=saved)
    script.flow(shard(1))
    for _ in range(60):
        for opened in script.new(m.OpenIterator):
            if opened.position == FIVE:
                script.send(m.ReadFailed(opened.reader, source_error(ErrorKind.TRIMMED)))
            else:
                script.send(m.IteratorOpened(opened.reader, "it"))
        for read in script.new(m.Read):
            script.page(read)
        script.save()
        script.wait(0.2)
    assert script.lane(1, "b").evidence.lasted() >= 5.0
    assert (script.lane(1, "a").evidence.lasted() >= 5.0) == quiet


def test_two_sinks_behind_gaps_at_two_places_are_both_caught_up() -> None:
    saved = Saved(cursors=[cursor(1), cursor(1, after("30"), "b")], starts=[start_of(), start_of("b")])
    script = Script("a", "b", settings=settings("skip", until_caught_up=True), saved=saved)
    script.flow(shard(1))
    for _ in range(200):
        for opened in script.new(m.OpenIterator):
            if opened.position == BEGINNING:
                script.send(m.IteratorOpened(opened.reader, "it"))
            else:
                script.send(m.ReadFailed(opened.reader, source_error(ErrorKind.TRIMMED)))
        for read in script.new(m.Read):
            script.page(read)
        if script.new(m.ListShards):
            script.listing(shard(1))
        script.save()
        if script.stopped:
            break
        script.wait(0.2)
    assert script.stopped == m.Stop(0, "caught up")


def test_changes_that_another_sink_had_are_known_to_be_lost() -> None:
    saved = Saved(cursors=[cursor(1), cursor(1, end_of_shard("30"), "b")], starts=[start_of(), start_of("b")])
    script = Script("a", "b", saved=saved)
    script.flow(shard(1, closed=True))
    refuse(script, ErrorKind.NOT_FOUND)
    (gap,) = gaps(script)
    assert gap.certain
    assert gap.reason.endswith("changes are lost")


def test_a_position_that_was_set_by_hand_is_no_gap() -> None:
    by_hand = SavedGap("a", key(1), "orders", START, "set by hand", "reset to latest", GapKind.RESET.value)
    once = replace(by_hand, kind="", reason="reset by hand")
    assert [is_gap(gap) for gap in (by_hand, once, replace(once, reason="it expired"))] == [
        False,
        False,
        True,
    ]


# On resume


def test_a_saved_shard_that_is_gone_is_told_before_any_call_although_its_sink_is_down() -> None:
    script = Script(saved=BEGUN, wall=START + 30 * HOUR)
    script.start(shard(2, 1), open_sinks=False)
    (gap,) = gaps(script)
    assert (gap.kind, gap.shard, gap.after) == (GapKind.VANISHED, key(1), "5")
    assert not script.new(m.OpenIterator)


def test_a_sink_that_was_never_asked_whether_it_keeps_positions_is_asked_first() -> None:
    """What is saved at its start says nothing about that."""
    saved = Saved(cursors=[cursor(1, BEGINNING)], starts=[start_of()])
    script = Script(saved=saved, wall=START + 30 * HOUR)
    script.start(shard(2, 1))
    assert not gaps(script)
    script.claim(held={key(1): end_of_shard("9"), key(2): after("10")})
    script.wait(0.0)
    assert not gaps(script)


def test_a_sink_that_keeps_its_position_is_asked_first() -> None:
    """It may hold the end of a shard that the saved position does not know to be finished."""
    kept = replace(cursor(1), kept_by_sink=True)
    script = Script(saved=replace(BEGUN, cursors=[kept]), wall=START + 30 * HOUR)
    script.start(shard(2, 1))
    assert not gaps(script)
    script.claim(held={key(1): end_of_shard("9"), key(2): after("10")})
    assert not gaps(script)
    assert script.lane(1).state is LaneState.FINISHED


@pytest.mark.parametrize(("on_gap", "decision"), [("skip", SKIPPED), ("snapshot", SNAPSHOT_REQUESTED)])
@pytest.mark.parametrize("kind", ["trimmed", "vanished", ""])
def test_what_waits_is_decided_by_the_policy_of_the_next_start(
    on_gap: OnGap, decision: str, kind: str
) -> None:
    waiting = SavedGap("a", key(1), "orders", START, "it expired", kind=kind, after="5" if kind else "")
    other = replace(waiting, table="parcels", shard=ShardKey("parcels", "shard-1"))
    gone = replace(waiting, sink="not configured")
    saved = replace(BEGUN, gaps=[waiting, other, gone])
    script = started(on_gap, saved, 72.0, 1)
    begins(script)
    assert script.lane(1).state is not LaneState.HALTED
    decided = replace(waiting, decision=decision, decided_at=script.now.wall)
    if not kind:
        decided = replace(decided, after="5")
    assert gaps(script) == [decided, other, gone]
    assert script.save()[-1].change.gaps == [decided]
    script.wait(1.0)
    script.claim()
    refuse(script)
    assert script.open_iterators()[0].position == BEGINNING
    assert gaps(script) == [decided, other, gone]


def test_what_was_passed_over_stays_so_under_halt() -> None:
    passed = SavedGap("a", key(1), "orders", START, "it expired", SKIPPED, "trimmed", False, "5", START)
    script = trimmed("halt", replace(BEGUN, gaps=[passed]))
    assert gaps(script) == [passed]
    assert script.lane(1).state is LaneState.FLOWING


def test_a_second_gap_at_the_same_place_weeks_later_is_another() -> None:
    passed = SavedGap("a", key(1), "orders", START, "it expired", SKIPPED, "trimmed", False, "5", START)
    script = Script(settings=settings("skip"), saved=replace(BEGUN, gaps=[passed]), wall=START + 300 * HOUR)
    script.flow(shard(1))
    refuse(script)
    (gap,) = gaps(script)
    assert (gap.count, gap.found_at, gap.last_found_at) == (2, START, START + 300 * HOUR)


def test_a_second_gap_under_halt_waits_beside_the_first() -> None:
    passed = SavedGap("a", key(1), "orders", START, "it expired", SKIPPED, "trimmed", False, "3", START)
    script = trimmed("halt", replace(BEGUN, gaps=[passed]))
    assert [gap.decision for gap in gaps(script)] == [SKIPPED, ""]
    assert len({gap.key for gap in gaps(script)}) == 2, "also where both were found in one instant"


def test_a_shard_of_a_stream_that_is_gone_is_told_and_passed_over() -> None:
    of_old = SavedCursor("a", ShardKey(OLD, "shard-1"), after("5"), "orders", False, START)
    saved = Saved(cursors=[of_old], starts=[start_of(stream=OLD)])
    script = new_stream("skip", saved)
    assert [gap.kind for gap in gaps(script)] == [GapKind.STREAM_LEFT, GapKind.NEW_STREAM]
    script.save()
    script.wait(1.0)
    state = after_saves(script)
    again = new_stream("skip", state)
    assert [notice.fields["kind"] for notice in told(script)] == [gap.kind for gap in gaps(script)]
    assert not told(again)
    summed = next(gap for gap in gaps(again) if gap.kind == GapKind.STREAM_LEFT)
    assert (summed.shard.stream, summed.count, summed.found_at) == ("", 1, START + HOUR)
    again.save()
    again.wait(2.0)
    left = {cursor.shard.stream for cursor in after_saves(again, state).cursors}
    assert left == {STREAM.arn}, "nothing is left of the old stream but the sum"


@pytest.mark.parametrize("kind", [GapKind.TRIMMED, GapKind.RESET])
def test_another_decision_about_its_shard_does_not_hide_a_stream_that_is_gone(kind: GapKind) -> None:
    shard_ = ShardKey(OLD, "shard-1")
    cursor_ = SavedCursor("a", shard_, after("5"), "orders", False, START)
    before = SavedGap("a", shard_, "orders", START, "earlier", SKIPPED, kind.value)
    script = new_stream("halt", Saved([cursor_], [start_of(stream=OLD)], [before]))
    assert GapKind.STREAM_LEFT in [gap.kind for gap in gaps(script) if not gap.decision]


# What is shown


@pytest.mark.parametrize(("on_gap", "code"), [("halt", 3), ("snapshot", 3), ("skip", 0)])
def test_until_caught_up_ends_with_3_as_long_as_somebody_has_to_act(on_gap: OnGap, code: int) -> None:
    saved = replace(BEGUN, cursors=[cursor(1)])
    script = Script(settings=settings(on_gap, until_caught_up=True), saved=saved)
    script.flow(shard(1))
    for _ in range(300):
        for opened in script.new(m.OpenIterator):
            if opened.position == after("5"):
                script.send(m.ReadFailed(opened.reader, source_error(ErrorKind.TRIMMED)))
            else:
                script.send(m.IteratorOpened(opened.reader, "it"))
        for read in script.new(m.Read):
            script.page(read)
        if script.new(m.ListShards):
            script.listing(shard(1))
        script.save()
        if script.stopped:
            break
        script.wait(0.2)
    assert script.stopped is not None
    assert script.stopped.exit_code == code
    expected = {"halt": "cdc positions reset", "snapshot": "cannot take the snapshot", "skip": ""}[on_gap]
    assert expected in script.stopped.remedy
    assert len(status(script.engine.world).gaps) == 1


def test_until_caught_up_waits_for_a_decision_about_a_shard_that_has_left() -> None:
    """It was halted, and nothing of it is left but the record."""
    waits = SavedGap("a", key(7), "orders", START, "it expired", kind="parent-gone")
    asked = replace(waits, shard=key(8), decision=SNAPSHOT_REQUESTED)
    elsewhere = [replace(waits, sink="not configured"), replace(waits, shard=key(9), table="another")]
    script = Script(
        settings=settings("halt", until_caught_up=True), saved=replace(BEGUN, gaps=[asked, waits, *elsewhere])
    )
    script.flow(shard(1))
    for _ in range(60):
        script.open_iterators()
        for read in script.new(m.Read):
            script.page(read)
        if script.new(m.ListShards):
            script.listing(shard(1))
        script.save()
        script.wait(0.2)
    assert script.stopped is not None
    assert script.stopped.exit_code == 3
    assert "1 gaps that wait for a decision: sink a, table orders" in script.stopped.reason
    assert "cdc positions reset" in script.stopped.remedy


def test_a_gap_that_cannot_be_saved_says_why_its_shard_waits() -> None:
    script = trimmed("skip")
    (lane,) = (one for one in status(script.engine.world).lanes if one.shard == "shard-1")
    assert lane.waits_for == "a gap here is not saved yet"
    for _ in range(2):
        script.send(m.SaveFailed(script.new(m.Save)[-1].change, state_error()))
        script.wait(30.0)
    (lane,) = (one for one in status(script.engine.world).lanes if one.shard == "shard-1")
    assert lane.waits_for == "a gap here is not saved yet: it failed"


def test_a_request_is_withdrawn_by_skip_and_by_nothing_else() -> None:
    asked = SavedGap(
        "a", key(1), "orders", START, "it expired", SNAPSHOT_REQUESTED, "trimmed", False, "3", START
    )
    for on_gap, decision in (
        ("halt", SNAPSHOT_REQUESTED),
        ("snapshot", SNAPSHOT_REQUESTED),
        ("skip", SKIPPED),
    ):
        script = started(on_gap, replace(BEGUN, gaps=[asked]), 1.0, 1)  # type: ignore[arg-type]
        assert gaps(script) == [replace(asked, decision=decision)]


def test_gaps_of_shards_that_are_gone_are_added_up() -> None:
    """Rows stay bounded; nothing that was counted is forgotten."""
    state = replace(BEGUN, cursors=[cursor(number) for number in range(4)])
    for number in range(4):
        script = Script(settings=replace(settings("skip"), relist_seconds=10.0), saved=state)
        script.flow(*(shard(other, closed=True) for other in range(number, 4)), shard(9))
        for _ in range(2):
            opened = next(one for one in script.new(m.OpenIterator) if one.reader.shard == key(number))
            script.send(m.ReadFailed(opened.reader, source_error(ErrorKind.NOT_FOUND)))
            script.save()
        script.durable(script.one(m.Write))
        for _ in range(6):
            script.wait(10.5)
            script.listing(*(shard(other, closed=True) for other in range(number + 1, 4)), shard(9))
            script.save()
        script.wait(2.0)
        state = after_saves(script)
        (gap,) = state.gaps
        assert (gap.shard.stream, gap.kind, gap.decision) == ("", GapKind.VANISHED, SKIPPED)
        assert (gap.count, gap.found_at) == (number + 1, state.gaps[0].found_at)
        assert script.lane(9).state is LaneState.FLOWING
