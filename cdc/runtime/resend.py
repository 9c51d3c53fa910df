"""Dead letters as batches: given to their sink again, and marked once they are durable there."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, replace
from typing import TypeVar

import msgspec

from cdc.core import policy
from cdc.errors import CdcError, ErrorKind, SinkError
from cdc.model import BEGINNING, Batch, Change, EncodedBatch, Stream, after
from cdc.ports import Clock, DeadLetter, DeadLetters, Lease, StateStore
from cdc.runtime.dispatch import Outlet

T = TypeVar("T")

PATIENCE_SECONDS = 60.0
"""How long a sink may take for one step."""
_LOOK_SECONDS = 0.25
"""How often the lease is looked at meanwhile."""
_MOST_LETTERS = 100
_MOST_BYTES = 4 << 20
"""Of one batch."""
_ARN = re.compile(r"arn:[^:]*:dynamodb:(?P<region>[^:]*):(?P<account>[^:]*):")


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of one letter. `problem` is empty if it is durable at its sink now; else it stays open."""

    letter: DeadLetter
    problem: str = ""


class Heartbeat:
    """Keeps the lease while others are waited for."""

    def __init__(self, state: StateStore, lease: Lease, lease_seconds: float, clock: Clock) -> None:
        self._state = state
        self._lease = lease
        self._clock = clock
        self._every = lease_seconds / 3
        self._due = clock.now().monotonic + self._every

    def beat(self) -> None:
        now = self._clock.now()
        if now.monotonic >= self._due:
            self._state.renew(self._lease, now=now.wall)
            self._due = now.monotonic + self._every

    def await_(self, future: "Future[T]", what: str) -> T:
        """
        Raises:
            SinkError: `UNAVAILABLE` after a minute; else what the future raises.
        """
        deadline = self._clock.now().monotonic + PATIENCE_SECONDS
        while not future.done():
            wait([future], timeout=min(_LOOK_SECONDS, self._every))
            self.beat()
            if not future.done() and self._clock.now().monotonic >= deadline:
                raise SinkError(ErrorKind.UNAVAILABLE, f"{what}: no answer for {PATIENCE_SECONDS:.0f} s")
        return future.result()


class Sender:
    """Sends the letters of one sink, through its own encoder and thread.

    Args:
        streams: by table, the present one.
        guarded: for how many seconds versions keep a late put from bringing a deleted item back; older ones are not
            sent. None: all are.
    """

    def __init__(
        self,
        outlet: Outlet,
        streams: Mapping[str, Stream],
        letters: DeadLetters,
        heart: Heartbeat,
        clock: Clock,
        guarded: float | None,
        tell: Callable[[Replayed], None],
    ) -> None:
        self._outlet = outlet
        self._streams = streams
        self._letters = letters
        self._heart = heart
        self._clock = clock
        self._guarded = guarded
        self._tell = tell

    def send(self, letters: Sequence[DeadLetter]) -> None:
        """In order; what follows another shard or stream only when everything before it is durable."""
        self._call("open", self._outlet.sink.open)
        self._call("claim", lambda: self._outlet.sink.claim(list({letter.shard for letter in letters})))
        for shard_letters in _runs(letters):
            for part in _parts(shard_letters):
                self._part(part)

    def _part(self, letters: Sequence[DeadLetter]) -> None:
        """Of one shard. Marks are durable before the next part is sent: a crash sends this one twice at most."""
        changes: dict[str, Change] = {}
        sendable = []
        for letter in letters:
            read = self._read(letter)
            if isinstance(read, Change):
                changes[letter.sequence] = read
                sendable.append(letter)
            else:
                self._tell(Replayed(letter, read))
        if sendable:
            self._deliver(sendable, changes)

    def _deliver(self, letters: Sequence[DeadLetter], changes: Mapping[str, Change]) -> None:
        try:
            refused = self._write(self._batch(letters, changes))
        except CdcError as error:
            if policy.rule(policy.SINK, error).action is not policy.Action.ISOLATE:
                raise
            if len(letters) > 1:
                for letter in letters:
                    self._deliver([letter], changes)
                return
            refused = {letters[0].sequence: error.message}
        done = [letter for letter in letters if letter.sequence not in refused]
        self._letters.mark_replayed(done, self._clock.now().wall)
        for letter in letters:
            self._tell(Replayed(letter, refused.get(letter.sequence, "")))
        self._heart.beat()

    def _write(self, batch: Batch) -> dict[str, str]:
        """The reasons of those that are refused, by sequence number; all others are durable."""
        sink, encoder = self._outlet.sink, self._outlet.encoder
        encoded = EncodedBatch(batch) if encoder is None else encoder.encode(batch)
        receipt = self._call("write", lambda: sink.write(encoded))
        self._await(receipt.accepted, "write")
        if not receipt.durable.done():
            # A flush that fails says so by the receipt, where it matters.
            self._call("flush", lambda: sink.flush(deadline=PATIENCE_SECONDS))
        durability = self._await(receipt.durable, "write")
        return {reject.sequence: reject.reason for reject in (*encoded.rejects, *durability.rejects)}

    def _read(self, letter: DeadLetter) -> Change | str:
        """The change of a letter, or why it cannot be sent."""
        try:
            change = msgspec.json.decode(letter.record, type=Change)
            keys = msgspec.json.decode(change.dynamodb.keys or b"{}", type=dict[str, msgspec.Raw])
        except (msgspec.DecodeError, UnicodeDecodeError):
            return "its record cannot be read"
        if change.sequence != letter.sequence:
            return "its record is that of another change"
        names = {attribute.name for attribute in self._streams[letter.table].key}
        if keys and keys.keys() != names:
            return f"the table {letter.table} has another key than it had then"
        age = self._clock.now().wall - change.created
        if self._guarded is not None and change.event_name != "REMOVE" and age >= self._guarded:
            return (
                "it is older than deletes are remembered at this sink: it could bring back an item that was deleted "
                "since; send it with --force if it was not"
            )
        return change

    def _batch(self, letters: Sequence[DeadLetter], changes: Mapping[str, Change]) -> Batch:
        first = letters[0]
        present = self._streams[first.table]
        arn = _ARN.match(first.shard.stream)
        stream = replace(
            present,
            arn=first.shard.stream,
            created_ms=first.created_ms,
            region=arn["region"] if arn else present.region,
            account=arn["account"] if arn else present.account,
        )
        return Batch(
            stream,
            first.shard,
            BEGINNING,
            after(letters[-1].sequence),
            [changes[letter.sequence] for letter in letters],
            self._clock.now().wall,
            b'{"Records":[%b]}' % b",".join(letter.record for letter in letters),
            replayed=True,
        )

    def _call(self, what: str, call: Callable[[], T]) -> T:
        """On the sink's own thread, which makes all its calls."""
        return self._await(self._outlet.thread.submit(call), what)

    def _await(self, future: "Future[T]", what: str) -> T:
        return self._heart.await_(future, f"sink {self._outlet.sink.name}: {what}")


def _runs(letters: Sequence[DeadLetter]) -> Iterator[list[DeadLetter]]:
    """By shard, a parent before its children: their numbers begin where its end."""
    shards: dict[object, list[DeadLetter]] = {}
    for letter in letters:
        shards.setdefault((letter.table, letter.shard), []).append(letter)
    yield from shards.values()


def _parts(letters: Sequence[DeadLetter]) -> Iterator[list[DeadLetter]]:
    part: list[DeadLetter] = []
    size = 0
    for letter in letters:
        if part and (len(part) >= _MOST_LETTERS or size + len(letter.record) > _MOST_BYTES):
            yield part
            part, size = [], 0
        part.append(letter)
        size += len(letter.record)
    if part:
        yield part
