"""One life of a sink in a test: from its making, over `open` and `claim`, to `close`; and what was promised meanwhile."""

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from cdc.connector import SinkContext
from cdc.errors import SinkError
from cdc.model import Batch, Durability, EncodedBatch, Position, ShardKey
from cdc.ports import Clock, Instant, Receipt, Sink

CLOSE_SLACK_SECONDS = 3.0
"""How much longer than its deadline a `close` may take here: tests share their machine."""


class SystemClock:
    """The clocks of the machine."""

    def now(self) -> Instant:
        return Instant(time.monotonic(), time.time())


class SinkRun:
    """Drives a sink as the engine does: one unaccepted batch per shard, waiting for answers no longer than `patience`.

    A context manager: entering makes the sink, opens it and claims `shards`; leaving closes it and fails if a thread of
    it is left or a receipt broke a rule (`accepted` before `durable`, `durable` cumulative).

    Args:
        make: makes the sink; given a context with `base` as its folder.
        encode: what a batch becomes before it is written.
        shards: what is claimed at the beginning.
        patience: seconds that any answer may take.
        open_sink: whether entering opens and claims.
    """

    def __init__(
        self,
        make: Callable[[SinkContext], Sink],
        base: Path,
        *,
        encode: Callable[[Batch], EncodedBatch] = EncodedBatch,
        shards: Collection[ShardKey] = (),
        tables: Sequence[str] = ("orders",),
        patience: float = 10.0,
        clock: Clock | None = None,
        open_sink: bool = True,
    ) -> None:
        self.claimed: Mapping[ShardKey, Position] | None = None
        self.violations: list[str] = []
        self._make = make
        self._encode = encode
        self._shards = shards
        self._patience = patience
        self._open = open_sink
        self._receipts: dict[ShardKey, list[Receipt]] = {}
        self._pools: list[ThreadPoolExecutor] = []
        self._closed = False
        self._context = SinkContext(
            pipeline="pipeline",
            base=base,
            tables=tables,
            clock=clock if clock is not None else SystemClock(),
            executor=self._pool,
            count_call=_count_nothing,
        )

    def __enter__(self) -> Self:
        self._before = set(threading.enumerate())
        self.sink = self._make(self._context)
        if self._open:
            try:
                self.sink.open()
                self.claimed = self.sink.claim(self._shards)
            except BaseException:
                self.close(deadline=0.0)
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(deadline=self._patience)
        if error is None:
            assert not self.violations, self.violations

    def write(self, batch: Batch) -> Receipt:
        """Writes and waits until the sink has taken it; a refusal is in the receipt, not raised."""
        receipt = self.write_only(batch)
        receipt.accepted.exception(self._patience)
        return receipt

    def write_only(self, batch: Batch) -> Receipt:
        """Writes; whether the sink has taken it is in the receipt."""
        receipt = self.sink.write(self._encode(batch))
        earlier = list(self._receipts.setdefault(batch.shard, []))
        self._receipts[batch.shard].append(receipt)

        def settled(durable: "Future[Durability]") -> None:
            if not receipt.accepted.done():
                self.violations.append("a batch was durable before it was accepted")
            if durable.exception() is None and not all(before.durable.done() for before in earlier):
                self.violations.append("a batch was durable before an earlier one of its shard")
            if durable.exception() is None and receipt.accepted.exception(0) is not None:
                self.violations.append("a batch was durable that was not accepted")

        receipt.durable.add_done_callback(settled)
        return receipt

    def wait(self, *receipts: Receipt) -> list[Durability]:
        """The answers once all are durable; raises the `SinkError` of the first that failed."""
        return [receipt.durable.result(self._patience) for receipt in receipts]

    def deliver(self, batches: Iterable[Batch]) -> None:
        """Writes the batches, flushes, and waits until all are durable."""
        receipts = [self.write(batch) for batch in batches]
        for receipt in receipts:
            receipt.accepted.result(0)
        self.flush()
        self.wait(*receipts)

    def failure(self, receipt: Receipt) -> SinkError:
        """The error of a batch that the sink gave back; fails if it became durable."""
        error = receipt.durable.exception(self._patience)
        assert isinstance(error, SinkError), f"handed back with {error!r}, expected a SinkError"
        return error

    def flush(self) -> None:
        self.sink.flush(deadline=self._patience).result(self._patience)

    def close(self, *, deadline: float) -> None:
        """Closes the sink and its pools. Fails if it takes too long or leaves a thread; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        started = time.monotonic()
        self.sink.close(deadline=deadline)
        for pool in self._pools:
            pool.shutdown(wait=False, cancel_futures=True)
        limit = started + deadline + CLOSE_SLACK_SECONDS
        left = set(threading.enumerate()) - self._before
        for thread in left:
            thread.join(max(0.0, limit - time.monotonic()))
        assert time.monotonic() < limit, f"close(deadline={deadline}) took {time.monotonic() - started:.1f} s"
        alive = [thread.name for thread in left if thread.is_alive()]
        assert not alive, f"threads left after close: {alive}"

    def _pool(self, threads: int) -> Executor:
        pool = ThreadPoolExecutor(threads, thread_name_prefix="sink-under-test")
        self._pools.append(pool)
        return pool


def _count_nothing(operation: str, outcome: str) -> None:
    """Stands where the metrics are."""
