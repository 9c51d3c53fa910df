"""Reads topics from their first to their last message."""

from collections.abc import Collection

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition


def read_topic(bootstrap_servers: str, topic: str, *, whole: bool = False) -> list[Message]:
    """All messages, partition by partition, each in its order; none if there is no such topic.

    Args:
        whole: the built-in cluster keeps 5 MB a partition; fails if it has dropped something.
    """
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": "reader",
            "enable.auto.commit": "false",
            "enable.partition.eof": "true",
            "auto.offset.reset": "error",
            "isolation.level": "read_committed",
            "log_level": "0",
        }
    )
    try:
        metadata = consumer.list_topics(timeout=10).topics
        if topic not in metadata:
            return []
        partitions: Collection[int] = metadata[topic].partitions
        for partition in partitions:
            low, _ = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
            assert not whole or low == 0, f"{topic}[{partition}] begins at {low}"
        consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
        read: dict[int, list[Message]] = {partition: [] for partition in partitions}
        open_ones = set(partitions)
        while open_ones:
            message = consumer.poll(10)
            assert message is not None, f"{topic}: no answer"
            error, number = message.error(), message.partition()
            assert number is not None
            if error is None:
                read[number].append(message)
            else:
                assert error.code() == KafkaError._PARTITION_EOF, error
                open_ones.discard(number)
        return [message for partition in sorted(read) for message in read[partition]]
    finally:
        consumer.close()
