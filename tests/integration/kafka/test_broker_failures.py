from collections.abc import Sequence
from pathlib import Path
from threading import Timer
from uuid import uuid4

import pytest
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # without `as`

from cdc.errors import ErrorKind
from cdc.model import Batch, Reject
from cdc.testing.batches import Table
from cdc.testing.encoding import encode
from cdc.testing.sink_run import SinkRun
from tests.contract.kafka.engine import deliver, in_order, number_of_changes, versions
from tests.contract.kafka.pages import LARGE, Properties, kafka_sink, pages
from tests.contract.kafka.reader import read_topic
from tests.services.kafka import Kafka

pytestmark = pytest.mark.integration


def create_topic(bootstrap_servers: str, topic: str, **settings: str) -> None:
    client = AdminClient({"bootstrap.servers": bootstrap_servers})
    created = client.create_topics(
        [NewTopic(topic, 3, 1, config={k.replace("_", "."): v for k, v in settings.items()})]
    )
    created[topic].result(10)


def table_of_its_own() -> Table:
    return Table(f"orders-{uuid4().hex[:8]}")


class TestRefusedRecords:
    """A topic that takes less than the client sends: records, and batches of them."""

    def test_only_the_too_large_ones_are_rejected(self, kafka_bootstrap: str, tmp_path: Path) -> None:
        table = table_of_its_own()
        topic = f"cdc.{table.stream.table}"
        create_topic(kafka_bootstrap, topic, max_message_bytes="20000")
        feeds = [table.shard(number) for number in range(3)]
        large = {0: {3, 4, 150}, 1: set(), 2: {299}}
        shards = [pages(feed, count=3, changes=100, large=large[n]) for n, feed in enumerate(feeds)]
        sink = kafka_sink(kafka_bootstrap, {"compression.type": "none"})
        with SinkRun(sink, tmp_path, encode=encode, shards=[feed.key for feed in feeds]) as run:
            rejects = deliver(run.sink, shards).rejects
        self.rejected_are(rejects, shards, large)
        found = versions(read_topic(kafka_bootstrap, topic))
        assert sum(map(len, found.values())) == number_of_changes(shards) - len(rejects)
        assert in_order(found)

    def rejected_are(
        self, rejects: Sequence[Reject], shards: Sequence[Sequence[Batch]], large: dict[int, set[int]]
    ) -> None:
        changes = [[change for batch in batches for change in batch.changes] for batches in shards]
        expected = [changes[shard][number] for shard, numbers in large.items() for number in sorted(numbers)]
        assert sorted(reject.sequence for reject in rejects) == sorted(change.sequence for change in expected)
        assert all(b"x" * LARGE in reject.record for reject in rejects)
        assert {reject.kind for reject in rejects} == {ErrorKind.REJECTED}
        assert all("xxx" not in reject.reason for reject in rejects)

    def test_a_batch_too_large_for_the_topic_rejects_nothing(
        self, kafka_bootstrap: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        table = table_of_its_own()
        topic = f"cdc.{table.stream.table}"
        create_topic(kafka_bootstrap, topic, max_message_bytes="20000")
        feed = table.shard()
        batches = pages(feed, count=4, changes=300)
        sink = kafka_sink(kafka_bootstrap, {"compression.type": "none", "linger.ms": 50})
        with SinkRun(sink, tmp_path, encode=encode, shards=[feed.key]) as run:
            assert not deliver(run.sink, [batches]).rejects
        found = versions(read_topic(kafka_bootstrap, topic))
        assert sum(map(len, found.values())) == number_of_changes([batches])
        assert in_order(found)
        assert "batch.size is 500000" in caplog.text


class TestOutages:
    """The broker goes, in several ways, under a steady stream of batches, and comes back."""

    @pytest.mark.parametrize("way", ["stop", "kill", "freeze"])
    def test_nothing_is_lost_and_order_is_kept(self, kafka_broker: Kafka, tmp_path: Path, way: str) -> None:
        create_topic(kafka_broker.endpoint, "cdc.orders")
        table = Table()
        feeds = [table.shard(number) for number in range(3)]
        shards = [pages(feed, count=150, changes=20) for feed in feeds]

        def break_it(written: int) -> None:
            if written != len(feeds) * 50:  # some are durable, some in flight, some to come
                return
            if way == "freeze":
                kafka_broker.pause()
            elif way == "stop":
                kafka_broker.stop()
            else:
                kafka_broker.kill()
            mending.start()

        def mend_it() -> None:
            if way == "freeze":
                kafka_broker.resume()
            else:
                kafka_broker.start()

        mending = Timer(2.5, mend_it)
        # The queue holds less than is sent, so that batches wait in librdkafka and before it.
        properties: Properties = {
            "delivery.timeout.ms": 1000,
            "queue.buffering.max.messages": 500,
            "socket.timeout.ms": 2000,
        }
        sink = kafka_sink(kafka_broker.endpoint, properties)
        with SinkRun(sink, tmp_path, encode=encode, shards=[feed.key for feed in feeds], patience=30) as run:
            try:
                delivered = deliver(run.sink, shards, before_write=break_it)
            finally:
                mending.join()
        assert ErrorKind.UNAVAILABLE in delivered.handed_back
        found = versions(read_topic(kafka_broker.endpoint, "cdc.orders"))
        assert sum(map(len, found.values())) == number_of_changes(shards)
        assert in_order(found)
