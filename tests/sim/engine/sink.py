"""A sink with one thread of its own, that accepts late, commits later, and fails in every way its port allows."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from random import Random

from cdc.core import messages as m
from cdc.errors import CdcError, ErrorKind, RegistryError, SinkError
from cdc.model import Durability, EncodedBatch, ShardKey
from cdc.ports import Receipt
from cdc.receipts import Receipts, Undurable
from tests.sim.engine.destination import Destination, Violation

Later = Callable[[float, Callable[[], None]], None]
"""After so many seconds of virtual time, if the process still lives."""

SinkCommand = m.OpenSink | m.Claim | m.Write | m.FlushSink


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
    """From and to; monotonic."""
    refuse_late: float = 0.0
    """That a poisoned batch is accepted, and refused only when it is to become durable."""
    hangs: bool = False
    """In an outage nothing is answered until it is over; else everything fails at once."""
    flush_only: bool = False
    """Nothing becomes durable by time."""

    def outage_ends(self, now: float) -> float | None:
        return next((end for begin, end in self.outages if begin <= now < end), None)


class FakeSink:
    """One process's sink."""

    def __init__(
        self,
        destination: Destination,
        temper: Temper,
        process: int,
        rng: Random,
        later: Later,
        now: Callable[[], float],
        send: Callable[[m.Event], None],
        fault: Callable[[str], None],
    ) -> None:
        self.destination = destination
        self._name = destination.name
        self._temper = temper
        self._process = process
        self._rng = rng
        self._later = later
        self._now = now
        self._send = send
        self._fault = fault
        self._queue: deque[SinkCommand] = deque()
        self._busy = False
        self._receipts = Receipts()
        self._opened = False
        self._claimed: set[ShardKey] = set()
        self._commit_due = False
        self._accepted: set[Undurable] = set()

    # The thread: calls begin in order, one at a time

    def submit(self, command: SinkCommand) -> None:
        self._queue.append(command)
        self._turn()

    def _turn(self) -> None:
        if self._queue and not self._busy:
            self._busy = True
            self._later(self._rng.random() * 0.02, self._step)

    def _step(self) -> None:
        if self._hang(self._step):
            return
        self._do(self._queue.popleft())
        self._busy = False
        self._turn()

    def _hang(self, again: Callable[[], None]) -> bool:
        ends = self._temper.outage_ends(self._now())
        if ends is None or not self._temper.hangs:
            return False
        self._later(ends - self._now() + 0.01, again)
        return True

    def _fails(self, chance: float, fault: str) -> bool:
        """By an outage, or by chance."""
        if self._temper.outage_ends(self._now()) is not None:
            self._fault("sink outage")
            return True
        if chance and self._rng.random() < chance:
            self._fault(fault)
            return True
        return False

    def _do(self, command: SinkCommand) -> None:
        match command:
            case m.OpenSink():
                self._open()
            case m.Claim(_, shards):
                self._claim(list(shards))
            case m.Write():
                self._write(command)
            case m.FlushSink():
                self._later(self._rng.random() * 0.1, self._flushed)

    def _open(self) -> None:
        if self._fails(self._temper.fail_open, "open fails"):
            self._send(m.SinkFailed(self._name, _away()))
        else:
            self._opened = True
            self._send(m.SinkOpened(self._name))

    def _claim(self, shards: list[ShardKey]) -> None:
        if not self._opened:
            raise Violation("claim", "before open", sink=self._name)
        if self._fails(self._temper.fail_claim, "claim fails"):
            self._send(m.ClaimFailed(self._name, shards, _away()))
            return
        pending = {entry.shard for entry in self._receipts.undurable()}
        if pending & set(shards):
            raise Violation("claim", "with batches in flight", sink=self._name)
        for shard in shards:
            self._receipts.forget(shard)
        self._claimed.update(shards)
        held = None
        if self.destination.keeps_positions:
            positions = self.destination.positions
            self.destination.writers.update(dict.fromkeys(shards, self._process))
            held = {shard: positions[shard] for shard in shards if shard in positions}
        self._send(m.Claimed(self._name, shards, held))

    def _write(self, command: m.Write) -> None:
        shard, number = command.batch.shard, command.id
        if shard not in self._claimed:
            raise Violation("claim", f"{shard.shard} was not claimed", sink=self._name, shard=shard)
        if self._temper.lack_schema and self._rng.random() < self._temper.lack_schema:
            self._fault("no schema")
            away = RegistryError(ErrorKind.UNAVAILABLE, "the schema registry is away")
            self._send(m.WriteFailed(self._name, shard, number, away))
            return
        entry = self._receipts.take(EncodedBatch(command.batch))
        receipt = entry if isinstance(entry, Receipt) else entry.receipt

        def accepted(future: "Future[None]") -> None:
            if future.exception() is None:
                self._soon(m.Accepted(self._name, shard, number))

        def durable(future: "Future[Durability]") -> None:
            error = future.exception()
            if isinstance(error, CdcError):
                self._soon(m.WriteFailed(self._name, shard, number, error))
            else:
                self._soon(m.Durable(self._name, shard, number, future.result().rejects))

        receipt.accepted.add_done_callback(accepted)
        receipt.durable.add_done_callback(durable)
        if isinstance(entry, Receipt):
            return
        if self._fails(self._temper.refuse_write, "write fails"):
            self._receipts.fail(entry, _away())
            return
        self._later(self._rng.random() * 2 * self._temper.accept, lambda: self._accept(entry))

    def _accept(self, entry: Undurable) -> None:
        if self._hang(lambda: self._accept(entry)):
            return
        if self._fails(0.0, ""):
            self._receipts.fail(entry, _away())
            return
        if self.destination.poisoned(entry.encoded.batch) and self._rng.random() >= self._temper.refuse_late:
            self._fault("poison")
            self._receipts.fail(entry, _refusal())
            return
        self._receipts.accept(entry)
        if not entry.receipt.durable.done():
            self._accepted.add(entry)
        if not self._commit_due and not self._temper.flush_only:
            self._commit_due = True
            self._later(self._rng.random() * 2 * self._temper.commit, self._commit_by_time)

    def _commit_by_time(self) -> None:
        if self._hang(self._commit_by_time):
            return
        self._commit_due = False
        self._commit()

    def _commit(self) -> bool:
        """Makes durable what is accepted; False if it failed."""
        entries = [entry for entry in self._receipts.undurable() if entry in self._accepted]
        self._accepted.clear()
        fails = self._fails(self._temper.fail_commit, "commit fails")
        applied = not fails or self._rng.random() < self._temper.lose_answer
        outcomes = self._apply(entries) if applied else []
        if fails:
            if applied and entries:
                self._fault("commit's answer lost")
            for entry in entries:
                self._receipts.fail(entry, _away())
            return False
        for entry, outcome in outcomes:
            if isinstance(outcome, SinkError):
                self._receipts.fail(entry, outcome)
            else:
                self._receipts.durable(entry, outcome)
        return True

    def _apply(self, entries: list[Undurable]) -> list[tuple[Undurable, Durability | SinkError]]:
        """Makes them durable, but for what is refused and what comes behind it on its shard."""
        outcomes: list[tuple[Undurable, Durability | SinkError]] = []
        behind: set[ShardKey] = set()
        for entry in entries:
            if entry.shard in behind:
                continue
            refusal = self._refusal(entry)
            if refusal is not None:
                behind.add(entry.shard)
                outcomes.append((entry, refusal))
            else:
                rejects = self.destination.apply(entry.encoded.batch, self._process, self._now())
                outcomes.append((entry, Durability(rejects)))
        return outcomes

    def _refusal(self, entry: Undurable) -> SinkError | None:
        if self.destination.is_fenced(entry.shard, self._process):
            self._fault("fenced")
            return SinkError(ErrorKind.FENCED, "another process has claimed the shard")
        if self.destination.poisoned(entry.encoded.batch):
            self._fault("poison")
            return _refusal()
        return None

    def _flushed(self) -> None:
        if self._hang(self._flushed):
            return
        well = self._commit()
        self._soon(m.Flushed(self._name, None if well else _away()))

    def _soon(self, event: m.Event) -> None:
        """Answers that come from the sink's own threads overtake each other."""
        self._later(self._rng.random() * 0.05, lambda: self._send(event))

    def die(self) -> None:
        """The process is killed: of what is in flight, some becomes durable all the same."""
        part = self._rng.random()
        behind: set[ShardKey] = set()
        for entry in self._receipts.undurable():
            batch = entry.encoded.batch
            taken = not (
                self.destination.poisoned(batch) or self.destination.is_fenced(batch.shard, self._process)
            )
            if not taken or entry.shard in behind or self._rng.random() > part:
                behind.add(entry.shard)
            else:
                self.destination.apply(batch, self._process, self._now())


def _refusal() -> SinkError:
    return SinkError(ErrorKind.REJECTED, "the destination refuses the batch")


def _away() -> SinkError:
    return SinkError(ErrorKind.UNAVAILABLE, "the destination is away")
