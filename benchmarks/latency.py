"""From a write to the reader of a topic, while writes come at an even rate."""

import signal
import time
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import fastavro
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from benchmarks.designs import SCHEMAS, Cdc, Place
from benchmarks.feed import Spec
from benchmarks.kafka_target import PARTITIONS, taken
from benchmarks.processes import START_SECONDS, BenchmarkError, Measured, serving
from benchmarks.throughput import Bench, Tell

_FRAME_BYTES = 5


@dataclass(frozen=True)
class Latency:
    """Milliseconds from a record's creation time to the moment a consumer has its message."""

    shards: int
    rate: int
    """Changes per second, over all shards."""
    seconds: float
    p50: float
    p99: float
    highest: float
    cpu_per_minute: float


def measure(of: Bench, *, shards: int, rate: int, seconds: float, tell: Tell) -> Latency:
    """The first tenth of the messages is not counted."""
    spec = Spec("mid", shards, rate, live=True)
    design = Cdc("cdc, kafka", ("kafka",), 1)
    tell(f"{rate} changes per second on {shards} shards, for {seconds:g} s")
    with serving(of.files, [spec.name]) as source, of.place(source, spec) as place:
        source.ask("hold")
        process = design.start(place)
        try:
            deadline = time.monotonic() + START_SECONDS
            while source.counts()["calls"] < shards:
                process.check()
                if time.monotonic() > deadline:
                    raise BenchmarkError(f"it reads nothing: {process.err()[-4000:]}")
                time.sleep(0.02)
            before = process.use()
            source.ask("go", seconds=seconds)
            delays = _delays(place, process, int(rate // shards * seconds) * shards)
            after = process.use()
            process.end(signal.SIGTERM)
        finally:
            process.kill()
    counted = sorted(delays[len(delays) // 10 :])
    at = [counted[min(len(counted) - 1, int(len(counted) * share))] for share in (0.5, 0.99)]
    used = (after.cpu - before.cpu) / (after.at - before.at) * 60
    return Latency(shards, rate, seconds, at[0], at[1], counted[-1], used)


def _delays(place: Place, process: Measured, count: int) -> list[float]:
    """Milliseconds, in the order of arrival."""
    assert place.kafka is not None
    schemas: dict[int, Any] = {}
    delays: list[float] = []
    with place.kafka.consumer() as consumer:
        _assign(consumer, place.topic)
        deadline = time.monotonic() + START_SECONDS
        while len(delays) < count:
            process.check()
            if time.monotonic() > deadline:
                raise BenchmarkError(f"{len(delays)} of {count} changes arrived")
            for message in consumer.consume(100, timeout=0.005):
                now = time.time()
                if (error := message.error()) is not None:
                    raise BenchmarkError(str(error))
                value = message.value()
                if not isinstance(value, bytes):
                    continue  # a delete's tombstone
                number = int.from_bytes(value[1:_FRAME_BYTES])
                if number not in schemas:
                    path = place.folder / SCHEMAS / f"{number}.avsc"
                    schemas[number] = fastavro.schema.load_schema(str(path))
                read: Any = fastavro.schemaless_reader(BytesIO(value[_FRAME_BYTES:]), schemas[number], None)
                delays.append(now * 1000 - read["source"]["ts_ms"])
    return delays


def _assign(consumer: Consumer, topic: str) -> None:
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in range(PARTITIONS)])
    taken(consumer)  # connects
