"""An item's partition is the one that a Java producer chooses (Apache Kafka, `Utils.murmur2`, default partitioner)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cdc.testing.batches import Table
from cdc.testing.encoding import encode
from cdc.testing.sink_run import SinkRun
from tests.contract.kafka.cluster import Cluster
from tests.contract.kafka.engine import deliver
from tests.contract.kafka.pages import kafka_sink, pages
from tests.contract.kafka.reader import read_topic

PARTITIONS = 7
_WORD = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """MurmurHash2, 32 bits, with Kafka's seed; unsigned."""
    multiplier = 0x5BD1E995
    hashed = 0x9747B28C ^ len(data)
    words = len(data) // 4
    for at in range(words):
        word = int.from_bytes(data[4 * at : 4 * at + 4], "little") * multiplier & _WORD
        word = (word ^ word >> 24) * multiplier & _WORD
        hashed = hashed * multiplier & _WORD ^ word
    rest = data[4 * words :]
    if rest:
        hashed = (hashed ^ int.from_bytes(rest, "little")) * multiplier & _WORD
    hashed = (hashed ^ hashed >> 13) * multiplier & _WORD
    return hashed ^ hashed >> 15


@pytest.mark.parametrize(
    ("data", "signed"),
    [
        # Apache Kafka, UtilsTest.testMurmur2
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_our_own_murmur2_is_kafkas(data: bytes, signed: int) -> None:
    assert murmur2(data) == signed & _WORD


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster() as cluster:
        yield cluster


@pytest.mark.parametrize("properties", [{}, {"partitioner": "murmur2"}])
def test_messages_are_where_a_java_producer_puts_them(
    cluster: Cluster, tmp_path: Path, properties: dict[str, str | int | bool]
) -> None:
    cluster.create_topic("cdc.orders", partitions=PARTITIONS)
    shard = Table().shard()
    batches = pages(shard, count=2, changes=100, items=60)
    sink = kafka_sink(cluster.bootstrap_servers, properties)
    with SinkRun(sink, tmp_path, encode=encode, shards=[shard.key]) as run:
        deliver(run.sink, [batches])
    messages = read_topic(cluster.bootstrap_servers, "cdc.orders", whole=True)
    assert len(messages) == 200
    for message in messages:
        key = message.key()
        assert isinstance(key, bytes)
        assert message.partition() == (murmur2(key) & 0x7FFFFFFF) % PARTITIONS
    assert len({message.partition() for message in messages}) == PARTITIONS
