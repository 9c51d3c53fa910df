import pytest

from cdc.core import messages as m
from cdc.core.lineage import LaneState
from cdc.core.world import Settings, SinkState
from cdc.errors import ErrorKind, SinkError
from cdc.model import BEGINNING, Place, Position, Reject, after, end_of_shard
from cdc.ports import Saved, SavedCursor, SavedStart
from tests.unit.core.script import START, STREAM, Script, change, key, sequences, shard, state_error

REJECT = Reject("1", ErrorKind.REJECTED, "refused", b"{}")


def flowing(*sinks: str, settings: Settings | None = None) -> Script:
    script = Script(*sinks, settings=settings)
    script.flow(shard(1))
    script.open_iterators()
    return script


def give(script: Script, *numbers: int, end: bool = False) -> m.Write:
    script.open_iterators()
    (read,) = script.new(m.Read)
    script.page(read, *(change(number) for number in numbers), end=end)
    return script.one(m.Write)


def state_of(script: Script) -> SinkState:
    return script.engine.world.sinks["a"].state


def saved_position(script: Script, sink: str = "a") -> Position:
    script.wait(2.0)
    cursors = [cursor for save in script.save() for cursor in save.change.cursors if cursor.sink == sink]
    return cursors[-1].position


def test_the_cursor_follows_what_is_durable_and_not_what_is_accepted() -> None:
    script = flowing()
    first = give(script, 1, 2)
    script.accept(first)
    second = give(script, 3)
    script.accept(second)
    script.durable(first)
    assert saved_position(script) == after("2")
    script.durable(second)
    assert saved_position(script) == after("3")


def test_there_is_one_unaccepted_batch() -> None:
    script = flowing()
    first = give(script, 1)
    script.wait(5.0)
    assert not script.new(m.Read)
    script.accept(first)
    assert script.new(m.Read)


def test_dead_letters_are_durable_before_the_cursor_moves() -> None:
    script = flowing()
    script.durable(give(script, 1, 2), [REJECT])
    letters = script.one(m.WriteLetters)
    assert letters.rejects == [REJECT]
    script.wait(3.0)
    assert script.lane(1).tracker.durable == BEGINNING
    script.send(m.LettersFailed("a", key(1), letters.id, state_error()))
    script.wait(5.0)
    again = script.one(m.WriteLetters)
    assert again == letters
    assert script.lane(1).tracker.durable == BEGINNING
    script.send(m.LettersWritten("a", key(1), letters.id))
    assert script.lane(1).tracker.durable == after("2")
    sink = script.engine.world.sinks["a"]
    assert (sink.delivered, sink.dead_letters) == (1, 1)


def test_a_batch_behind_open_dead_letters_waits_for_them() -> None:
    script = flowing()
    first = give(script, 1)
    script.accept(first)
    second = give(script, 2)
    script.durable(first, [REJECT])
    script.durable(second)
    assert script.lane(1).tracker.durable == BEGINNING
    script.send(m.LettersWritten("a", key(1), first.id))
    assert script.lane(1).tracker.durable == after("2")


def test_a_failure_hands_back_all_later_batches_and_they_come_again_in_order() -> None:
    script = flowing()
    writes = []
    for number in (1, 2, 3):
        writes.append(give(script, number))
        script.accept(writes[-1])
    script.durable(writes[0])
    script.fail(writes[1])
    assert script.engine.world.sinks["a"].state is SinkState.DOWN
    script.wait(5.0)
    script.send(m.SinkOpened("a"))
    assert not script.new(m.Claim), "batch 3 is still in the sink's hands"
    script.fail(writes[2])
    script.claim()
    (opened,) = script.open_iterators()
    assert opened.position == after("1")
    reads = [read for read in script.new(m.Read) if read.reader == opened.reader]
    script.page(reads[-1], change(2), change(3))
    assert sequences(script.one(m.Write)) == [2, 3]


def test_one_sink_down_leaves_the_others_alone() -> None:
    script = Script("a", "b")
    script.flow(shard(1))
    script.read(1)
    writes = {write.sink: write for write in script.new(m.Write)}
    script.durable(writes["b"])
    script.fail(writes["a"])
    for number in range(2, 6):
        (read,) = script.new(m.Read)
        script.page(read, change(number))
        (write,) = script.new(m.Write)
        assert write.sink == "b"
        script.durable(write)
        script.wait(0.3)


def test_a_sink_that_is_back_proves_itself_with_one_batch() -> None:
    script = Script()
    script.flow(shard(1), shard(2))
    script.open_iterators()
    for read in script.new(m.Read):
        script.page(read, change(1))
    for write in script.new(m.Write):
        script.fail(write)
    assert script.notices().count("sink-down") == 1
    script.wait(5.0)
    assert [command.sink for command in script.new(m.OpenSink)] == ["a"]
    script.send(m.SinkOpened("a"))
    assert state_of(script) is SinkState.PROBING
    script.claim()
    script.open_iterators()
    for read in script.new(m.Read):
        script.page(read, change(1))
    probe = script.one(m.Write)
    script.accept(probe)
    assert script.one(m.FlushSink).sink == "a"
    script.wait(5.0)
    assert not script.new(m.Write)
    script.durable(probe)
    assert state_of(script) is SinkState.UP
    assert "sink-is-back" in script.notices()
    script.wait(1.0)
    assert script.open_iterators()


def test_a_flush_that_failed_is_asked_for_again() -> None:
    script = flowing(settings=Settings(max_undurable_batches=1))
    script.accept(give(script, 1))
    assert script.new(m.FlushSink)
    script.send(m.Flushed("a", SinkError(ErrorKind.UNAVAILABLE, "away")))
    assert not script.new(m.Read), "no more may be given"
    script.wait(2.0)
    assert script.new(m.FlushSink)


def test_what_was_accepted_while_a_flush_ran_is_flushed_after_it() -> None:
    script = Script(settings=Settings(max_undurable_batches=1))
    script.flow(shard(1), shard(2))
    script.open_iterators()
    first, second = script.new(m.Read)
    script.page(first, change(1))
    script.page(second, change(2))
    one, two = script.new(m.Write)
    script.accept(one)
    assert script.new(m.FlushSink)
    script.accept(two)
    assert not script.new(m.FlushSink)
    script.send(m.Flushed("a", None))
    assert script.new(m.FlushSink)


def test_lanes_that_wait_for_old_batches_of_others_are_woken() -> None:
    """A probing sink takes one batch; when the last one from before is answered for, any lane may give it."""
    script = Script()
    script.flow(shard(1), shard(2))
    script.open_iterators()
    first, second = script.new(m.Read)
    script.page(first, change(1))
    script.page(second, change(2))
    one, two = script.new(m.Write)
    script.accept(one)
    script.fail(two)
    script.wait(5.0)
    script.send(m.SinkOpened("a"))
    script.claim()
    assert script.lane(2).state is LaneState.FLOWING
    script.open_iterators()
    script.new(m.Read)
    script.durable(one)
    script.claim()
    assert {opened.reader.shard for opened in script.open_iterators()} >= {key(2)} or {
        read.reader.shard for read in script.new(m.Read)
    } >= {key(2)}


def test_a_late_failure_of_an_earlier_opening_does_not_close_the_new_one() -> None:
    script = Script()
    script.flow(shard(1), shard(2))
    script.open_iterators()
    first, second = script.new(m.Read)
    script.page(first, change(1))
    script.page(second, change(2))
    one, two = script.new(m.Write)
    script.fail(one)
    script.wait(5.0)
    script.send(m.SinkOpened("a"))
    script.fail(two)
    assert script.engine.world.sinks["a"].state is SinkState.PROBING
    assert script.notices().count("sink-down") == 1


def test_an_answer_to_nothing_is_no_answer() -> None:
    script = flowing()
    write = give(script, 1)
    script.durable(write)
    script.durable(write)
    script.accept(write)
    script.fail(write)
    assert script.engine.world.sinks["a"].batches == 0
    assert script.engine.world.sinks["a"].unaccepted_bytes == 0
    assert script.lane(1).tracker.durable == after("1")


def test_a_batch_that_can_never_be_taken_halts_its_shard_alone_and_once() -> None:
    script = Script()
    script.flow(shard(1), shard(2))
    script.open_iterators()
    first, second = script.new(m.Read)
    script.page(first, change(1))
    one = script.one(m.Write)
    script.accept(one)
    (read,) = (read for read in script.new(m.Read) if read.reader.shard == key(1))
    script.page(read, change(2))
    two = script.one(m.Write)
    script.fail(one, ErrorKind.INVALID_REQUEST)
    script.fail(two, ErrorKind.INVALID_REQUEST)
    assert script.lane(1).state is LaneState.HALTED
    assert script.notices().count("shard-halted") == 1
    script.page(second, change(9))
    assert script.one(m.Write).batch.shard == key(2)


def test_a_halted_shard_outlives_the_next_failure_of_its_sink() -> None:
    script = Script()
    script.flow(shard(1), shard(2))
    script.open_iterators()
    first, second = script.new(m.Read)
    script.page(first, change(1))
    script.page(second, change(2))
    one, two = script.new(m.Write)
    script.fail(one, ErrorKind.INVALID_REQUEST)
    script.fail(two)
    script.wait(5.0)
    script.send(m.SinkOpened("a"))
    assert script.one(m.Claim).shards == [key(2)]


def test_a_fenced_process_ends() -> None:
    script = flowing()
    script.fail(give(script, 1), ErrorKind.FENCED)
    assert script.stopped is not None
    assert script.stopped.exit_code == 1
    assert script.stopped.remedy


def test_a_sink_that_only_another_configuration_helps_ends_it_with_2() -> None:
    script = Script()
    script.flow(shard(1))
    script.fail(give(script, 1), ErrorKind.CONFIGURATION)
    assert script.stopped is not None
    assert script.stopped.exit_code == 2


def test_a_sink_that_has_worked_and_is_called_wrong_since_is_its_own_trouble() -> None:
    """A bucket that moved, a store that was upgraded: the others go on, and it is tried again."""
    script = Script("a", "b")
    script.flow(shard(1))
    script.read(1)
    for write in script.new(m.Write):
        script.accept(write)
        script.durable(write)
    script.read(2)
    writes = {write.sink: write for write in script.new(m.Write)}
    script.fail(writes["a"], ErrorKind.CONFIGURATION)
    assert script.stopped is None
    script.durable(writes["b"])
    assert {name: sink.is_open for name, sink in script.engine.world.sinks.items()} == {"a": False, "b": True}
    script.wait(5.0)
    assert [command.sink for command in script.new(m.OpenSink)] == ["a"]


def test_a_child_waits_until_the_parents_end_is_durable() -> None:
    """Scenario 2."""
    script = Script("a", "b")
    script.flow(shard(1, closed=True), shard(2, 1), shard(3, 1))
    script.read(1, end=True)
    writes = {write.sink: write for write in script.new(m.Write)}
    script.accept(writes["a"])
    script.accept(writes["b"])
    assert not script.new(m.Claim)
    script.durable(writes["a"])
    claim = script.one(m.Claim)
    assert (claim.sink, claim.shards) == ("a", [key(2), key(3)])


def test_an_end_that_becomes_durable_after_its_sink_was_lost_counts() -> None:
    script = Script()
    script.flow(shard(1, closed=True), shard(2), shard(3, 1))
    script.open_iterators()
    first, second = script.new(m.Read)
    script.page(first, change(1), end=True)
    script.page(second, change(2))
    one, two = script.new(m.Write)
    script.accept(one)
    script.fail(two)
    script.durable(one)
    assert script.lane(1).state is LaneState.FINISHED
    script.wait(5.0)
    script.send(m.SinkOpened("a"))
    assert script.one(m.Claim).shards == [key(2), key(3)]


def test_claims_are_asked_for_again_after_they_failed() -> None:
    script = Script()
    script.start(shard(1))
    claim = script.one(m.Claim)
    script.send(m.ClaimFailed("a", claim.shards, SinkError(ErrorKind.UNAVAILABLE, "away")))
    assert script.engine.world.sinks["a"].state is SinkState.DOWN
    script.wait(5.0)
    script.send(m.SinkOpened("a"))
    assert script.one(m.Claim).shards == [key(1)]


def test_a_claim_that_is_answered_when_its_sink_is_lost_counts_for_nothing() -> None:
    script = Script()
    script.flow(shard(1, closed=True), shard(2), shard(3, 1))
    script.open_iterators()
    first, second = script.new(m.Read)
    script.page(first, end=True)
    script.page(second, change(2))
    one, two = script.new(m.Write)
    script.durable(one)
    claim = script.one(m.Claim)
    script.fail(two)
    script.send(m.Claimed("a", claim.shards, None))
    assert script.lane(3).state is LaneState.UNCLAIMED
    script.wait(5.0)
    script.send(m.SinkOpened("a"))
    assert key(3) in script.one(m.Claim).shards


def resumed(position: Position, *, kept: bool) -> Script:
    saved = Saved(
        cursors=[SavedCursor("a", key(1), position, "orders", kept, START)],
        starts=[SavedStart("a", STREAM.arn, "orders", "trim-horizon", START)],
    )
    script = Script(saved=saved)
    script.start(shard(1))
    return script


def test_the_sinks_own_position_counts_where_it_is_farther() -> None:
    script = resumed(after("5"), kept=True)
    script.claim(held={key(1): after("9")})
    assert script.one(m.OpenIterator).position == after("9")
    assert saved_position(script) == after("9")


def test_a_sink_that_lost_its_position_is_halted() -> None:
    script = resumed(after("5"), kept=True)
    script.claim(held={})
    assert script.lane(1).state is LaneState.HALTED
    assert "lost" in script.lane(1).halted_because


@pytest.mark.parametrize("position", [BEGINNING, end_of_shard()])
def test_a_position_that_was_never_given_to_the_sink_can_not_be_lost(position: Position) -> None:
    """An idle shard; and one that was closed when `latest` began."""
    script = resumed(position, kept=False)
    script.claim(held={})
    assert script.lane(1).state in (LaneState.FLOWING, LaneState.FINISHED)
    script.wait(2.0)
    assert not any(cursor.kept_by_sink for save in script.save() for cursor in save.change.cursors)


def test_a_durable_batch_is_kept_by_a_sink_that_keeps_positions() -> None:
    script = Script()
    script.flow(shard(1), held={})
    script.read(1)
    script.durable(script.one(m.Write))
    script.wait(2.0)
    assert [cursor.kept_by_sink for save in script.save() for cursor in save.change.cursors][-1]


def test_positions_carry_the_reset_epoch() -> None:
    saved = Saved(
        cursors=[SavedCursor("a", key(1), after("5", epoch=3), "orders", False, START)],
        starts=[SavedStart("a", STREAM.arn, "orders", "trim-horizon", START)],
        epochs={"a": 3},
    )
    script = Script(saved=saved)
    script.flow(shard(1), held={key(1): after("99", epoch=2)})
    (opened,) = script.open_iterators()
    assert opened.position.sequence == "5", "what is older than the reset does not count"
    script.page(script.one(m.Read), change(7))
    write = script.one(m.Write)
    assert write.batch.end == after("7", epoch=3)
    script.durable(write)
    assert saved_position(script) == after("7", epoch=3)


def test_a_cursor_from_before_a_reset_is_not_used() -> None:
    saved = Saved(
        cursors=[SavedCursor("a", key(1), after("5", epoch=1), "orders", False, START)],
        starts=[SavedStart("a", STREAM.arn, "orders", "trim-horizon", START)],
        epochs={"a": 2},
    )
    script = Script(saved=saved)
    script.flow(shard(1))
    assert script.one(m.OpenIterator).position.place is Place.BEGINNING


@pytest.mark.parametrize(
    ("first", "given"), [(5, {"a": [5, 9], "b": [9]}), (6, {"a": [6, 9]}), (None, {"a": []})]
)
def test_a_page_from_the_oldest_record_on_is_for_nobody_whose_place_may_have_expired(
    first: int | None, given: dict[str, list[int]]
) -> None:
    """What lay between b's place and the oldest record that is left would be passed over, and nobody be told."""
    saved = Saved(
        [SavedCursor("b", key(1), after("5"), STREAM.table, False, START)],
        [SavedStart(sink, STREAM.arn, STREAM.table, "trim-horizon", START) for sink in "ab"],
    )
    script = Script("a", "b", saved=saved)
    script.start(shard(1, closed=True))
    script.claim()
    oldest = next(one for one in script.new(m.OpenIterator) if one.position == BEGINNING)
    script.send(m.IteratorOpened(oldest.reader, "it"))
    changes = [] if first is None else [change(first), change(9)]
    script.page(script.one(m.Read), *changes, end=True)
    assert {write.sink: sequences(write) for write in script.new(m.Write)} == given
