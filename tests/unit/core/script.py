"""An engine that is played by hand: each event is sent, each command answered, one by one."""

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from cdc.core import messages as m
from cdc.core.engine import Engine
from cdc.core.lineage import Lane
from cdc.core.world import Settings
from cdc.errors import CdcError, ErrorKind, SinkError, SourceError, StateError
from cdc.model import Change, Images, Listing, Page, Position, Reject, Shard, ShardKey
from cdc.ports import Instant, Saved
from cdc.testing.batches import stream_of

STREAM = stream_of()
START = 1_767_225_600.0
C = TypeVar("C")


def key(number: int) -> ShardKey:
    return ShardKey(STREAM.arn, f"shard-{number}")


def shard(number: int, parent: int | None = None, *, closed: bool = False) -> Shard:
    name = None if parent is None else f"shard-{parent}"
    return Shard(key(number), name, ending_sequence="9" if closed else None)


def change(sequence: int, created: float = START) -> Change:
    return Change(
        "INSERT",
        Images(
            sequence_number=str(sequence),
            approximate_creation_date_time=created,
            keys=msgspec.Raw(b'{"pk":{"S":"a"}}'),
        ),
    )


class Script:
    """`sent` is every command so far; `new(kind)` those since the last look."""

    def __init__(
        self, *sinks: str, settings: Settings | None = None, saved: Saved | None = None, wall: float = START
    ) -> None:
        self.saved = saved or Saved()
        self.engine = Engine(settings or Settings(), sinks or ("a",), self.saved)
        self.now = Instant(1000.0, wall)
        self.sent: list[m.Command] = []
        self._seen: dict[type[object], int] = {}

    def send(self, event: m.Event) -> list[m.Command]:
        commands = self.engine.handle(event, self.now)
        self.sent += commands
        return commands

    def wait(self, seconds: float) -> None:
        """Lets time pass, ticking whenever something is due."""
        end = self.now.monotonic + seconds
        while (due := self.engine.next_due()) is not None and due <= end and not self.stopped:
            self._go_to(max(due, self.now.monotonic))
            self.send(m.Tick())
        self._go_to(end)

    def _go_to(self, monotonic: float) -> None:
        self.now = Instant(monotonic, self.now.wall + monotonic - self.now.monotonic)

    def new(self, kind: type[C]) -> list[C]:
        everything: Sequence[object] = self.sent
        found = [command for command in everything if isinstance(command, kind)]
        begin = self._seen.get(kind, 0)
        self._seen[kind] = len(found)
        return found[begin:]

    def one(self, kind: type[C]) -> C:
        (command,) = self.new(kind)
        return command

    @property
    def stopped(self) -> m.Stop | None:
        return next((command for command in self.sent if isinstance(command, m.Stop)), None)

    def notices(self) -> list[str]:
        return [command.event for command in self.sent if isinstance(command, m.Notice)]

    def lane(self, number: int, sink: str = "a") -> Lane:
        lane = self.engine.world.lane(sink, key(number))
        assert lane is not None
        return lane

    # Answers

    def start(self, *shards: Shard, open_sinks: bool = True) -> None:
        """Up to the claims: the stream is resolved, listed, and the starts are saved."""
        self.send(m.Started())
        if open_sinks:
            for command in self.new(m.OpenSink):
                self.send(m.SinkOpened(command.sink))
        self.send(m.StreamsResolved([STREAM]))
        self.listing(*shards)
        self.save()

    def flow(self, *shards: Shard, held: dict[ShardKey, Position] | None = None) -> None:
        """Up to the first reads."""
        self.start(*shards)
        self.claim(held=held)

    def claim(self, held: dict[ShardKey, Position] | None = None) -> None:
        while claims := self.new(m.Claim):
            for command in claims:
                self.send(m.Claimed(command.sink, command.shards, held))

    def listing(self, *shards: Shard, parent: ShardKey | None = None) -> None:
        self.new(m.ListShards)
        self.send(m.ShardsListed(STREAM.arn, parent, Listing(shards, complete=parent is None)))

    def save(self) -> list[m.Save]:
        saves = self.new(m.Save)
        for command in saves:
            self.send(m.CursorsSaved(command.change))
        return saves

    def open_iterators(self) -> list[m.OpenIterator]:
        commands = self.new(m.OpenIterator)
        for command in commands:
            self.send(m.IteratorOpened(command.reader, f"it-{command.reader.number}"))
        return commands

    def page(self, read: m.Read, *changes: Change, end: bool = False) -> None:
        body = b"x" * (100 * len(changes))
        self.send(m.PageRead(read.reader, Page(body, changes, None if end else "it")))

    def read(self, *sequences: int, end: bool = False) -> None:
        """Answers the only read there is."""
        self.open_iterators()
        self.page(self.one(m.Read), *(change(sequence) for sequence in sequences), end=end)

    def accept(self, write: m.Write) -> None:
        self.send(m.Accepted(write.sink, write.batch.shard, write.id))

    def durable(self, write: m.Write, rejects: Sequence[Reject] = ()) -> None:
        self.send(m.Durable(write.sink, write.batch.shard, write.id, rejects))

    def fail(self, write: m.Write, kind: ErrorKind = ErrorKind.UNAVAILABLE) -> None:
        self.send(m.WriteFailed(write.sink, write.batch.shard, write.id, SinkError(kind, "away")))


def source_error(kind: ErrorKind) -> CdcError:
    return SourceError(kind, "it failed")


def state_error(kind: ErrorKind = ErrorKind.UNAVAILABLE) -> CdcError:
    return StateError(kind, "it failed")


def sequences(write: m.Write) -> list[int]:
    return [int(change.sequence) for change in write.batch.changes]
