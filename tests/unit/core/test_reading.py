from dataclasses import replace

import pytest

from cdc.core import messages as m
from cdc.core.lineage import LaneState
from cdc.core.world import Settings
from cdc.errors import ErrorKind
from cdc.model import BEGINNING, Page, Place, Position, after
from cdc.ports import Saved, SavedCursor, SavedStart
from tests.unit.core.script import START, STREAM, Script, change, key, sequences, shard, source_error


def saved_at(settings: Settings | None = None, **places: Position) -> Script:
    """Sinks that were at these places on shard 1."""
    saved = Saved(
        cursors=[SavedCursor(sink, key(1), place, "orders", False, START) for sink, place in places.items()],
        starts=[SavedStart(sink, STREAM.arn, "orders", "trim-horizon", START) for sink in places],
    )
    script = Script(*places, settings=settings, saved=saved)
    script.flow(shard(1))
    return script


def places(script: Script) -> list[str]:
    return [command.position.sequence for command in script.new(m.OpenIterator)]


def test_sinks_at_one_place_share_one_reader() -> None:
    script = saved_at(a=after("5"), b=after("5"), c=after("5"))
    assert places(script) == ["5"]


def test_two_places_are_read_with_two_iterators_and_no_others() -> None:
    script = saved_at(a=after("5"), b=after("1000"))
    where = {opened.reader: int(opened.position.sequence) for opened in script.open_iterators()}
    for _ in range(20):
        for read in script.new(m.Read):
            where[read.reader] += 1
            script.page(read, change(where[read.reader]))
        for write in script.new(m.Write):
            script.durable(write)
        script.wait(0.5)
    assert sorted(where.values()) == [25, 1020]
    assert not script.new(m.OpenIterator)


def test_a_reader_that_is_needed_where_it_stands_is_not_taken_away() -> None:
    saved = Saved(
        cursors=[
            SavedCursor("a", key(1), after("5"), "orders", False, START),
            SavedCursor("b", key(1), after("30"), "orders", False, START),
        ],
        starts=[SavedStart(sink, STREAM.arn, "orders", "trim-horizon", START) for sink in ("a", "b")],
    )
    script = Script("a", "b", saved=saved)
    script.start(shard(1), open_sinks=False)
    script.send(m.SinkOpened("b"))
    script.claim()
    (head,) = script.open_iterators()
    script.page(script.one(m.Read))
    script.send(m.SinkOpened("a"))
    script.claim()
    (low,) = script.open_iterators()
    assert low.position == after("5")
    assert low.reader != head.reader


def test_going_elsewhere_on_a_throttled_shard_is_no_way_around_waiting() -> None:
    saved = Saved(
        cursors=[
            SavedCursor("a", key(1), after("5"), "orders", False, START),
            SavedCursor("b", key(1), after("30"), "orders", False, START),
            SavedCursor("a", key(2), after("5"), "orders", False, START),
        ],
        starts=[SavedStart(sink, STREAM.arn, "orders", "trim-horizon", START) for sink in ("a", "b")],
    )
    script = Script("a", "b", settings=Settings(readers_per_shard=1), saved=saved)
    script.flow(shard(1), shard(2))
    opened = {one.reader.shard: one for one in script.new(m.OpenIterator) if one.position == after("5")}
    script.send(m.IteratorOpened(opened[key(2)].reader, "it"))
    script.page(script.one(m.Read), change(6))
    script.send(m.ReadFailed(opened[key(1)].reader, source_error(ErrorKind.THROTTLED)))
    script.new(m.OpenIterator)
    for write in script.new(m.Write):
        script.fail(write)  # a is down: shard 1 is read for b alone
    script.engine.world.touch(key(1))
    script.wait(0.2)
    script.send(m.Tick())
    assert not [one for one in script.new(m.OpenIterator) if one.reader.shard == key(1)]
    script.wait(1.0)
    assert [one.position for one in script.new(m.OpenIterator) if one.reader.shard == key(1)] == [after("30")]


def test_three_places_are_two_readers_the_farthest_and_the_hindmost() -> None:
    script = saved_at(a=after("5"), b=after("30"), c=after("9"))
    assert set(places(script)) == {"30", "5"}
    assert script.engine.reading.count(key(1)) == 2


def test_a_global_table_has_one_reader_that_goes_back_and_forth() -> None:
    script = saved_at(Settings(readers_per_shard=1), a=after("5"), b=after("30"))
    read_at = []
    numbers = {"head": 100, "low": 5}
    for _ in range(40):
        for opened in script.new(m.OpenIterator):
            script.send(
                m.IteratorOpened(opened.reader, "head" if int(opened.position.sequence) >= 30 else "low")
            )
        reads = script.new(m.Read)
        assert len(reads) <= 1
        assert script.engine.reading.count(key(1)) == 1
        for read in reads:
            read_at.append(read.iterator)
            numbers[read.iterator] += 1
            page = Page(b"x", [change(numbers[read.iterator])], read.iterator)
            script.send(m.PageRead(read.reader, page))
        for write in script.new(m.Write):
            script.durable(write)
        script.wait(0.5)
        if numbers["low"] >= 29:
            break
    text = "".join(side[0] for side in read_at)
    assert "hhhh" not in text, "at most three pages of the head in a row"
    assert "lll" in text


def test_a_reader_that_goes_back_and_forth_gets_past_empty_pages_on_both_sides() -> None:
    """A new iterator would begin before the empty pages again, and a turn is shorter than there are of them."""
    script = saved_at(Settings(readers_per_shard=1), a=after("5"), b=after("30"))
    empty = {"head": 10, "low": 10}
    opened_at = []
    for _ in range(120):
        for opened in script.new(m.OpenIterator):
            side = "head" if int(opened.position.sequence) >= 30 else "low"
            opened_at.append(side)
            script.send(m.IteratorOpened(opened.reader, f"{side} {empty[side]}"))
        for read in script.new(m.Read):
            side, _, left = read.iterator.partition(" ")
            changes = [] if int(left) else [change(31 if side == "head" else 6)]
            script.send(m.PageRead(read.reader, Page(b"x", changes, f"{side} {int(left) - 1}")))
        if script.new(m.Write):
            break
        script.wait(0.5)
    else:
        raise AssertionError("nothing was ever read")
    assert sorted(opened_at) == ["head", "low"]


def test_a_page_goes_to_whoever_stands_within_it_and_only_what_is_after() -> None:
    script = saved_at(Settings(readers_per_shard=1), a=after("5"), b=after("7"), c=after("20"))
    assert script.open_iterators()[0].position == after("5")
    script.page(script.one(m.Read), *(change(number) for number in (6, 7, 8, 9)))
    given = {write.sink: sequences(write) for write in script.new(m.Write)}
    assert given == {"a": [6, 7, 8, 9], "b": [8, 9]}


def test_a_sink_that_has_not_accepted_is_waited_for_a_moment_and_then_left_behind() -> None:
    script = Script("a", "b", settings=Settings(grace_seconds=0.25))
    script.flow(shard(1))
    script.read(1)
    writes = script.new(m.Write)
    script.accept(writes[0])
    assert not script.new(m.Read), "b may still accept"
    script.wait(0.3)
    (read,) = script.new(m.Read)
    script.page(read, change(2))
    assert [write.sink for write in script.new(m.Write)] == ["a"]


def test_the_hindmost_has_at_least_one_call_in_four() -> None:
    script = saved_at(Settings(calls_per_shard=1.0), a=after("5"), b=after("1000"))
    sides = []
    behind, ahead = 5, 1000
    where: dict[int, str] = {}
    for _ in range(400):
        for opened in script.new(m.OpenIterator):
            where[opened.reader.number] = "low" if opened.position == after(str(behind)) else "head"
            sides.append(where[opened.reader.number])
            script.send(m.IteratorOpened(opened.reader, "it"))
        for read in script.new(m.Read):
            side = where[read.reader.number]
            sides.append(side)
            if side == "low":
                behind += 1
            else:
                ahead += 1
            script.page(read, change(behind if side == "low" else ahead))
        for write in script.new(m.Write):
            script.durable(write)
        script.wait(0.25)
        assert script.engine.reading.count(key(1)) <= 2
    text = "".join(side[0] for side in sides)
    assert len(text) > 80
    assert "hhhh" not in text
    assert text.count("h") >= text.count("l")


def test_an_expired_iterator_is_opened_again_after_the_last_record_that_was_read() -> None:
    script = Script(settings=Settings(start="latest"))
    script.flow(shard(1))
    (first,) = script.open_iterators()
    assert first.latest
    script.page(script.one(m.Read), change(7))
    script.accept(script.one(m.Write))
    (read,) = script.new(m.Read)
    script.send(m.ReadFailed(read.reader, source_error(ErrorKind.ITERATOR_EXPIRED)))
    again = script.one(m.OpenIterator)
    assert again.position == after("7")
    assert not again.latest


def test_an_iterator_that_expires_before_a_record_was_read_is_never_latest_again() -> None:
    script = Script(settings=Settings(start="latest"))
    script.flow(shard(1))
    script.open_iterators()
    script.send(m.ReadFailed(script.one(m.Read).reader, source_error(ErrorKind.ITERATOR_EXPIRED)))
    again = script.one(m.OpenIterator)
    assert again.position.place is Place.BEGINNING
    assert again.position.not_before == START - 120.0
    assert not again.latest


def test_an_old_iterator_is_not_used_any_more() -> None:
    script = Script(settings=Settings(iterator_seconds=10.0, idle_poll_seconds=20.0))
    script.flow(shard(1))
    for _ in range(12):
        script.open_iterators()
        for read in script.new(m.Read):
            script.page(read)
        script.wait(20.0)
    assert script.new(m.OpenIterator)


def test_a_start_at_latest_that_comes_late_reads_from_the_beginning_by_time() -> None:
    """What came between the start and a sink that was down is its to have."""
    script = Script(settings=Settings(start="latest"))
    script.start(shard(1), open_sinks=False)
    script.wait(60.0)
    script.send(m.SinkOpened("a"))
    script.claim()
    (opened,) = script.open_iterators()
    assert not opened.latest
    old, new = change(1, START - 500.0), change(2, START + 1.0)
    script.page(script.one(m.Read), old, new)
    assert sequences(script.one(m.Write)) == [2]


def test_what_an_iterator_at_latest_passed_over_is_only_for_whom_it_was_opened() -> None:
    script = Script("a", "b", settings=Settings(start="latest"))
    script.start(shard(1), open_sinks=False)
    script.send(m.SinkOpened("a"))
    script.claim()
    (first,) = script.open_iterators()
    assert first.latest
    script.wait(60.0)
    (read,) = script.new(m.Read)
    script.send(m.SinkOpened("b"))
    script.claim()
    script.page(read, change(50, START + 61.0))
    assert {write.sink for write in script.new(m.Write)} == {"a"}
    opened = script.open_iterators()
    assert [(one.position.place, one.latest) for one in opened if one.position.place is Place.BEGINNING] == [
        (Place.BEGINNING, False)
    ]


def test_what_came_back_of_a_start_at_latest_is_not_asked_for_at_latest_again() -> None:
    script = Script(settings=Settings(start="latest"))
    script.flow(shard(1))
    script.read(7)
    script.fail(script.one(m.Write))
    script.wait(2.0)
    script.send(m.SinkOpened("a"))
    script.claim()
    (again,) = script.open_iterators()
    assert again.position.place is Place.BEGINNING
    assert not again.latest


def test_empty_pages_are_asked_for_less_and_less_and_a_record_ends_that() -> None:
    script = Script(settings=Settings(idle_poll_seconds=1.0))
    script.flow(shard(1))
    script.open_iterators()
    pauses = []
    last = script.now.monotonic
    for _ in range(8):
        (read,) = script.new(m.Read)
        script.page(read)
        while not (due := script.engine.next_due()) or due < last:
            pass
        begin = script.now.monotonic
        while not any(isinstance(command, m.Read) for command in script.sent[-3:]) or not _read_is_due(
            script
        ):
            script.wait(0.05)
        pauses.append(round(script.now.monotonic - begin, 2))
    assert pauses[0] <= 0.15
    assert pauses == sorted(pauses)
    assert 0.9 <= pauses[-1] <= 1.1
    (read,) = script.new(m.Read)
    script.page(read, change(1))
    script.accept(script.one(m.Write))
    assert script.new(m.Read), "after records at once"


def _read_is_due(script: Script) -> bool:
    reads = [command for command in script.sent if isinstance(command, m.Read)]
    return len(reads) > script._seen.get(m.Read, 0)


def test_calls_keep_to_the_budget() -> None:
    script = Script(settings=Settings(calls_per_shard=5.0))
    script.flow(shard(1))
    calls = len(script.open_iterators())
    for number in range(1, 400):
        for read in script.new(m.Read):
            calls += 1
            script.page(read, change(number))
        for write in script.new(m.Write):
            script.durable(write)
        script.wait(0.05)
    assert calls <= 5 + 400 * 0.05 * 5 + 1
    assert calls >= 400 * 0.05 * 5 - 5


def test_a_throttled_shard_is_tried_later_and_the_others_go_on() -> None:
    """Scenario 7."""
    script = Script()
    script.flow(shard(1), shard(2))
    first, second = script.new(m.OpenIterator)
    script.send(m.ReadFailed(first.reader, source_error(ErrorKind.THROTTLED)))
    script.send(m.IteratorOpened(second.reader, "it"))
    assert script.one(m.Read).reader == second.reader
    assert not script.new(m.OpenIterator)
    script.wait(1.0)
    assert script.one(m.OpenIterator).reader == first.reader
    assert script.engine.world.source_error is not None


def test_the_last_page_is_delivered_and_then_the_shard_ends() -> None:
    """Scenario 1, both shapes."""
    script = Script()
    script.flow(shard(1), shard(2))
    script.open_iterators()
    first, second = script.new(m.Read)
    script.page(first, change(1), end=True)
    write = script.one(m.Write)
    assert sequences(write) == [1]
    assert write.batch.end.place is Place.END
    script.page(second, change(2))
    script.accept(script.one(m.Write))
    (read,) = script.new(m.Read)
    script.page(read, end=True)
    empty = script.one(m.Write)
    assert sequences(empty) == []
    assert (empty.batch.start, empty.batch.end.place) == (after("2"), Place.END)


def test_trimmed_records_are_a_gap_of_the_sinks_that_stood_there() -> None:
    script = saved_at(a=after("5"), b=after("30"))
    low = next(opened for opened in script.open_iterators() if opened.position == after("5"))
    script.send(m.ReadFailed(low.reader, source_error(ErrorKind.TRIMMED)))
    assert script.lane(1, "a").gap
    assert not script.lane(1, "b").gap
    assert not script.new(m.OpenIterator)


def test_the_oldest_record_may_move_on_under_a_fresh_iterator() -> None:
    script = Script()
    script.flow(shard(1))
    script.open_iterators()
    script.send(m.ReadFailed(script.one(m.Read).reader, source_error(ErrorKind.TRIMMED)))
    assert not script.lane(1).gap
    assert script.one(m.OpenIterator).position == BEGINNING


@pytest.mark.parametrize("hours", [23.0, 25.0])
def test_a_shard_that_nobody_read_for_a_day_may_have_lost_its_oldest_records(hours: float) -> None:
    """No call tells: TRIM_HORIZON is whatever is left."""
    script = Script("a", "b")
    script.start(shard(1), open_sinks=False)
    script.send(m.SinkOpened("b"))
    script.claim()
    for _ in range(int(hours)):
        script.open_iterators()
        for read in script.new(m.Read):
            script.page(read)
        script.wait(3600.0)
    script.send(m.SinkOpened("a"))
    script.claim()
    assert script.lane(1, "a").gap == (hours > 24.0)
    assert not script.lane(1, "b").gap


def test_a_sink_that_failed_for_a_moment_has_not_forgotten_how_far_an_idle_shard_was_read() -> None:
    script = Script()
    script.flow(shard(1), shard(2))
    for _ in range(25):
        script.open_iterators()
        for read in script.new(m.Read):
            script.page(read)
        script.wait(3600.0)
    script.open_iterators()
    other = next(read for read in script.new(m.Read) if read.reader.shard == key(2))
    script.page(other, change(1))
    script.fail(script.one(m.Write))
    script.wait(2.0)
    script.send(m.SinkOpened("a"))
    script.claim()
    assert script.lane(1).state is LaneState.FLOWING
    assert not script.lane(1).gap


def test_a_shard_that_vanished_before_the_sink_began_ends_there() -> None:
    """Scenario 9."""
    script = Script()
    script.flow(shard(1, closed=True), shard(2, 1))
    (opened,) = script.new(m.OpenIterator)
    script.send(m.ReadFailed(opened.reader, source_error(ErrorKind.NOT_FOUND)))
    write = script.one(m.Write)
    assert (write.batch.end.place, sequences(write)) == (Place.END, [])
    script.durable(write)
    script.claim()
    assert script.one(m.OpenIterator).reader.shard == key(2)


@pytest.mark.parametrize("hours", [1.0, 30.0])
def test_a_shard_that_vanished_under_a_sink_that_began_long_ago_is_a_gap(hours: float) -> None:
    script = Script()
    script.start(shard(1, closed=True), open_sinks=False)
    script.engine.world.settings = replace(script.engine.world.settings, retention_seconds=1e9)
    script.wait(hours * 3600.0)
    script.send(m.SinkOpened("a"))
    script.claim()
    (opened,) = script.new(m.OpenIterator)
    script.send(m.ReadFailed(opened.reader, source_error(ErrorKind.NOT_FOUND)))
    assert script.lane(1).gap == (hours > 23.0)


def test_nothing_is_read_for_a_sink_that_is_down() -> None:
    script = Script("a", "b")
    script.start(shard(1), open_sinks=False)
    script.wait(30.0)
    assert not script.new(m.OpenIterator)


def test_room_that_comes_back_bit_by_bit_is_used() -> None:
    """A lane that found the sink's share of memory used up looks again, although half of it is never free."""
    script = Script(settings=Settings(max_unaccepted_bytes=1000))
    script.flow(*(shard(number) for number in range(4)))
    script.open_iterators()
    reads = {read.reader.shard: read for read in script.new(m.Read)}
    script.page(reads[key(0)], *(change(number) for number in range(1, 7)))
    script.page(reads[key(1)], *(change(number) for number in range(11, 16)))
    _, second = script.new(m.Write)
    script.page(reads[key(2)], change(30))
    assert not script.new(m.Write)
    script.accept(second)
    script.wait(2.0)
    again = [opened for opened in script.open_iterators() if opened.reader.shard == key(2)]
    assert again
    script.page(next(read for read in script.new(m.Read) if read.reader.shard == key(2)), change(30))
    assert [write.batch.shard for write in script.new(m.Write)] == [key(2)]
