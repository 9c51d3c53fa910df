"""A shard that all sinks have finished and that left the listing is forgotten. Answers about it may still come."""

from collections.abc import Callable

import pytest

from cdc.core import messages as m
from cdc.core.lineage import LaneState
from cdc.core.world import Settings
from cdc.errors import ErrorKind
from cdc.model import Page, after, end_of_shard
from cdc.ports import Saved, SavedCursor, SavedStart
from tests.unit.core.script import START, STREAM, Script, change, key, shard, source_error, state_error

QUICK = Settings(relist_seconds=1.0)

ANSWERS = {
    "a page": lambda reader: m.PageRead(reader, Page(b"{}", [change(6)], None)),
    "an iterator": lambda reader: m.IteratorOpened(reader, "it"),
    "a failure": lambda reader: m.ReadFailed(reader, source_error(ErrorKind.INVALID_REQUEST)),
}
Answer = Callable[[m.ReaderKey], m.Event]


def finished_while_read() -> tuple[Script, m.ReaderKey]:
    """Shard 1 is finished at both sinks, and the reader of the one that was behind has a call on its way."""
    saved = Saved(
        cursors=[
            SavedCursor("a", key(1), after("5"), "orders", False, START),
            SavedCursor("b", key(1), after("30"), "orders", False, START),
        ],
        starts=[SavedStart(sink, STREAM.arn, "orders", "trim-horizon", START) for sink in ("a", "b")],
    )
    script = Script("a", "b", settings=QUICK, saved=saved)
    script.flow(shard(1, closed=True), shard(2))
    at = {opened.position.sequence: opened.reader for opened in script.open_iterators()}
    reads = {read.reader: read for read in script.new(m.Read)}
    script.page(reads[at["30"]], end=True)
    script.page(reads[at[""]], change(1))
    for write in script.new(m.Write):
        if write.sink == "a":
            script.fail(write)
        else:
            script.durable(write)
    script.wait(2.0)
    script.send(m.SinkOpened("a"))
    script.claim(held={key(1): end_of_shard("40")})  # it had written more than was saved
    assert {script.lane(1, sink).state for sink in ("a", "b")} == {LaneState.FINISHED}
    return script, at["5"]


def leave(script: Script) -> None:
    """No listing has had shard 1 for as long as three of them take."""
    script.listing(shard(2))
    script.wait(3.5)
    script.listing(shard(2))
    assert script.engine.world.entry(key(1)) is None


@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_an_answer_about_a_shard_that_was_forgotten_changes_nothing(answer: Answer, back: bool) -> None:
    script, reader = finished_while_read()
    leave(script)
    if back:  # a listing is not consistent
        script.listing(shard(1, closed=True), shard(2))
    script.new(m.Write)
    told = script.notices()
    script.send(answer(reader))
    assert not script.new(m.Write)
    assert script.notices() == told
    assert script.engine.world.source_error is None
    assert script.engine.reading.count(key(1)) == 0


def test_what_was_due_on_a_shard_that_was_forgotten_is_not_done() -> None:
    script, _ = finished_while_read()
    script.engine.world.due.at(("shard", *key(1)), script.now.monotonic + 60.0)
    leave(script)
    before = len(script.sent)
    script.wait(60.0)
    calls = [one for one in script.sent[before:] if isinstance(one, m.Read | m.OpenIterator)]
    assert not [call for call in calls if call.reader.shard == key(1)]


def forgotten_while_saving() -> tuple[Script, m.Save]:
    script = Script(settings=QUICK)
    script.flow(shard(1, closed=True), shard(2))
    script.open_iterators()
    for read in script.new(m.Read):
        if read.reader.shard == key(1):
            script.page(read, change(1), end=True)
    script.save()
    script.durable(script.one(m.Write))
    saving = script.one(m.Save)
    assert [cursor.shard for cursor in saving.change.cursors] == [key(1)]
    leave(script)
    return script, saving


def test_a_row_that_was_being_saved_when_its_shard_was_forgotten_is_removed_by_the_next_save() -> None:
    script, saving = forgotten_while_saving()
    script.send(m.CursorsSaved(saving.change))
    script.wait(2.0)
    assert script.one(m.Save).change.forget == [("a", key(1))]


def test_a_row_that_could_not_be_saved_before_its_shard_was_forgotten_is_not_written_any_more() -> None:
    script, saving = forgotten_while_saving()
    script.send(m.SaveFailed(saving.change, state_error()))
    script.wait(2.0)
    change_ = script.one(m.Save).change
    assert key(1) not in [cursor.shard for cursor in change_.cursors]
    assert change_.forget == [("a", key(1))]
