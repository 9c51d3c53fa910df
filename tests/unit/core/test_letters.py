from cdc.core import messages as m
from cdc.core.status import status
from cdc.core.world import Settings, SinkState
from cdc.errors import DeadLetterError, ErrorKind, SinkError
from cdc.model import Reject, after
from tests.unit.core.script import Script, change, key, sequences, shard


def rejects(*numbers: int) -> list[Reject]:
    return [Reject(str(number), ErrorKind.REJECTED, "too large", b"{}") for number in numbers]


def limited(limit: int | None, *sinks: str) -> Script:
    script = Script(*sinks, settings=Settings(max_dead_letters_per_minute=limit))
    script.flow(shard(1))
    script.open_iterators()
    return script


def refuse(script: Script, *numbers: int) -> list[m.WriteLetters]:
    """The next page's changes are refused one by one; what is asked for is written."""
    script.wait(1.0)
    script.open_iterators()
    for read in script.new(m.Read):
        script.page(read, *map(change, numbers))
    for write in script.new(m.Write):
        if write.sink == "a":
            script.durable(write, rejects(*numbers))
        else:
            script.durable(write)
    letters = script.new(m.WriteLetters)
    for command in letters:
        script.send(m.LettersWritten(command.sink, key(1), command.id))
    return letters


def test_as_many_as_are_allowed_and_not_one_more() -> None:
    script = limited(3)
    assert refuse(script, 1)
    assert refuse(script, 2, 3)
    assert not refuse(script, 4)
    assert script.lane(1).tracker.durable == after("3")
    assert script.engine.world.sinks["a"].state is SinkState.HALTED
    assert script.notices().count("sink-halted") == 1
    script.wait(120.0)
    assert not script.new(m.Write), "it is given nothing more"
    assert not script.new(m.OpenSink)


def test_a_batch_with_more_than_a_minute_may_have_is_not_passed_and_none_of_it_written() -> None:
    script = limited(3)
    assert not refuse(script, 1, 2, 3, 4)
    assert script.lane(1).tracker.durable.sequence == ""
    assert script.engine.world.sinks["a"].dead_letters == 0


def test_the_minute_slides() -> None:
    script = limited(2)
    assert refuse(script, 1)
    script.wait(30.0)
    assert refuse(script, 2)
    script.wait(29.0)  # the first is a minute ago, and with it out of the count
    assert refuse(script, 3)
    assert not refuse(script, 4)


def test_without_a_limit_there_is_none() -> None:
    script = limited(None)
    for number in range(1, 200):
        assert refuse(script, number)


def test_the_same_letter_again_counts_once() -> None:
    script = limited(1)
    script.page(script.one(m.Read), change(1))
    write = script.one(m.Write)
    script.durable(write, rejects(1))
    letters = script.one(m.WriteLetters)
    sink, entry = script.engine.world.sinks["a"], script.engine.world.entry(key(1))
    assert entry is not None
    assert script.engine._delivery._letters.write(sink, 99, entry.stream, key(1), letters.rejects)


def test_the_other_sinks_go_on() -> None:
    script = limited(0, "a", "b")
    refuse(script, 1)
    assert script.engine.world.sinks["a"].state is SinkState.HALTED
    refuse(script, 2)
    assert script.lane(1, "b").tracker.durable == after("2")
    assert script.lane(1, "a").tracker.durable.sequence == ""


def test_what_an_operator_sees() -> None:
    script = limited(0)
    refuse(script, 1)
    (sink,) = status(script.engine.world).sinks
    assert sink.state == "halted"
    assert "1 changes were refused within a minute" in sink.error
    assert "too large" in sink.error
    assert "max_dead_letters_per_minute" in sink.remedy


def test_late_answers_do_not_bring_it_back() -> None:
    script = limited(0)
    refuse(script, 1)
    sink = script.engine.world.sinks["a"]
    before = sink.error
    script.send(m.SinkFailed("a", SinkError(ErrorKind.UNAVAILABLE, "away")))
    script.send(m.ClaimFailed("a", [], SinkError(ErrorKind.UNAVAILABLE, "away")))
    script.wait(60.0)
    assert sink.state is SinkState.HALTED
    assert sink.error is before


def test_what_was_on_its_way_still_becomes_durable() -> None:
    script = limited(0)
    script.page(script.one(m.Read), change(1))
    first = script.one(m.Write)
    script.accept(first)
    script.page(script.one(m.Read), change(2))
    second = script.one(m.Write)
    script.durable(second, rejects(2))
    assert script.new(m.FlushSink)
    script.durable(first)
    assert script.lane(1).tracker.durable == after("1")
    script.send(m.StopRequested())
    script.wait(1.0)
    script.save()
    script.wait(1.0)
    assert script.stopped is not None
    assert script.stopped.exit_code == 0


def test_a_batch_that_comes_back_while_its_letters_are_written_is_given_again() -> None:
    """They are durable, and counted; the place behind them is not passed, since the one before it came back."""
    script = limited(None)
    script.page(script.one(m.Read), change(1))
    script.accept(first := script.one(m.Write))
    script.page(script.one(m.Read), change(2), change(3))
    script.durable(second := script.one(m.Write), rejects(2))
    letters = script.one(m.WriteLetters)
    script.fail(first)
    script.send(m.LettersWritten("a", key(1), letters.id))
    sink = script.engine.world.sinks["a"]
    assert (sink.delivered, sink.redelivered, sink.dead_letters) == (0, 3, 1)
    assert script.lane(1).tracker.durable.sequence == ""
    script.wait(2.0)
    script.send(m.SinkOpened("a"))
    script.claim()
    script.open_iterators()
    for read in script.new(m.Read):
        script.page(read, *map(change, (1, 2, 3)))
    assert sequences(script.one(m.Write)) == [1, *sequences(second)]


def test_letters_that_are_told_twice_are_counted_once() -> None:
    script = limited(None)
    (letters,) = refuse(script, 1)
    script.send(m.LettersWritten("a", key(1), letters.id))
    assert script.engine.world.sinks["a"].dead_letters == 1
    assert script.lane(1).tracker.durable == after("1")


def test_letters_that_only_another_configuration_helps_end_the_process() -> None:
    script = limited(None)
    script.page(script.one(m.Read), change(1))
    script.durable(script.one(m.Write), rejects(1))
    letters = script.one(m.WriteLetters)
    error = DeadLetterError(ErrorKind.STATE_FORMAT, "a newer form", remedy="take the newer version")
    script.send(m.LettersFailed("a", key(1), letters.id, error))
    assert script.stopped == m.Stop(1, "dead letters of sink a: a newer form", "take the newer version")
