"""The sink that takes everything and keeps nothing: it measures the way up to a destination, encoding included."""

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future
from typing import Literal

from cdc.connector import SinkConfig, SinkConnector, SinkContext
from cdc.model import Durability, EncodedBatch, Position, ShardKey
from cdc.ports import Receipt


class NullConfig(SinkConfig):
    """Encodes everything and keeps nothing: to measure what the rest costs."""

    type: Literal["null"]


class NullSink:
    """A `Sink` at which everything is durable at once."""

    def __init__(self, name: str) -> None:
        self.name = name

    def open(self) -> None:
        """There is nothing to reach."""

    def claim(self, shards: Collection[ShardKey]) -> Mapping[ShardKey, Position] | None:
        return None

    def write(self, batch: EncodedBatch) -> Receipt:
        receipt = Receipt(Future(), Future())
        receipt.accepted.set_result(None)
        receipt.durable.set_result(Durability())
        return receipt

    def flush(self, *, deadline: float) -> "Future[None]":
        flushed: Future[None] = Future()
        flushed.set_result(None)
        return flushed

    def release(self, shards: Collection[ShardKey]) -> None:
        """Nothing was claimed."""

    def close(self, *, deadline: float) -> None:
        """Nothing is held."""


def _build(config: NullConfig, context: SinkContext) -> NullSink:
    return NullSink(config.name)


def _probe(config: NullConfig, context: SinkContext) -> Sequence[str]:
    return ["keeps nothing"]


CONNECTOR = SinkConnector(NullConfig, _build, _probe, envelope="debezium")
