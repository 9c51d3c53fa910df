"""What outlives a sink: what is durable there, and what it checks of all that comes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from cdc.errors import ErrorKind
from cdc.model import BEGINNING, Batch, Change, Place, Position, Reject, ShardKey


class Violation(AssertionError):  # noqa: N818 - it is no error of this program's
    """The engine broke a promise.

    Args:
        kind: which promise: the same for every violation of it.
        what: what happened.
        sink: at which sink; empty: at none.
        shard: on which shard.
        item: of which item (the text of its key).
    """

    def __init__(
        self, kind: str, what: str, *, sink: str = "", shard: ShardKey | None = None, item: str = ""
    ) -> None:
        super().__init__(f"{kind}: {f'{sink}: ' if sink else ''}{what}")
        self.kind, self.what, self.sink, self.shard, self.item = kind, what, sink, shard, item


class ChangeId(NamedTuple):
    """One record of one stream; a sequence number alone is not unique."""

    stream: str
    sequence: int


@dataclass(frozen=True, slots=True)
class Delivered:
    """A change that became durable."""

    at: float
    """Monotonic."""
    shard: ShardKey
    change: Change
    process: int
    """The number of the process that gave it."""

    @property
    def id(self) -> ChangeId:
        return ChangeId(self.shard.stream, int(self.change.sequence))


def nothing(_: Change) -> bool:
    return False


def _everything(_: ShardKey, __: Change) -> bool:
    return True


def _unheard(_: Delivered, *, again: bool) -> None:
    """Nobody listens."""


@dataclass
class Destination:
    """Raises `Violation` for a hole, for an item that goes back, and for what an exactly-once sink has already."""

    name: str
    keeps_positions: bool = False
    """An exactly-once sink: stores its position with the data, and fences whoever claimed a shard before."""
    refuses: Callable[[Change], bool] = nothing
    """These changes are refused for ever, one by one."""
    poison: Callable[[Change], bool] = nothing
    """A batch with one of these is refused as a whole."""
    owes: Callable[[ShardKey, Change], bool] = _everything
    """Whether this sink is owed the change: what `latest` passes over may come later, after a crash."""
    heard: Callable[..., None] = _unheard
    """Is told of every change that became durable, and whether it had been before."""
    positions: dict[ShardKey, Position] = field(default_factory=dict)
    writers: dict[ShardKey, int] = field(default_factory=dict)
    """The process that claimed the shard last."""
    delivered: list[Delivered] = field(default_factory=list)
    """In the order in which they became durable; redelivered ones each time."""
    durable: dict[ChangeId, int] = field(default_factory=dict)
    """By change: the process that made it durable first."""
    refused: set[ChangeId] = field(default_factory=set)
    blamed: set[ChangeId] = field(default_factory=set)
    """The poison that came by."""
    newest: dict[tuple[str, bytes], int] = field(default_factory=dict)
    """By stream and item: the number of its newest change."""

    def at(self, shard: ShardKey) -> Position:
        return self.positions.get(shard, BEGINNING)

    def ended(self, shard: ShardKey) -> bool:
        return self.at(shard).place is Place.END

    def poisoned(self, batch: Batch) -> bool:
        if self.poison is nothing:
            return False
        found = [change for change in batch.changes if self.poison(change)]
        self.blamed.update(ChangeId(batch.shard.stream, int(change.sequence)) for change in found)
        return bool(found)

    def is_fenced(self, shard: ShardKey, process: int) -> bool:
        return self.keeps_positions and self.writers.get(shard) != process

    @property
    def duplicates(self) -> int:
        return len(self.delivered) - len(self.durable)

    def apply(self, batch: Batch, process: int, now: float) -> list[Reject]:
        """Makes the batch durable; what it refuses of it."""
        shard = batch.shard
        if self.is_fenced(shard, process) or self.poisoned(batch):
            raise AssertionError(f"{self.name}: the sink's own fault: it took what it refuses")
        if batch.start.order > self.at(shard).order:
            raise Violation(
                "hole", f"{shard.shard}: {self.at(shard)} → {batch.start}", sink=self.name, shard=shard
            )
        rejects = []
        for change in batch.changes:
            if self.refuses(change):
                self.refused.add(ChangeId(shard.stream, int(change.sequence)))
                rejects.append(Reject(change.sequence, ErrorKind.REJECTED, "refused", b"{}"))
            else:
                self._take(Delivered(now, shard, change, process))
        if batch.end.order > self.at(shard).order:
            self.positions[shard] = batch.end
        return rejects

    def _take(self, delivered: Delivered) -> None:
        change, shard = delivered.change, delivered.shard
        again = delivered.id in self.durable
        self.delivered.append(delivered)
        self.heard(delivered, again=again)
        if again:
            if self.keeps_positions:
                raise Violation("twice", f"{change.sequence} again", sink=self.name, shard=shard)
            return
        self.durable[delivered.id] = delivered.process
        if not self.owes(shard, change):
            return
        item, sequence = (shard.stream, bytes(change.dynamodb.keys)), int(change.sequence)
        if sequence < self.newest.get(item, 0):
            raise Violation(
                "order",
                f"went back from {self.newest[item]} to {sequence}",
                sink=self.name,
                shard=shard,
                item=item[1].decode(),
            )
        self.newest[item] = sequence
