from collections.abc import Sequence
from math import ceil, log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.core import messages as m
from cdc.core.lineage import LaneState
from cdc.core.world import Settings
from cdc.errors import ErrorKind
from cdc.model import BEGINNING, Place, after
from tests.unit.core.script import STREAM, Script, change, key, sequences, shard, state_error

ONE_ITERATOR = Settings(readers_per_shard=1, calls_per_shard=1000.0)


class Stream:
    """One shard with these records, and a sink that refuses every batch with one of the bad ones."""

    def __init__(
        self, records: Sequence[int], bad: Sequence[int], *, late: bool = False, limit: int | None = None
    ) -> None:
        self.script = Script(
            settings=Settings(readers_per_shard=1, calls_per_shard=1000.0, max_dead_letters_per_minute=limit)
        )
        self.records, self.bad, self.late = records, set(bad), late
        self.delivered: list[int] = []
        self.refusals = 0
        self.buried: list[int] = []
        self.at = BEGINNING
        self.script.flow(shard(1, closed=True))

    def turn(self) -> None:
        """Answers everything that is asked."""
        script = self.script
        for opened in script.new(m.OpenIterator):
            self.at = opened.position
            script.send(m.IteratorOpened(opened.reader, "it"))
        for read in script.new(m.Read):
            rest = [r for r in self.records if after(str(r)).order > self.at.order]
            script.page(read, *map(change, rest), end=True)
        for write in script.new(m.Write):
            assert write.batch.start.order == (script.lane(1).tracker.durable).order, "one part at a time"
            if self.late:
                script.accept(write)
            if self.bad & {*sequences(write)}:
                self.refusals += 1
                script.fail(write, ErrorKind.REJECTED)
            else:
                self.delivered += sequences(write)
                script.durable(write)
        for letters in script.new(m.WriteLetters):
            assert script.lane(1).tracker.durable.order < after(letters.rejects[0].sequence).order
            self.buried += [int(reject.sequence) for reject in letters.rejects]
            script.send(m.LettersWritten("a", key(1), letters.id))
        for flush in script.new(m.FlushSink):
            script.send(m.Flushed(flush.sink, None))
        script.wait(0.3)

    def run(self, turns: int = 400) -> None:
        while turns and self.script.lane(1).state is not LaneState.FINISHED:
            turns -= 1
            self.turn()


@given(st.sets(st.integers(1, 500), min_size=1, max_size=60), st.data(), st.booleans())
def test_all_but_the_bad_ones_are_delivered_once_and_in_order(
    records: set[int], data: st.DataObject, late: bool
) -> None:
    ordered = sorted(records)
    bad = data.draw(st.sets(st.sampled_from(ordered), max_size=5))
    stream = Stream(ordered, sorted(bad), late=late)
    stream.run()
    assert stream.script.lane(1).state is LaneState.FINISHED
    assert stream.delivered == [record for record in ordered if record not in bad]
    assert stream.buried == sorted(bad)
    assert stream.refusals <= len(bad) * (ceil(log2(len(ordered))) + 2)
    assert stream.script.lane(1).tracker.durable.place is Place.END


@pytest.mark.parametrize(("number", "most"), [(1, 2), (2, 3), (1000, 11)])
def test_one_bad_one_costs_no_more_than_halving_does(number: int, most: int) -> None:
    stream = Stream(range(1, number + 1), [number // 3 + 1])
    stream.run()
    assert stream.refusals <= most
    assert stream.buried == [number // 3 + 1]


def test_where_all_are_refused_the_limit_ends_it() -> None:
    stream = Stream(range(1, 1001), range(1, 1001), limit=30)
    stream.run(100)
    assert stream.buried == list(range(1, 31))
    assert stream.refusals == 10 + 31, "each is looked at once, and not a whole tree above it"
    assert stream.script.engine.world.sinks["a"].state.value == "halted"
    assert stream.script.lane(1).tracker.durable == after("30")


def test_the_letter_says_what_the_sink_said_and_holds_the_record() -> None:
    script = Script(settings=ONE_ITERATOR)
    script.flow(shard(1))
    script.read(7)
    script.fail(script.one(m.Write), ErrorKind.UNENCODABLE)
    letters = script.one(m.WriteLetters)
    (reject,) = letters.rejects
    assert (letters.stream, letters.shard) == (STREAM, key(1))
    assert (reject.sequence, reject.kind, reject.reason) == ("7", ErrorKind.UNENCODABLE, "away")
    assert b'"SequenceNumber":"7"' in reject.record


def test_the_sink_hears_of_the_place_only_when_the_letter_is_durable() -> None:
    script = Script(settings=ONE_ITERATOR)
    script.flow(shard(1))
    script.read(7)
    script.fail(script.one(m.Write), ErrorKind.REJECTED)
    letters = script.one(m.WriteLetters)
    script.send(m.LettersFailed("a", key(1), letters.id, state_error()))
    script.wait(5.0)
    assert script.one(m.WriteLetters) == letters
    assert not script.new(m.Read)
    script.send(m.LettersWritten("a", key(1), letters.id))
    empty = script.one(m.Write)
    assert (empty.batch.changes, empty.batch.start, empty.batch.end) == ((), BEGINNING, after("7"))
    assert script.lane(1).tracker.durable == BEGINNING
    script.durable(empty)
    assert script.lane(1).tracker.durable == after("7")
    script.wait(1.0)
    script.read(8)
    assert sequences(script.one(m.Write)) == [8]


def test_a_place_that_the_sink_was_not_told_in_time_comes_with_the_page() -> None:
    script = Script(settings=ONE_ITERATOR)
    script.flow(shard(1))
    script.read(7)
    script.fail(script.one(m.Write), ErrorKind.REJECTED)
    letters = script.one(m.WriteLetters)
    script.send(m.LettersWritten("a", key(1), letters.id))
    script.fail(script.one(m.Write))  # the sink is away
    script.wait(2.0)
    script.send(m.SinkOpened("a"))
    script.claim()
    script.wait(1.0)
    script.read(7, 8)
    empty = script.one(m.Write)
    assert (empty.batch.changes, empty.batch.end) == ((), after("7"))
    script.durable(empty)
    script.wait(1.0)
    script.read(8)
    assert sequences(script.one(m.Write)) == [8]
    assert not script.new(m.WriteLetters)


def test_a_change_behind_another_batch_is_given_alone_before_it_is_blamed() -> None:
    script = Script()
    script.flow(shard(1))
    script.read(1)
    first = script.one(m.Write)
    script.accept(first)
    script.page(script.one(m.Read), change(2))
    second = script.one(m.Write)
    script.fail(second, ErrorKind.REJECTED)  # its answer overtook that of the one before
    assert not script.new(m.WriteLetters)
    assert script.new(m.FlushSink), (
        "what came before is asked for, or nothing goes on at a sink that waits to be asked"
    )
    script.durable(first)
    script.wait(1.0)
    script.read(2)
    script.fail(script.one(m.Write), ErrorKind.REJECTED)
    assert [reject.sequence for reject in script.one(m.WriteLetters).rejects] == ["2"]


def test_an_empty_batch_that_is_refused_halts_the_shard() -> None:
    script = Script()
    script.flow(shard(1))
    script.read(end=True)
    script.fail(script.one(m.Write), ErrorKind.REJECTED)
    assert script.lane(1).state is LaneState.HALTED
    assert not script.new(m.WriteLetters)


def test_the_search_goes_on_after_the_sink_was_away() -> None:
    stream = Stream(range(1, 33), [20])
    script = stream.script
    while not script.lane(1).isolation.ends:
        stream.turn()
    while not (writes := script.new(m.Write)):
        for opened in script.new(m.OpenIterator):
            stream.at = opened.position
            script.send(m.IteratorOpened(opened.reader, "it"))
        for read in script.new(m.Read):
            rest = [r for r in stream.records if after(str(r)).order > stream.at.order]
            script.page(read, *map(change, rest), end=True)
        script.wait(0.3)
    script.fail(writes[0])
    script.wait(2.0)
    script.send(m.SinkOpened("a"))
    script.claim()
    stream.run()
    assert stream.buried == [20]
    assert stream.delivered == [record for record in range(1, 33) if record != 20]


def test_of_two_that_come_back_the_first_is_to_blame() -> None:
    script = Script()
    script.flow(shard(1))
    script.read(1, 2)
    script.accept(first := script.one(m.Write))
    script.page(script.one(m.Read), change(3))
    second = script.one(m.Write)
    script.fail(first, ErrorKind.REJECTED)
    script.fail(second, ErrorKind.REJECTED)
    assert script.notices().count("batch-refused") == 1
    assert [end.sequence for end in script.lane(1).isolation.ends] == ["1", "2"], "the second is not halved"


def test_after_the_signal_nothing_is_given_in_the_place_of_a_dead_letter() -> None:
    """The letter is durable; the next process is given the change again, and writes the same letter."""
    script = Script(settings=ONE_ITERATOR)
    script.flow(shard(1))
    script.read(7)
    script.fail(script.one(m.Write), ErrorKind.REJECTED)
    letters = script.one(m.WriteLetters)
    script.send(m.StopRequested())
    script.send(m.LettersWritten("a", key(1), letters.id))
    assert not script.new(m.Write)
    assert script.lane(1).tracker.durable == BEGINNING
