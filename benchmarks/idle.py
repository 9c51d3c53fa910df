"""What it costs to wait: a stream with many open shards in which nothing happens."""

import signal
import time
from dataclasses import dataclass

from benchmarks.designs import Cdc, admin_address
from benchmarks.feed import Spec
from benchmarks.processes import POLL_SECONDS, START_SECONDS, BenchmarkError, serving
from benchmarks.throughput import Bench, Tell

_SETTLE_CALLS = 3
"""Calls per shard before it is looked at: polling has slowed down to its idle pace."""


@dataclass(frozen=True)
class Idle:
    shards: int
    seconds: float
    cpu_per_minute: float
    """CPU-seconds."""
    calls_per_second: float
    peak_bytes: int


def measure(of: Bench, *, shards: int, seconds: float, tell: Tell) -> Idle:
    spec = Spec("mid", shards, 0, live=True)
    design = Cdc("cdc, null", ("null",), 1)
    tell(f"{shards} idle shards, for {seconds:g} s")
    with serving(of.files, [spec.name]) as source, of.place(source, spec) as place:
        source.ask("hold")
        process = design.start(place)
        try:
            deadline = time.monotonic() + START_SECONDS
            while source.counts()["calls"] < _SETTLE_CALLS * shards:
                process.check()
                if time.monotonic() > deadline:
                    raise BenchmarkError(f"{shards} shards are not all polled: {process.err()[-4000:]}")
                time.sleep(POLL_SECONDS)
            admin_address(process)
            before, called = process.use(), source.counts()["calls"]
            time.sleep(seconds)
            after, calls = process.use(), source.counts()["calls"] - called
            process.end(signal.SIGTERM)
        finally:
            process.kill()
    took = after.at - before.at
    return Idle(shards, took, (after.cpu - before.cpu) / took * 60, calls / took, process.peak_bytes)
