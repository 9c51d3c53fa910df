"""The sink, as the engine sees it."""

from collections.abc import Collection, Mapping
from concurrent.futures import Future

from cdc.connector import SinkContext
from cdc.errors import ErrorKind, SinkError
from cdc.model import EncodedBatch, Position, ShardKey, Stream
from cdc.ports import Receipt
from cdc.receipts import Receipts
from connectors.kafka.config import KafkaConfig
from connectors.kafka.delivery import Delivery
from connectors.kafka.topics import topic_name


class KafkaSink:
    """Delivers at least once, each item's changes in order; keeps no positions."""

    def __init__(self, config: KafkaConfig, context: SinkContext) -> None:
        self.name = config.name
        self._template = config.topic
        self._pipeline = context.pipeline
        self._count_call = context.count_call
        self._topics: dict[str, str] = {}
        self._receipts = Receipts()
        self._delivery = Delivery(
            config,
            self._receipts,
            client=f"cdc-{context.pipeline}-{config.name}",
            executor=context.executor,
        )

    def open(self) -> None:
        try:
            self._delivery.connect()
        except SinkError as error:
            self._count_call("Metadata", error.kind)
            raise
        self._count_call("Metadata", "ok")

    def claim(self, shards: Collection[ShardKey]) -> Mapping[ShardKey, Position] | None:
        for shard in shards:
            self._receipts.forget(shard)
        return None

    def write(self, batch: EncodedBatch) -> Receipt:
        entry = self._receipts.take(batch)
        if isinstance(entry, Receipt):
            return entry
        try:
            self._delivery.give(entry, self._topic(batch.batch.stream))
        except SinkError as error:
            self._receipts.fail(entry, error)
        return entry.receipt

    def flush(self, *, deadline: float) -> "Future[None]":
        return self._delivery.flush(deadline=deadline)

    def release(self, shards: Collection[ShardKey]) -> None:
        for shard in shards:
            self._receipts.forget(shard)

    def close(self, *, deadline: float) -> None:
        self._delivery.close(deadline=deadline)

    def _topic(self, stream: Stream) -> str:
        topic = self._topics.get(stream.arn)
        if topic is None:
            values = {"table": stream.table, "account": stream.account, "region": stream.region}
            try:
                topic = topic_name(self._template, values | {"pipeline": self._pipeline})
            except ValueError as error:
                raise SinkError(ErrorKind.CONFIGURATION, f"sink {self.name}: {error}") from None
            self._topics[stream.arn] = topic
        return topic
