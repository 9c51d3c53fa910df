"""Sinks with threads on a store, and batches for them."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from cdc.model import Batch
from cdc.ports import Clock
from cdc.testing.batches import ShardFeed
from cdc.testing.sink_run import SystemClock
from connectors.lake.sink import LakeSink
from connectors.lake.storage import Terms
from tests.lake_batches import at_hours
from tests.s3.lakes import SMALL, s3_config, s3_context, s3_sink
from tests.s3.server import S3Server

THREADS = replace(SMALL, threads=2, memory_bytes=1e6)


@contextmanager
def opened(
    server: S3Server | str,
    *feeds: ShardFeed,
    terms: Terms = THREADS,
    clock: Clock | None = None,
    deadline: float = 10,
    **keys: Any,
) -> Iterator[LakeSink]:
    """Closed at the end, within the deadline. A server by its URL is one of another process."""
    url = server if isinstance(server, str) else server.url
    pools: list[ThreadPoolExecutor] = []

    def executor(threads: int) -> Executor:
        pools.append(ThreadPoolExecutor(threads, thread_name_prefix="lake"))
        return pools[-1]

    context = s3_context(clock=clock if clock is not None else SystemClock(), executor=executor)
    sink = s3_sink(s3_config(url, codec="null", **keys), context, terms)
    try:
        sink.open()
        sink.claim([feed.key for feed in feeds])
        yield sink
    finally:
        sink.close(deadline=deadline)
        for pool in pools:
            pool.shutdown()


def large(feed: ShardFeed, *, hour: float = 0) -> Batch:
    """One that is a part of an upload."""
    feed.put("large", text={"S": "x" * SMALL.chunk_bytes})
    return at_hours(feed.batch(), [hour])


def small(feed: ShardFeed, *, hour: float = 0) -> Batch:
    feed.put("small")
    return at_hours(feed.batch(), [hour])


def wait_for(holds: Callable[[], bool]) -> None:
    """For a thread that tells nobody."""
    until = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.005)
