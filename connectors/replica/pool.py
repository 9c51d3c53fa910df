"""Many items in flight, each item's writes one after the other."""

import heapq
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, InvalidStateError
from dataclasses import dataclass, field
from itertools import count

from cdc.model import Durability, Reject, ShardKey
from cdc.ports import Clock
from cdc.receipts import Receipts, Undurable
from connectors.replica.plan import ItemWrite

MAX_CHANGES = 20_000
MAX_BYTES = 64 * 1024 * 1024
"""How much is accepted before it is written. A batch that alone is more is taken when nothing else is there."""

Advance = Callable[[ItemWrite], float | None]
"""See `ItemWriter.advance`."""


@dataclass(eq=False, repr=False, slots=True)
class Delivery:
    """A batch on its way."""

    entry: Undurable
    writes: Sequence[ItemWrite]
    rejects: list[Reject]
    left: int = field(init=False)
    """Writes that are not over."""

    def __post_init__(self) -> None:
        self.left = len(self.writes)

    @property
    def given_up(self) -> bool:
        """Handed back already: what is not under way is not begun."""
        return self.entry.receipt.durable.done()

    @property
    def changes(self) -> int:
        return len(self.entry.encoded.batch.changes)

    @property
    def bytes(self) -> int:
        return len(self.entry.encoded.batch.body)


class _Written:
    """Which changes of undurable batches are at the replica: a batch that is handed back for one throttled item and
    comes again does not write the others again, or a slow replica would never get through it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sequences: dict[ShardKey, set[str]] = {}

    def add(self, shard: ShardKey, sequence: str) -> None:
        with self._lock:
            self._sequences.setdefault(shard, set()).add(sequence)

    def has(self, shard: ShardKey, sequence: str) -> bool:
        with self._lock:
            return sequence in self._sequences.get(shard, ())

    def forget(self, shard: ShardKey, sequences: set[str] | None = None) -> None:
        """`sequences` None: all of the shard's."""
        with self._lock:
            left = self._sequences.get(shard, set()) - sequences if sequences is not None else None
            if left:
                self._sequences[shard] = left
            else:
                self._sequences.pop(shard, None)


class WritePool:
    """Writes items on a fixed number of threads.

    - An item whose write is under way, waiting for another attempt included, gets its next one when that is over.
    - At most `in_flight` items are under way; no thread sleeps through the time between two attempts.
    - A batch is accepted when there is room for it, in the order in which they came.

    Locks: the pool's is never held while a receipt is answered.
    """

    def __init__(self, advance: Advance, receipts: Receipts, clock: Clock, *, in_flight: int) -> None:
        self._advance = advance
        self._receipts = receipts
        self._clock = clock
        self._in_flight = in_flight
        self._changed = threading.Condition()
        self._started = False
        self._closing = False
        self._waiting: deque[Delivery] = deque()
        self._items: dict[tuple[str, bytes], deque[tuple[ItemWrite, Delivery]]] = {}
        self._ready: deque[tuple[ItemWrite, Delivery]] = deque()
        self._again: deque[tuple[ItemWrite, Delivery]] = deque()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._under_way = 0
        self._calling = 0
        self._changes = 0
        self._bytes = 0
        self._written = _Written()

    def start(self, executor: Callable[[int], Executor]) -> None:
        """Starts the threads; a second call does nothing."""
        if self._started:
            return
        self._started = True
        pool = executor(self._in_flight)
        for _ in range(self._in_flight):
            pool.submit(self._work)

    def submit(self, entry: Undurable, writes: Sequence[ItemWrite], rejects: Sequence[Reject]) -> None:
        """Takes the writes of a batch."""
        shard = entry.shard
        missing = [write for write in writes if not self._written.has(shard, write.changes[-1].sequence)]
        delivery = Delivery(entry, missing, list(rejects))
        sequences = {change.sequence for change in entry.encoded.batch.changes}

        def settled(durable: "Future[Durability]") -> None:
            if durable.exception() is None:
                self._written.forget(shard, sequences)

        entry.receipt.durable.add_done_callback(settled)
        if not missing:
            self._finish(delivery)
            return
        with self._changed:
            self._waiting.append(delivery)
            accepted = self._admit()
        self._accept(accepted)

    def forget(self, shard: ShardKey) -> None:
        self._written.forget(shard)

    def call_at(self, due: float, action: Callable[[], None]) -> None:
        """Has a thread do `action` at this monotonic time, unless the pool is closed by then."""
        with self._changed:
            heapq.heappush(self._due, (due, next(self._order), action))
            self._changed.notify()

    def close(self, deadline: float) -> None:
        """No write is begun any more; waits at most `deadline` seconds for the calls that are being made."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._calling == 0, timeout=max(0.0, deadline))

    def _admit(self) -> list[Delivery]:
        """Makes the writes of waiting batches ready as long as there is room. With the lock; `_accept` comes after."""
        accepted = []
        while self._waiting:
            delivery = self._waiting[0]
            full = self._changes + delivery.changes > MAX_CHANGES or self._bytes + delivery.bytes > MAX_BYTES
            if full and self._changes and not delivery.given_up:
                break
            self._waiting.popleft()
            if delivery.given_up:
                continue
            self._changes += delivery.changes
            self._bytes += delivery.bytes
            for write in delivery.writes:
                queue = self._items.get(write.item)
                if queue is None:
                    self._items[write.item] = deque()
                    self._ready.append((write, delivery))
                else:
                    queue.append((write, delivery))
            accepted.append(delivery)
        if accepted:
            self._changed.notify_all()
        return accepted

    def _accept(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            self._receipts.accept(delivery.entry)

    def _finish(self, delivery: Delivery) -> None:
        """All writes of it are over."""
        rejects = sorted(delivery.rejects, key=lambda reject: int(reject.sequence))
        self._receipts.durable(delivery.entry, Durability(rejects))

    def _work(self) -> None:
        """What each thread does."""
        try:
            self._write_until_closed()
        except Exception as error:
            # Nobody asks a thread how it ended: the receipts say it.
            for entry in self._receipts.undurable():
                self._receipts.fail(entry, error)
            raise

    def _write_until_closed(self) -> None:
        while (taken := self._next()) is not None:
            write, delivery = taken
            try:
                pause = self._advance(write)
            except Exception as error:  # noqa: BLE001 - handed to who reads the receipt, what is unknown included
                self._receipts.fail(delivery.entry, error)
                pause = None
            else:
                if pause is None and write.changes:
                    self._written.add(delivery.entry.shard, write.changes[-1].sequence)
            self._after(write, delivery, pause)

    def _next(self) -> tuple[ItemWrite, Delivery] | None:
        """Waits for a write that may be carried on; None: the pool closes."""
        while True:
            with self._changed:
                if self._closing:
                    return None
                actions = self._due_actions()
                taken = self._take()
                if taken is None and not actions:
                    self._changed.wait(self._seconds_until_due())
                    continue
            for action in actions:
                action()
            if taken is None:
                continue
            if not taken[1].given_up:
                return taken
            self._after(*taken, None)

    def _take(self) -> tuple[ItemWrite, Delivery] | None:
        """The next write, if there is one and room for it. With the lock."""
        if self._again:
            taken = self._again.popleft()
        elif self._ready and self._under_way < self._in_flight:
            taken = self._ready.popleft()
            self._under_way += 1
        else:
            return None
        self._calling += 1
        if self._due:
            self._changed.notify()  # this thread may have been the one that minds the time
        return taken

    def _due_actions(self) -> list[Callable[[], None]]:
        """Takes what is due. With the lock."""
        now = self._clock.now().monotonic
        actions = []
        while self._due and self._due[0][0] <= now:
            actions.append(heapq.heappop(self._due)[2])
        return actions

    def _seconds_until_due(self) -> float | None:
        return max(0.0, self._due[0][0] - self._clock.now().monotonic) if self._due else None

    def _after(self, write: ItemWrite, delivery: Delivery, pause: float | None) -> None:
        """After a call: the write is over, or waits for its next attempt."""
        over: list[Delivery] = []
        accepted: list[Delivery] = []
        with self._changed:
            self._calling -= 1
            if self._closing:
                self._changed.notify_all()
            if pause is None:
                accepted = self._end(write, delivery, over)
            else:
                due = self._clock.now().monotonic + pause
                heapq.heappush(self._due, (due, next(self._order), lambda: self._try_again(write, delivery)))
        self._settle(accepted, over)

    def _try_again(self, write: ItemWrite, delivery: Delivery) -> None:
        with self._changed:
            self._again.append((write, delivery))
            self._changed.notify()

    def _end(self, write: ItemWrite, delivery: Delivery, over: list[Delivery]) -> list[Delivery]:
        """A write is over, done or given up: the item's next one may begin. With the lock; `_settle` comes after."""
        self._under_way -= 1
        queue = self._items[write.item]
        if queue:
            self._ready.append(queue.popleft())
        else:
            del self._items[write.item]
        delivery.rejects += write.rejects
        delivery.left -= 1
        self._changed.notify()
        if delivery.left:
            return []
        over.append(delivery)
        self._changes -= delivery.changes
        self._bytes -= delivery.bytes
        return self._admit()

    def _settle(self, accepted: Sequence[Delivery], over: Sequence[Delivery]) -> None:
        self._accept(accepted)
        for delivery in over:
            self._finish(delivery)


def when_durable(entries: Sequence[Undurable]) -> "Future[None]":
    """A future that is set once all of these are durable, or fails with the first that is not."""
    done: Future[None] = Future()
    lock = threading.Lock()
    left = len(entries)

    def one(durable: "Future[Durability]") -> None:
        nonlocal left
        error = durable.exception()
        with lock:
            left -= 1
            last = left == 0
        if error is not None or last:
            answer(done, error)

    if not entries:
        done.set_result(None)
    for entry in entries:
        entry.receipt.durable.add_done_callback(one)
    return done


def answer(future: "Future[None]", error: BaseException | None = None) -> None:
    """Sets a future that several threads may set: the first answer counts."""
    try:
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
    except InvalidStateError:
        return
