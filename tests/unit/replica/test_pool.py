import random
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor

import pytest

from cdc.errors import ErrorKind, SinkError
from cdc.model import EncodedBatch
from cdc.ports import Receipt
from cdc.receipts import Receipts, Undurable
from cdc.testing.sink_run import SystemClock
from connectors.replica import pool as pool_module
from connectors.replica.plan import ItemWrite, Target, plan
from connectors.replica.pool import Advance, WritePool, when_durable
from connectors.replica.wire import Wire
from tests.replica.records import PK, batch_of, change

PATIENCE = 10
TARGET = Target("t", (PK,), Wire("t", "tombstones", "pk"))


class Sink:
    """The pool with its receipts."""

    def __init__(self, advance: Advance, in_flight: int = 4) -> None:
        self.receipts = Receipts()
        self.pool = WritePool(advance, self.receipts, SystemClock(), in_flight=in_flight)
        self.executors: list[ThreadPoolExecutor] = []
        self.pool.start(self.executor)

    def executor(self, threads: int) -> Executor:
        self.executors.append(ThreadPoolExecutor(threads))
        return self.executors[-1]

    def write(self, names: list[tuple[str, int]], shard: str = "one") -> Receipt:
        """Batches of changes: (item, sequence number)."""
        batch = batch_of([change("MODIFY", n, {"pk": {"S": item}}, {}) for item, n in names], shard=shard)
        entry = self.receipts.take(EncodedBatch(batch))
        if isinstance(entry, Undurable):
            self.pool.submit(entry, *plan(batch, batch.changes, TARGET))
            return entry.receipt
        return entry

    def close(self) -> None:
        self.pool.close(PATIENCE)
        self.receipts.abandon()
        for executor in self.executors:
            executor.shutdown()


@pytest.fixture
def sink() -> Iterator[Callable[..., Sink]]:
    sinks: list[Sink] = []

    def make(advance: Advance, in_flight: int = 4) -> Sink:
        sinks.append(Sink(advance, in_flight))
        return sinks[-1]

    yield make
    for made in sinks:
        made.close()


def number(write: ItemWrite) -> int:
    return int(write.changes[-1].sequence)


@pytest.mark.parametrize("seed", range(5))
def test_writes_of_one_item_never_overlap_nor_overtake(seed: int, sink: Callable[..., Sink]) -> None:
    rng = random.Random(seed)
    lock = threading.Lock()
    busy: set[bytes] = set()
    written: dict[bytes, list[int]] = defaultdict(list)
    overlaps = []

    def advance(write: ItemWrite) -> float | None:
        with lock:
            if write.key in busy and write.attempts == 0:
                overlaps.append(write.key)
            busy.add(write.key)
            write.attempts += 1
            again = rng.random() < 0.3
        if again:
            return rng.random() / 500
        with lock:
            written[write.key].append(number(write))
            busy.remove(write.key)
        return None

    made, sequence, receipts = sink(advance), 0, []
    for _ in range(40):
        # Two shards with items of their own: what the engine sees to for parents and children.
        shard = rng.choice(["one", "two"])
        batch = []
        for _ in range(rng.randint(0, 8)):
            sequence += 1
            batch.append((f"{shard}-{rng.randrange(5)}", sequence))
        if batch:
            receipts.append((shard, made.write(batch, shard)))
    for _, receipt in receipts:
        receipt.durable.result(PATIENCE)
    assert not overlaps
    assert written
    assert all(numbers == sorted(numbers) for numbers in written.values())


def test_durables_are_said_in_the_order_of_the_batches(sink: Callable[..., Sink]) -> None:
    first_may_end = threading.Event()

    def advance(write: ItemWrite) -> float | None:
        if number(write) == 1:
            first_may_end.wait(PATIENCE)
        return None

    made = sink(advance)
    first, second, other = made.write([("a", 1)]), made.write([("b", 2)]), made.write([("c", 3)], "two")
    other.durable.result(PATIENCE)
    assert second.accepted.done()
    assert not second.durable.done()
    order: list[str] = []
    first.durable.add_done_callback(lambda _: order.append("first"))
    second.durable.add_done_callback(lambda _: order.append("second"))
    first_may_end.set()
    second.durable.result(PATIENCE)
    assert order == ["first", "second"]


def test_a_batch_that_comes_again_is_written_but_for_what_is_there(sink: Callable[..., Sink]) -> None:
    """Or a replica that takes few writes a second would never get through one batch."""
    calls: list[int] = []
    others_written = threading.Semaphore(0)
    broken = [True]

    def advance(write: ItemWrite) -> float | None:
        if number(write) == 5 and broken[0]:
            for _ in range(4):
                others_written.acquire(timeout=PATIENCE)
            raise SinkError(ErrorKind.THROTTLED, "busy")
        calls.append(number(write))
        others_written.release()
        return None

    made = sink(advance, in_flight=1)
    batch = [(f"item-{n}", n) for n in range(1, 6)]
    assert made.write(batch).durable.exception(PATIENCE) is not None
    broken[0] = False
    assert sorted(calls) == [1, 2, 3, 4]
    made.write(batch).durable.result(PATIENCE)
    assert calls[4:] == [5]
    made.write(batch).durable.result(PATIENCE)
    assert sorted(calls[5:]) == [1, 2, 3, 4, 5], "what was durable is forgotten"


def test_what_is_handed_back_is_not_begun_any_more(sink: Callable[..., Sink]) -> None:
    calls: list[int] = []

    def advance(write: ItemWrite) -> float | None:
        calls.append(number(write))
        raise SinkError(ErrorKind.NOT_FOUND, "gone")

    made = sink(advance, in_flight=1)
    receipts = [made.write([(f"item-{n}", n)]) for n in range(1, 20)]
    assert all(receipt.durable.exception(PATIENCE) is not None for receipt in receipts)
    assert calls == [1]


def test_an_exception_that_is_no_ports_reaches_the_receipts(sink: Callable[..., Sink]) -> None:
    def advance(write: ItemWrite) -> float | None:
        raise ZeroDivisionError

    assert isinstance(sink(advance).write([("a", 1)]).durable.exception(PATIENCE), ZeroDivisionError)


def test_a_batch_is_accepted_when_there_is_room(
    sink: Callable[..., Sink], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "MAX_CHANGES", 3)
    may_end = threading.Event()

    def advance(write: ItemWrite) -> float | None:
        may_end.wait(PATIENCE)
        return None

    made = sink(advance)
    large = made.write([(f"a-{n}", n) for n in range(1, 6)], "one")
    next_ = made.write([("b", 6)], "two")
    last = made.write([("c", 7), ("d", 8), ("e", 9)], "three")
    assert large.accepted.done(), "more than there is room for, but nothing else is there"
    assert not next_.accepted.done()
    assert not last.accepted.done()
    may_end.set()
    for receipt in (large, next_, last):
        receipt.durable.result(PATIENCE)


def test_another_attempt_needs_no_thread_meanwhile(sink: Callable[..., Sink]) -> None:
    """Two items under way, one of which waits; the other thread's items go on."""
    done: list[int] = []

    def advance(write: ItemWrite) -> float | None:
        if number(write) == 1 and len(done) < 20:
            return 0.001
        done.append(number(write))
        return None

    made = sink(advance, in_flight=2)
    receipt = made.write([(f"item-{n}", n) for n in range(1, 22)])
    receipt.durable.result(PATIENCE)
    assert done[-1] == 1


def test_when_durable_fails_with_the_first_that_does(sink: Callable[..., Sink]) -> None:
    def advance(write: ItemWrite) -> float | None:
        if number(write) == 2:
            raise SinkError(ErrorKind.UNAVAILABLE, "down")
        return None

    made = sink(advance, in_flight=1)
    receipts = [made.write([("a", 1)]), made.write([("b", 2)], "two")]
    entries = made.receipts.undurable()
    error = when_durable(entries).exception(PATIENCE) if entries else receipts[1].durable.exception(PATIENCE)
    assert isinstance(error, SinkError)
    assert when_durable([]).done()


def test_due_actions_are_done_while_nothing_is_written(sink: Callable[..., Sink]) -> None:
    def advance(write: ItemWrite) -> float | None:
        return None

    made, done = sink(advance), threading.Event()
    made.pool.call_at(SystemClock().now().monotonic + 0.01, done.set)
    assert done.wait(PATIENCE)
