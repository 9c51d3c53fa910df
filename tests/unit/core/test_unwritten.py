"""What the pipeline itself cannot write is seen while it lasts: its state, and dead letters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.core import messages as m
from cdc.core import policy
from cdc.core.status import LaneStatus, SinkStatus, Status, status
from cdc.core.unwritten import SHOWN_AFTER_SECONDS, failed_again
from cdc.errors import DeadLetterError, ErrorKind
from cdc.model import Reject
from cdc.observe.health import readiness
from tests.unit.core.script import STREAM, Script, change, key, shard, state_error

FULL = "the dead letters in letters: No space left on device"
STATE_REMEDY = policy.STATE[ErrorKind.UNAVAILABLE].remedy


def now(script: Script) -> Status:
    script.engine.world.now = script.now
    return status(script.engine.world)


def ready(script: Script) -> tuple[str, ...]:
    return readiness(now(script), tables=["orders"], sinks=["a"]).reasons


def sink_of(script: Script) -> SinkStatus:
    (sink,) = now(script).sinks
    return sink


def lanes(script: Script) -> dict[str, LaneStatus]:
    return {lane.shard: lane for lane in now(script).lanes}


def refused(*shards: int) -> tuple[Script, dict[int, m.WriteLetters]]:
    """The first change of each of these shards has to become a dead letter; a last shard has none."""
    script = Script()
    script.flow(*map(shard, (*shards, 9)))
    script.open_iterators()
    for read in script.new(m.Read):
        if read.reader.shard != key(9):
            script.page(read, change(1))
    for write in script.new(m.Write):
        script.durable(write, [Reject("1", ErrorKind.REJECTED, "too large", b"{}")])
    asked = script.new(m.WriteLetters)
    return script, {number: command for number in shards for command in asked if command.shard == key(number)}


def fail(script: Script, letters: m.WriteLetters, reason: str = FULL) -> None:
    error = DeadLetterError(ErrorKind.UNAVAILABLE, reason)
    script.send(m.LettersFailed("a", letters.shard, letters.id, error))


def test_letters_that_cannot_be_written_are_seen_from_the_second_failure_until_they_are() -> None:
    script, asked = refused(1)
    fail(script, asked[1])
    assert not sink_of(script).letters_error, "a moment that the next try ends"
    assert not ready(script)
    script.wait(1.0)
    fail(script, asked[1])
    assert (sink_of(script).letters_error, sink_of(script).letters_remedy) == (FULL, STATE_REMEDY)
    assert sink_of(script).state == "up", "what can be delivered is"
    assert ready(script) == (f"sink a: dead letters cannot be written: {FULL}",)
    assert lanes(script)[key(1).shard].waits_for == f"its dead letters cannot be written: {FULL}"
    assert not lanes(script)[key(9).shard].waits_for
    script.send(m.LettersWritten("a", key(1), asked[1].id))
    assert not sink_of(script).letters_error
    assert not sink_of(script).letters_remedy
    assert not lanes(script)[key(1).shard].waits_for
    assert not ready(script)


def test_letters_of_other_shards_that_can_be_written_do_not_hide_those_that_cannot() -> None:
    """A small line may have room on a disk where a long one has not."""
    script, asked = refused(1, 2)
    for _ in range(2):
        fail(script, asked[1])
    script.send(m.LettersWritten("a", key(2), asked[2].id))
    assert sink_of(script).letters_error == FULL
    assert lanes(script)[key(1).shard].waits_for
    assert not lanes(script)[key(2).shard].waits_for


def test_the_last_reason_counts() -> None:
    script, asked = refused(1)
    fail(script, asked[1])
    fail(script, asked[1], "read-only file system")
    assert sink_of(script).letters_error == "read-only file system"


def test_a_late_failure_of_what_was_written_is_none() -> None:
    script, asked = refused(1)
    script.send(m.LettersWritten("a", key(1), asked[1].id))
    for _ in range(3):
        fail(script, asked[1])
    assert not sink_of(script).letters_error


def test_a_state_that_cannot_be_saved_is_seen_from_the_second_failure_until_it_can() -> None:
    script = Script()
    script.flow(shard(1))
    script.save()
    script.read(1)
    script.durable(script.one(m.Write))
    script.wait(1.1)
    script.send(m.SaveFailed(script.one(m.Save).change, state_error()))
    assert not now(script).save_error
    script.wait(1.0)
    script.send(m.SaveFailed(script.one(m.Save).change, state_error()))
    assert (now(script).save_error, now(script).save_remedy) == ("it failed", STATE_REMEDY)
    assert ready(script) == ("state: it cannot be saved: it failed",)
    assert not lanes(script)[key(1).shard].waits_for, "changes are delivered all the same"
    script.wait(1.0)
    assert script.save()
    assert not now(script).save_error
    assert not ready(script)


def test_shards_whose_start_cannot_be_saved_wait_for_that() -> None:
    script = Script()
    script.send(m.Started())
    script.send(m.SinkOpened("a"))
    script.send(m.StreamsResolved([STREAM]))
    script.listing(shard(1))
    for _ in range(2):
        script.send(m.SaveFailed(script.one(m.Save).change, state_error()))
        script.wait(1.0)
    assert lanes(script)[key(1).shard].waits_for == "where it begins is not saved: it failed"
    assert ready(script) == ("state: it cannot be saved: it failed",)
    script.save()
    script.claim()
    assert not lanes(script)[key(1).shard].waits_for


@pytest.mark.parametrize(
    ("seconds", "shown"), [(SHOWN_AFTER_SECONDS - 0.5, False), (SHOWN_AFTER_SECONDS, True)]
)
def test_one_failure_is_seen_when_its_next_try_takes_too_long(seconds: float, shown: bool) -> None:
    script, asked = refused(1)
    fail(script, asked[1])
    script.wait(seconds)
    assert bool(sink_of(script).letters_error) is shown


@given(st.lists(st.floats(0, 100), min_size=1, max_size=8))
def test_failures_in_a_row_begin_with_the_first(pauses: list[float]) -> None:
    at, unwritten = 1000.0, None
    for pause in pauses:
        at += pause
        unwritten = failed_again(unwritten, state_error(), at)
    assert unwritten is not None
    assert (unwritten.since, unwritten.failures) == (1000.0 + pauses[0], len(pauses))
    assert unwritten.is_shown(at) is (len(pauses) > 1)
