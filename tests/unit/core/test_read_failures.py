"""What the source refuses: what is tried again, what stops a shard, what ends the process."""

from cdc.core import messages as m
from cdc.core.lineage import LaneState
from cdc.core.world import Settings
from cdc.errors import ErrorKind, SourceError
from cdc.model import BEGINNING, Place, after
from cdc.ports import Saved, SavedCursor, SavedStart
from tests.unit.core.script import START, STREAM, Script, change, key, shard, source_error


def test_a_request_that_the_service_calls_wrong_halts_its_shard_at_all_sinks_that_read_there() -> None:
    script = Script("a", "b")
    script.flow(shard(1), shard(2))
    script.open_iterators()
    first, second = script.new(m.Read)
    script.send(m.ReadFailed(first.reader, source_error(ErrorKind.INVALID_REQUEST)))
    assert {script.lane(1, sink).state for sink in ("a", "b")} == {LaneState.HALTED}
    assert not script.lane(1).gap
    script.page(second, change(1))
    assert {write.batch.shard for write in script.new(m.Write)} == {key(2)}


def test_a_source_that_only_another_configuration_helps_ends_the_process() -> None:
    script = Script()
    script.flow(shard(1))
    (opened,) = script.new(m.OpenIterator)
    error = SourceError(ErrorKind.CONFIGURATION, "no such region", remedy="mend it")
    script.send(m.ReadFailed(opened.reader, error))
    assert script.stopped == m.Stop(1, "no such region", "mend it")


def test_failures_in_a_row_are_told_less_and_less_often() -> None:
    script = Script()
    script.flow(shard(1))
    for _ in range(9):
        (opened,) = script.new(m.OpenIterator)
        script.send(m.ReadFailed(opened.reader, source_error(ErrorKind.UNAVAILABLE)))
        script.wait(31.0)
    assert script.notices().count("read-failed") == 4, "the 1st, 2nd, 4th and 8th"


def test_a_read_that_was_throttled_is_asked_for_again_with_the_same_iterator() -> None:
    """It may stand at the newest record: another one would pass over what came in between."""
    script = Script(settings=Settings(start="latest"))
    script.flow(shard(1))
    (opened,) = script.open_iterators()
    assert opened.latest
    read = script.one(m.Read)
    script.send(m.ReadFailed(read.reader, source_error(ErrorKind.THROTTLED)))
    assert not script.new(m.Read)
    script.wait(2.0)
    assert script.one(m.Read) == read
    assert not script.new(m.OpenIterator)


def at(script_settings: Settings, **places: str) -> Script:
    """Sinks that were behind these records of shard 1. None is open."""
    cursors = [
        SavedCursor(sink, key(1), after(place), "orders", False, START) for sink, place in places.items()
    ]
    starts = [SavedStart(sink, STREAM.arn, "orders", "trim-horizon", START) for sink in places]
    script = Script(*places, settings=script_settings, saved=Saved(cursors, starts))
    script.start(shard(1), open_sinks=False)
    return script


def test_a_third_place_waits_until_one_of_the_two_readers_is_free() -> None:
    script = at(Settings(), a="5", b="30", c="2")
    for sink in ("a", "b"):
        script.send(m.SinkOpened(sink))
    script.claim()
    standing = {opened.position.sequence: opened.reader for opened in script.open_iterators()}
    assert set(standing) == {"5", "30"}
    reads = {read.reader: read for read in script.new(m.Read)}
    script.send(m.SinkOpened("c"))
    script.claim()
    assert not script.new(m.OpenIterator)
    assert script.engine.reading.count(key(1)) == 2
    script.page(reads[standing["5"]])
    (opened,) = script.new(m.OpenIterator)
    assert (opened.reader, opened.position) == (standing["5"], after("2"))


def test_where_the_only_reader_came_to_the_end_the_next_goes_to_those_that_are_behind() -> None:
    script = at(Settings(readers_per_shard=1), a="5", b="30", c="9")
    script.send(m.SinkOpened("b"))
    script.claim()
    script.open_iterators()
    read = script.one(m.Read)
    for sink in ("a", "c"):
        script.send(m.SinkOpened(sink))
    script.claim()
    script.page(read, end=True)
    (opened,) = script.new(m.OpenIterator)
    assert opened.position == after("9"), "the head of those that are left"
    assert script.engine.reading.count(key(1)) == 1


def test_the_end_of_a_shard_that_vanished_unread_waits_for_its_sink_like_any_batch() -> None:
    """A sink that proves itself has one batch at a time: the end comes when it has proved itself."""
    script = Script()
    script.flow(shard(1, closed=True), shard(2))
    script.open_iterators()
    first, second = script.new(m.Read)
    script.page(second, change(1))
    script.fail(script.one(m.Write))
    script.wait(1.0)
    script.send(m.SinkOpened("a"))
    script.claim()
    script.open_iterators()
    (again,) = script.new(m.Read)
    script.page(again, change(1))
    probe = script.one(m.Write)
    gone = source_error(ErrorKind.NOT_FOUND)
    script.send(m.ReadFailed(first.reader, gone))
    assert not script.new(m.Write)
    assert script.lane(1).state is LaneState.FLOWING
    assert script.lane(1).place == BEGINNING
    script.durable(probe)
    script.wait(1.0)
    (opened,) = [command for command in script.new(m.OpenIterator) if command.reader.shard == key(1)]
    script.send(m.ReadFailed(opened.reader, gone))
    (end,) = [write for write in script.new(m.Write) if write.batch.shard == key(1)]
    assert end.batch.end.place is Place.END
