"""A sink in memory that fails on request. Without threads: what it does, it does inside of a call."""

from collections.abc import Collection, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field

from cdc.errors import ErrorKind, SinkError
from cdc.model import Batch, Change, Durability, EncodedBatch, Position, ShardKey
from cdc.ports import Receipt
from cdc.receipts import Receipts, Undurable
from cdc.testing.clock import ManualClock
from cdc.testing.content import Content, ItemState, state_of
from cdc.testing.faults import (
    Break,
    FailAfterAccept,
    FailAfterWrite,
    Fault,
    Faults,
    Hold,
    Operation,
    Refuse,
    Reject,
    Slow,
)


@dataclass(frozen=True, slots=True)
class Delivered:
    """A change at its destination."""

    batch: Batch
    change: Change


@dataclass
class MemoryDestination:
    """What outlives a `MemorySink`: give it to the next instance, as a topic outlives its producer."""

    delivered: list[Delivered] = field(default_factory=list)
    """In the order in which they became durable, redelivered ones each time."""
    positions: dict[ShardKey, Position] = field(default_factory=dict)
    writers: dict[ShardKey, "MemorySink"] = field(default_factory=dict)
    """Who claimed a shard last."""

    def content(self) -> Content:
        states: dict[str, list[ItemState]] = {}
        for delivered in self.delivered:
            key, state = state_of(delivered.batch.stream, delivered.change)
            states.setdefault(key, []).append(state)
        return states


class MemorySink:
    """A `Sink` in memory: at least once, or with `keeps_positions` exactly once and fenced.

    Args:
        destination: where it writes; a fresh one unless given.
        faults: what goes wrong.
        clock: needed for `Slow` alone.
        keeps_positions: whether `claim` answers with positions and fences the writer before.
    """

    def __init__(
        self,
        name: str = "memory",
        *,
        destination: MemoryDestination | None = None,
        faults: Faults | None = None,
        clock: ManualClock | None = None,
        keeps_positions: bool = False,
    ) -> None:
        self.name = name
        self.destination = destination if destination is not None else MemoryDestination()
        self.faults = faults if faults is not None else Faults()
        self.opened = False
        self.closed = False
        self.claimed: set[ShardKey] = set()
        self._clock = clock
        self._keeps_positions = keeps_positions
        self._receipts = Receipts()
        self._held: list[Undurable] = []
        self._ready: dict[Undurable, Fault | None] = {}

    def open(self) -> None:
        self._meet("open")
        self.opened = True

    def claim(self, shards: Collection[ShardKey]) -> Mapping[ShardKey, Position] | None:
        assert self.opened, "claim before open"
        self._meet("claim")
        self.claimed.update(shards)
        for shard in shards:
            self._receipts.forget(shard)
        if not self._keeps_positions:
            return None
        self.destination.writers.update(dict.fromkeys(shards, self))
        return {shard: at for shard in shards if (at := self.destination.positions.get(shard)) is not None}

    def write(self, batch: EncodedBatch) -> Receipt:
        assert batch.batch.shard in self.claimed, "write to a shard that was not claimed"
        assert not self.closed, "write after close"
        entry = self._receipts.take(batch)
        if isinstance(entry, Receipt):
            return entry
        fault = self.faults.take("write")
        match fault:
            case Break(error):
                raise error
            case Refuse(kind):
                self._receipts.fail(entry, _error(kind))
            case Hold(before_accept):
                self._held.append(entry)
                if not before_accept:
                    self._receipts.accept(entry)
            case Slow(seconds):
                assert self._clock is not None, "Slow needs a ManualClock"
                self._receipts.accept(entry)
                self._clock.call_later(seconds, lambda: self._finish(entry))
            case _:
                self._receipts.accept(entry)
                self._finish(entry, fault)
        return entry.receipt

    def let_go(self) -> None:
        """Makes durable what `Hold` holds, in order."""
        held, self._held = self._held, []
        for entry in held:
            self._finish(entry)

    def flush(self, *, deadline: float) -> "Future[None]":
        """Also lets go of what is held; waits for what is slow."""
        flushed: Future[None] = Future()
        try:
            self._meet("flush")
        except SinkError as error:
            flushed.set_exception(error)
            return flushed
        self.let_go()
        waiting = [entry.receipt.durable for entry in self._receipts.undurable()]

        def look(_: "Future[Durability]") -> None:
            if all(durable.done() for durable in waiting) and not flushed.done():
                flushed.set_result(None)

        for durable in waiting:
            durable.add_done_callback(look)
        if not waiting:
            flushed.set_result(None)
        return flushed

    def release(self, shards: Collection[ShardKey]) -> None:
        self._meet("release")
        self.claimed.difference_update(shards)

    def close(self, *, deadline: float) -> None:
        self.closed = True
        self._receipts.abandon()

    def crash(self) -> None:
        """Ends it as a killed process does: nothing that was not durable becomes so, no answer comes."""
        self.closed = True

    def _finish(self, entry: Undurable, fault: Fault | None = None) -> None:
        """Does what was written, once what came before it on its shard is done."""
        if self.closed:
            return
        self._ready[entry] = fault
        for pending in self._receipts.undurable():
            if pending.shard == entry.shard:
                if pending not in self._ready:
                    return
                self._do(pending, self._ready.pop(pending))

    def _do(self, entry: Undurable, fault: Fault | None) -> None:
        batch = entry.encoded.batch
        if self._keeps_positions and self.destination.writers.get(entry.shard) is not self:
            self._receipts.fail(entry, _error(ErrorKind.FENCED))
            return
        if isinstance(fault, FailAfterAccept):
            self._receipts.fail(entry, _error(fault.kind))
            return
        refused = [c for c in batch.changes if fault.unwanted(c)] if isinstance(fault, Reject) else []
        self.destination.delivered += [Delivered(batch, c) for c in batch.changes if c not in refused]
        if self._keeps_positions and not batch.replayed:
            self.destination.positions[entry.shard] = batch.end
        if isinstance(fault, FailAfterWrite):
            self._receipts.fail(entry, _error(fault.kind))
            return
        rejects = [batch.reject(change, ErrorKind.REJECTED, "refused by a fault") for change in refused]
        self._receipts.durable(entry, Durability(rejects))

    def _meet(self, operation: Operation) -> None:
        match self.faults.take(operation):
            case None:
                return
            case Break(error):
                raise error
            case Refuse(kind) | FailAfterAccept(kind) | FailAfterWrite(kind):
                raise _error(kind)
            case other:
                raise AssertionError(f"{operation} knows no {other!r}")


def _error(kind: ErrorKind) -> SinkError:
    return SinkError(kind, f"the memory sink was told to fail: {kind}")
