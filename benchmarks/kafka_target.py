"""The cluster that is written to: a real broker where Java and Maven are, else the one that is built into librdkafka."""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from benchmarks.processes import BenchmarkError

Kind = Literal["broker", "built-in"]
PARTITIONS = 4
_SECONDS = 30.0


class KafkaTarget:
    def __init__(self, bootstrap: str, kind: Kind) -> None:
        self.bootstrap = bootstrap
        self.kind: Kind = kind
        # Its answers are lost with it.
        self._admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})

    def create(self, topic: str) -> None:
        """With `PARTITIONS`; the built-in cluster makes topics by itself, with as many."""
        if self.kind == "broker":
            self._admin.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic].result(_SECONDS)

    def delete(self, topic: str) -> None:
        """Frees the disk, where there is one."""
        if self.kind == "broker":
            self._admin.delete_topics([topic])[topic].result(_SECONDS)

    def messages(self, topic: str) -> list[Message]:
        """All that is there.

        Raises:
            BenchmarkError: the built-in cluster dropped some (it keeps 5 MB a partition), or they cannot be read.
        """
        with self.consumer() as consumer:
            missing = 0
            partitions = []
            for number in consumer.list_topics(topic, timeout=_SECONDS).topics[topic].partitions:
                low, high = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=_SECONDS)
                if low:
                    raise BenchmarkError(f"the built-in cluster dropped {low} messages of {topic}")
                missing += high
                partitions.append(TopicPartition(topic, number, 0))
            consumer.assign(partitions)
            found: list[Message] = []
            deadline = time.monotonic() + _SECONDS
            while len(found) < missing:
                found += taken(consumer)
                if time.monotonic() > deadline:
                    raise BenchmarkError(f"{topic}: {len(found)} of {missing} messages could be read")
            return found

    @contextmanager
    def consumer(self) -> Iterator[Consumer]:
        consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": "benchmark",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 5,
                "log_level": 0,
            }
        )
        try:
            yield consumer
        finally:
            consumer.close()


def taken(consumer: Consumer) -> list[Message]:
    """What has come."""
    found = consumer.consume(1000, timeout=0.1)
    for message in found:
        if (error := message.error()) is not None:
            raise KafkaException(error)
    return found


@contextmanager
def kafka(folder: Path, *, built_in: bool) -> Iterator[KafkaTarget]:
    """In a process of its own; ended at the end. Its data is in `folder`."""
    from tests.services.kafka import KafkaBroker
    from tests.services.unavailable import UnavailableError

    if not built_in:
        with contextlib.suppress(UnavailableError):
            KafkaBroker.prepare()
            broker = KafkaBroker(folder)
            broker.start()
            try:
                yield KafkaTarget(broker.endpoint, "broker")
            finally:
                broker.kill()
            return
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.kafka_target"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            yield KafkaTarget(json.loads(process.stdout.readline()), "built-in")
        finally:
            process.kill()


def main() -> None:
    """The built-in cluster, until the end of the input."""
    properties = {"bootstrap.servers": "127.0.0.1:1", "test.mock.num.brokers": 3, "log_level": 0}
    owner = Producer(properties)
    brokers = owner.list_topics(timeout=_SECONDS).brokers.values()
    print(json.dumps(",".join(f"{broker.host}:{broker.port}" for broker in brokers)), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
