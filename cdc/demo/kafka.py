"""An embedded Kafka cluster: librdkafka's own, which lives in this process and other processes reach on loopback.

It is a test cluster: it knows no fencing, hides no aborted transactions, and keeps 5 MB a partition, of which it drops
the oldest messages without a word. So the pipeline delivers at least once to it, and a partition that does not begin at
offset 0 any more is an error here: `MAX_EVENTS` stays far below.
"""

import time
from collections.abc import Sequence

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

MAX_EVENTS = 10_000
"""Changes of about 1.5 kB, compressed to a fourth, on four partitions of 5 MB: with room for skew and redelivery."""

_BROKERS = 3
_ANSWER_SECONDS = 10.0
_READ_SECONDS = 30.0
_NO_LOG = {"log_level": 0}


class ClusterError(Exception):
    """The embedded cluster did not do what the demonstration needs of it."""


class Cluster:
    """Lives as long as this object."""

    def __init__(self) -> None:
        # librdkafka puts the embedded cluster's addresses in the place of this one.
        properties = {"bootstrap.servers": "127.0.0.1:1", "test.mock.num.brokers": _BROKERS} | _NO_LOG
        self._owner = Producer(properties)
        brokers = self._owner.list_topics(timeout=_ANSWER_SECONDS).brokers.values()
        self.bootstrap_servers = ",".join(f"{broker.host}:{broker.port}" for broker in brokers)

    def create_topic(self, topic: str) -> None:
        """With the cluster's default number of partitions: asking for a topic makes it."""
        deadline = time.monotonic() + _ANSWER_SECONDS
        while self._owner.list_topics(topic, timeout=_ANSWER_SECONDS).topics[topic].error is not None:
            if time.monotonic() > deadline:
                raise ClusterError(f"the embedded cluster does not make the topic {topic}")

    def messages(self, topic: str) -> list[list[Message]]:
        """All that is in the topic now, by partition, in order.

        Raises:
            ClusterError: messages were dropped, or cannot be read.
        """
        consumer = Consumer(
            {"bootstrap.servers": self.bootstrap_servers, "group.id": "proof", "enable.auto.commit": False}
            | _NO_LOG
        )
        try:
            return _read(consumer, topic)
        except KafkaException as error:
            raise ClusterError(f"the topic {topic} cannot be read: {error.args[0]}") from error
        finally:
            consumer.close()


def _read(consumer: Consumer, topic: str) -> list[list[Message]]:
    numbers = sorted(consumer.list_topics(topic, timeout=_ANSWER_SECONDS).topics[topic].partitions)
    missing = {}
    for number in numbers:
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=_ANSWER_SECONDS)
        if low:
            raise ClusterError(
                f"the embedded cluster dropped the first {low} messages of partition {number}: fewer events, please"
            )
        missing[number] = high
    read: dict[int, list[Message]] = {number: [] for number in numbers}
    consumer.assign([TopicPartition(topic, number, 0) for number in numbers if missing[number]])
    deadline = time.monotonic() + _READ_SECONDS
    while any(len(read[number]) < missing[number] for number in numbers):
        _take(consumer.consume(1000, timeout=0.1), read)
        if time.monotonic() > deadline:
            raise ClusterError(f"the topic {topic} could not be read to its end in {_READ_SECONDS:.0f} s")
    return [read[number][: missing[number]] for number in numbers]


def partition_of(message: Message) -> int:
    """Of a message that was read, which always has one."""
    partition = message.partition()
    assert partition is not None  # noqa: S101 - for the type checker
    return partition


def _take(messages: Sequence[Message], read: dict[int, list[Message]]) -> None:
    for message in messages:
        error = message.error()
        if error is None:
            read[partition_of(message)].append(message)
        elif error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - confluent-kafka has no other name for it
            raise KafkaException(error)
