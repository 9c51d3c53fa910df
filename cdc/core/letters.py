"""Dead letters: asked for until they are durable, and no more in a minute than is allowed."""

from collections.abc import Sequence

from cdc.core import policy
from cdc.core.messages import LettersFailed, LettersWritten, WriteLetters
from cdc.core.opening import Opening
from cdc.core.unwritten import failed_again
from cdc.core.world import SinkEntry, SinkEvent, SinkState, World
from cdc.errors import ErrorKind, SinkError
from cdc.model import Reject, ShardKey, Stream

_MINUTE_SECONDS = 60.0
_REMEDY = (
    "see the reasons (`cdc dead-letters list`), mend the cause or raise dead_letters.max_dead_letters_per_minute, and "
    "start again: nothing is lost as long as the stream keeps it"
)


class Letters:
    """The engine's side of `DeadLetters`."""

    def __init__(self, world: World, opening: Opening) -> None:
        self._world = world
        self._opening = opening
        self._open: dict[int, WriteLetters] = {}

    def write(
        self,
        sink: SinkEntry,
        id: int,  # noqa: A002 - the commands' own word
        stream: Stream,
        shard: ShardKey,
        rejects: Sequence[Reject],
    ) -> bool:
        """Asks for the letters of one batch. False: it is not allowed, since the sink is halted, or now was.

        The letters of one batch belong together: the cursor passes all of them or none. So a batch with more of them
        than a minute may have is not passed at all, and none of them is written.
        """
        if sink.state is SinkState.HALTED or not self._within_the_limit(sink, shard, rejects):
            return False
        letters = WriteLetters(sink.name, id, stream, shard, rejects)
        self._open[id] = letters
        self._world.emit(letters)
        return True

    def written(self, event: LettersWritten) -> WriteLetters | None:
        """What is durable now; None for an answer to nothing."""
        letters = self._open.pop(event.id, None)
        self._world.sinks[event.sink].unwritten_letters.pop(event.id, None)
        if letters is None:
            return None
        self._world.sinks[event.sink].dead_letters += len(letters.rejects)
        self._world.notice(
            "error",
            "dead-letters-written",
            sink=event.sink,
            shard=event.shard.shard,
            count=len(letters.rejects),
            first_sequence=letters.rejects[0].sequence,
            reason=letters.rejects[0].reason,
        )
        return letters

    def failed(self, event: LettersFailed) -> None:
        """The cursor does not pass what is not safe: tried again until it is."""
        letters = self._open.get(event.id)
        if letters is None:
            return
        rule = policy.rule(policy.STATE, event.error)
        if rule.action is not policy.Action.RETRY:
            self._world.stop(1, f"dead letters of sink {event.sink}: {event.error.message}", rule.remedy)
            return
        failing = self._world.sinks[event.sink].unwritten_letters
        _, before = failing.get(event.id, (letters.shard, None))
        unwritten = failed_again(before, event.error, self._world.now.monotonic)
        failing[event.id] = (letters.shard, unwritten)
        self._world.notice(
            "error", "dead-letters-failed", sink=event.sink, reason=event.error.message, remedy=rule.remedy
        )
        self._world.later("letters", (event.sink, str(event.id)), policy.backoff(unwritten.failures))

    def again(self, id: int) -> None:  # noqa: A002 - the commands' own word
        self._world.emit(self._open[id])

    def _within_the_limit(self, sink: SinkEntry, shard: ShardKey, rejects: Sequence[Reject]) -> bool:
        limit = self._world.settings.max_dead_letters_per_minute
        if limit is None:
            return True
        now, recent = self._world.now.monotonic, sink.recent_letters
        while recent and (oldest := next(iter(recent.items())))[1] <= now - _MINUTE_SECONDS:
            del recent[oldest[0]]
        # One that came again, since the batch did, is the same letter.
        new = [(shard, reject.sequence) for reject in rejects if (shard, reject.sequence) not in recent]
        if len(recent) + len(new) > limit:
            self._halt(sink, rejects[0], limit, len(recent) + len(new))
            return False
        recent.update(dict.fromkeys(new, now))
        return True

    def _halt(self, sink: SinkEntry, reject: Reject, limit: int, number: int) -> None:
        """A flood says something about the destination or the schema, not about single changes. The others go on."""
        reason = (
            f"{number} changes were refused within a minute, and {limit} may become dead letters; the last: "
            f"{reject.reason}"
        )
        if sink.batches:
            self._opening.flush(sink)
        sink.move(SinkEvent.HALT)
        sink.error, sink.remedy = SinkError(ErrorKind.REJECTED, reason), _REMEDY
        self._world.notice("error", "sink-halted", sink=sink.name, reason=reason, remedy=_REMEDY)
        self._world.touch_all(sink)
