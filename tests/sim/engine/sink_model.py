"""A sink with one thread of its own, that accepts late, commits later, fails in every way its port allows, and checks
what it is given."""

import random
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

from cdc.core import messages as m
from cdc.errors import CdcError, ErrorKind, RegistryError, SinkError
from cdc.model import (
    BEGINNING,
    Batch,
    Durability,
    EncodedBatch,
    Place,
    Position,
    Reject,
    ShardKey,
)
from cdc.ports import Receipt
from cdc.receipts import Receipts, Undurable

Later = Callable[[float, Callable[[], None]], None]
"""After so many seconds of virtual time."""


class Violation(AssertionError):  # noqa: N818 - it is no error of this program's
    """The engine broke a promise."""


@dataclass
class Destination:
    """What outlives a sink: what is durable there."""

    name: str
    keeps_positions: bool
    refuses: int = 0
    """Every change whose number this divides is refused for ever; 0: none."""
    poison: int = 0
    """Every batch with a change whose number this divides is refused as a whole; 0: none."""
    counts: Callable[[int], bool] = field(default=lambda _: True)
    """Whether this sink is owed the change: what `latest` passes over may come later, after a crash."""
    applied: dict[ShardKey, Position] = field(default_factory=dict)
    durable: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)
    latest: dict[str, int] = field(default_factory=dict)
    """The newest change of each item."""
    duplicates: int = 0

    def at(self, shard: ShardKey) -> Position:
        return self.applied.get(shard, BEGINNING)

    def poisoned(self, batch: Batch) -> bool:
        return any(self.is_poison(int(change.sequence)) for change in batch.changes)

    def is_poison(self, sequence: int) -> bool:
        return bool(self.poison) and sequence % self.poison == 0

    def apply(self, batch: Batch) -> list[Reject]:
        if self.poisoned(batch):
            raise Violation(f"{self.name}: the sink's own fault: it took what it refuses")
        if batch.start.order > self.at(batch.shard).order:
            raise Violation(
                f"{self.name}: a hole in {batch.shard.shard}: {self.at(batch.shard)} → {batch.start}"
            )
        rejects = []
        for change in batch.changes:
            sequence = int(change.sequence)
            if self.refuses and sequence % self.refuses == 0:
                self.refused.add(sequence)
                rejects.append(Reject(change.sequence, ErrorKind.REJECTED, "refused", b"{}"))
                continue
            if sequence in self.durable:
                self.duplicates += 1
                if self.keeps_positions:
                    raise Violation(f"{self.name}: twice at an exactly-once sink: {sequence}")
                continue
            self.durable.add(sequence)
            if not self.counts(sequence):
                continue
            item = bytes(change.dynamodb.keys).decode()
            if sequence < self.latest.get(item, 0):
                raise Violation(f"{self.name}: {item} went back to {sequence}")
            self.latest[item] = sequence
        if batch.end.order > self.at(batch.shard).order:
            self.applied[batch.shard] = batch.end
        return rejects


@dataclass(frozen=True, slots=True)
class Temper:
    """How a sink behaves; seconds, and chances from 0 to 1."""

    accept: float = 0.05
    commit: float = 0.3
    """Between the first accepted batch and the commit that makes it durable."""
    refuse_write: float = 0.0
    lack_schema: float = 0.0
    """Of batches whose schema the registry does not give: they never reach the sink."""
    fail_commit: float = 0.0
    lose_answer: float = 0.0
    """Of commits that fail: the data is there all the same."""
    fail_open: float = 0.0
    fail_claim: float = 0.0
    outages: tuple[tuple[float, float], ...] = ()
    refuse_late: float = 0.0
    """That a poisoned batch is accepted, and refused only when it is to become durable."""
    hangs: bool = False
    """In an outage nothing is answered until it is over; else everything fails at once."""
    flush_only: bool = False
    """Nothing becomes durable by time."""


class SimSink:
    """One incarnation's sink."""

    def __init__(
        self,
        destination: Destination,
        temper: Temper,
        rng: random.Random,
        later: Later,
        now: Callable[[], float],
        send: Callable[[m.Event], None],
    ) -> None:
        self.destination = destination
        self._temper = temper
        self._rng = rng
        self._later = later
        self._now = now
        self._send = send
        self._queue: deque[Callable[[], None]] = deque()
        self._busy = False
        self._receipts = Receipts()
        self._opened = False
        self._claimed: set[ShardKey] = set()
        self._commit_due = False
        self._accepted: set[int] = set()

    @property
    def name(self) -> str:
        return self.destination.name

    def outage_ends(self) -> float | None:
        now = self._now()
        return next((end for begin, end in self._temper.outages if begin <= now < end), None)

    # The thread: calls begin in order, one at a time

    def submit(self, command: m.OpenSink | m.Claim | m.Write | m.FlushSink) -> None:
        self._queue.append(lambda: self._do(command))
        self._turn()

    def _turn(self) -> None:
        if self._queue and not self._busy:
            self._busy = True
            self._later(self._rng.random() * 0.02, self._step)

    def _step(self) -> None:
        ends = self.outage_ends()
        if ends is not None and self._temper.hangs:
            self._later(ends - self._now() + 0.01, self._step)
            return
        self._queue.popleft()()
        self._busy = False
        self._turn()

    def _do(self, command: m.OpenSink | m.Claim | m.Write | m.FlushSink) -> None:
        match command:
            case m.OpenSink():
                self._open()
            case m.Claim(_, shards):
                self._claim(list(shards))
            case m.Write():
                self._write(command)
            case m.FlushSink():
                self._flush()

    def _open(self) -> None:
        if self.outage_ends() is not None or self._rng.random() < self._temper.fail_open:
            self._send(m.SinkFailed(self.name, _error()))
        else:
            self._opened = True
            self._send(m.SinkOpened(self.name))

    def _claim(self, shards: list[ShardKey]) -> None:
        if not self._opened:
            raise Violation(f"{self.name}: claim before open")
        if self.outage_ends() is not None or self._rng.random() < self._temper.fail_claim:
            self._send(m.ClaimFailed(self.name, shards, _error()))
            return
        pending = {entry.shard for entry in self._receipts.undurable()}
        if pending & set(shards):
            raise Violation(f"{self.name}: claimed with batches in flight")
        for shard in shards:
            self._receipts.forget(shard)
        self._claimed.update(shards)
        held = None
        if self.destination.keeps_positions:
            applied = self.destination.applied
            held = {shard: applied[shard] for shard in shards if shard in applied}
        self._send(m.Claimed(self.name, shards, held))

    def _write(self, command: m.Write) -> None:
        batch = command.batch
        if batch.shard not in self._claimed:
            raise Violation(f"{self.name}: write to {batch.shard.shard}, which was not claimed")
        if self._temper.lack_schema and self._rng.random() < self._temper.lack_schema:
            away = RegistryError(ErrorKind.UNAVAILABLE, "the schema registry is away")
            self._send(m.WriteFailed(self.name, batch.shard, command.id, away))
            return
        entry = self._receipts.take(EncodedBatch(batch))
        receipt = entry if isinstance(entry, Receipt) else entry.receipt
        shard, number = batch.shard, command.id

        def accepted(future: "Future[None]") -> None:
            if future.exception() is None:
                self._soon(m.Accepted(self.name, shard, number))

        def durable(future: "Future[Durability]") -> None:
            error = future.exception()
            if isinstance(error, CdcError):
                self._soon(m.WriteFailed(self.name, shard, number, error))
            else:
                self._soon(m.Durable(self.name, shard, number, future.result().rejects))

        receipt.accepted.add_done_callback(accepted)
        receipt.durable.add_done_callback(durable)
        if isinstance(entry, Receipt):
            return
        if self.outage_ends() is not None or self._rng.random() < self._temper.refuse_write:
            self._receipts.fail(entry, _error())
            return
        self._later(self._rng.random() * 2 * self._temper.accept, lambda: self._accept(entry))

    def _accept(self, entry: Undurable) -> None:
        ends = self.outage_ends()
        if ends is not None and self._temper.hangs:
            self._later(ends - self._now() + 0.01, lambda: self._accept(entry))
            return
        if ends is not None:
            self._receipts.fail(entry, _error())
            return
        late = self._rng.random() < self._temper.refuse_late if self.destination.poison else False
        if self.destination.poisoned(entry.encoded.batch) and not late:
            self._receipts.fail(entry, _refusal())
            return
        self._receipts.accept(entry)
        if not entry.receipt.durable.done():
            self._accepted.add(id(entry))
        if not self._commit_due and not self._temper.flush_only:
            self._commit_due = True
            self._later(self._rng.random() * 2 * self._temper.commit, self._commit_by_time)

    def _commit_by_time(self) -> None:
        ends = self.outage_ends()
        if ends is not None and self._temper.hangs:
            self._later(ends - self._now() + 0.01, self._commit_by_time)
            return
        self._commit_due = False
        self.commit()

    def commit(self) -> bool:
        """Makes durable what is accepted; False if it failed."""
        entries = [entry for entry in self._receipts.undurable() if id(entry) in self._accepted]
        fails = self.outage_ends() is not None or self._rng.random() < self._temper.fail_commit
        applied = not fails or self._rng.random() < self._temper.lose_answer
        refused: dict[ShardKey, Undurable] = {}
        results = []
        for entry in entries if applied else ():
            if entry.shard in refused:
                continue
            if self.destination.poisoned(entry.encoded.batch):
                refused[entry.shard] = entry
            else:
                results.append((entry, self.destination.apply(entry.encoded.batch)))
        self._accepted.clear()
        if fails:
            for entry in entries:
                self._receipts.fail(entry, _error())
            return False
        for entry, rejects in results:
            self._receipts.durable(entry, Durability(rejects))
        for entry in refused.values():
            self._receipts.fail(entry, _refusal())
        return True

    def _flush(self) -> None:
        def flushed() -> None:
            ends = self.outage_ends()
            if ends is not None and self._temper.hangs:
                self._later(ends - self._now() + 0.01, flushed)
                return
            well = self.commit()
            self._soon(m.Flushed(self.name, None if well else _error()))

        self._later(self._rng.random() * 0.1, flushed)

    def _soon(self, event: m.Event) -> None:
        """Answers that come from the sink's own threads overtake each other."""
        self._later(self._rng.random() * 0.05, lambda: self._send(event))

    def die(self) -> None:
        """The process is killed: of what is in flight, some becomes durable all the same."""
        part = self._rng.random()
        behind: set[ShardKey] = set()
        for entry in self._receipts.undurable():
            poisoned = self.destination.poisoned(entry.encoded.batch)
            if poisoned or entry.shard in behind or self._rng.random() > part:
                behind.add(entry.shard)
            else:
                self.destination.apply(entry.encoded.batch)


def ended(destination: Destination, shard: ShardKey) -> bool:
    return destination.at(shard).place is Place.END


def _refusal() -> SinkError:
    return SinkError(ErrorKind.REJECTED, "the destination refuses the batch")


def _error() -> SinkError:
    return SinkError(ErrorKind.UNAVAILABLE, "the destination is away")
