from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from cdc.connector import SinkContext
from cdc.model import Batch, EncodedBatch
from cdc.ports import Sink
from cdc.testing.content import Content, ItemState
from cdc.testing.encoding import decode_key, decode_value, encode
from cdc.testing.sink_contract import OutageCases
from connectors.kafka import CONNECTOR
from tests.contract.kafka.cluster import Cluster
from tests.contract.kafka.reader import read_topic

STALL = {
    "delivery.timeout.ms": 1500,
    "reconnect.backoff.ms": 50,
    "reconnect.backoff.max.ms": 200,
    "linger.ms": 1,
}


class TestKafka(OutageCases):
    patience: ClassVar[float] = 20.0

    @pytest.fixture(autouse=True)
    def _cluster(self) -> Iterator[None]:
        with Cluster() as self.cluster:
            yield

    def make_sink(self, context: SinkContext) -> Sink:
        config = CONNECTOR.config.model_validate(
            {
                "name": "bus",
                "type": "kafka",
                "bootstrap_servers": self.cluster.bootstrap_servers,
                "properties": STALL,
            }
        )
        return CONNECTOR.build(config, context)

    def encode(self, batch: Batch) -> EncodedBatch:
        return encode(batch)

    def read_back(self, base: Path) -> Content:
        content: dict[str, list[ItemState]] = {}
        for message in read_topic(self.cluster.bootstrap_servers, "cdc.orders", whole=True):
            framed_key, framed = message.key(), message.value()
            assert isinstance(framed_key, bytes)
            assert framed_key[:5] == b"\x00\x00\x00\x00\x01"
            if framed is None:
                assert content[decode_key(framed_key[5:])][-1].op == "d", "a tombstone without its delete"
                continue
            assert framed[:5] == b"\x00\x00\x00\x00\x02"
            key, state = decode_value(framed[5:])
            assert decode_key(framed_key[5:]) == key
            content.setdefault(key, []).append(state)
        return content

    def break_it(self, base: Path) -> None:
        self.cluster.down()

    def mend_it(self, base: Path) -> None:
        self.cluster.up()
