"""What goes wrong on the way, on librdkafka's built-in cluster."""

import dataclasses
import gc
import os
import weakref
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from confluent_kafka import KafkaError

from cdc.errors import ErrorKind, SinkError
from cdc.model import Batch, EncodedBatch
from cdc.testing.batches import Table
from cdc.testing.encoding import encode
from cdc.testing.sink_run import SinkRun
from connectors.kafka.delivery import Delivery
from tests.contract.kafka.cluster import PRODUCE, Cluster
from tests.contract.kafka.engine import deliver, in_order, number_of_changes, versions
from tests.contract.kafka.pages import LARGE, Properties, kafka_sink, pages
from tests.contract.kafka.reader import read_topic

TOO_LARGE = KafkaError.MSG_SIZE_TOO_LARGE
WELL = 0
SEEDS = range(int(os.environ.get("CDC_KAFKA_SEEDS", "2")))


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster() as cluster:
        yield cluster


def started(cluster: Cluster, base: Path, properties: Properties | None = None, **keys: Any) -> SinkRun:
    tables = keys.pop("tables", ("orders",))
    return SinkRun(
        kafka_sink(cluster.bootstrap_servers, properties, **keys), base, encode=encode, tables=tables
    )


def arrived(cluster: Cluster, batches: list[Batch], *, missing: int = 0, topic: str = "cdc.orders") -> None:
    found = versions(read_topic(cluster.bootstrap_servers, topic, whole=True))
    assert sum(map(len, found.values())) == number_of_changes([batches]) - missing
    assert in_order(found)


def test_a_record_larger_than_the_client_takes_is_rejected_alone(cluster: Cluster, tmp_path: Path) -> None:
    batches = pages(Table().shard(), count=2, changes=20, large={3, 39})
    with started(cluster, tmp_path, {"message.max.bytes": 10_000}) as run:
        delivered = deliver(run.sink, [batches])
    expected = [batches[0].changes[3], batches[1].changes[19]]
    assert [reject.sequence for reject in delivered.rejects] == [change.sequence for change in expected]
    assert [reject.record for reject in delivered.rejects] == [
        batch.raw_record(change) for batch, change in zip(batches, expected, strict=True)
    ]
    assert all(b"x" * LARGE in reject.record for reject in delivered.rejects)
    assert {reject.kind for reject in delivered.rejects} == {ErrorKind.REJECTED}
    assert {reject.reason for reject in delivered.rejects} == {
        "larger than the sink's message.max.bytes (MSG_SIZE_TOO_LARGE)"
    }
    assert not delivered.handed_back
    arrived(cluster, batches, missing=2)


@pytest.mark.parametrize(
    "refusal",
    [TOO_LARGE, KafkaError.INVALID_RECORD, KafkaError.INVALID_TIMESTAMP, KafkaError.RECORD_LIST_TOO_LARGE],
)
def test_of_a_refused_batch_of_records_only_the_cause_is_rejected(
    cluster: Cluster, tmp_path: Path, refusal: int
) -> None:
    cluster.create_topic("cdc.orders", partitions=1)
    batches = pages(Table().shard(), count=3, changes=10)
    with started(cluster, tmp_path, {"max.in.flight": 1}) as run:
        # The batch, then of its records, which come one by one, the fifth.
        cluster.answer(PRODUCE, [refusal, WELL, WELL, WELL, WELL, refusal])
        delivered = deliver(run.sink, [batches])
    assert [reject.sequence for reject in delivered.rejects] == [batches[0].changes[4].sequence]
    assert delivered.rejects[0].reason == f"{KafkaError(refusal).str()} ({KafkaError(refusal).name()})"
    assert not delivered.handed_back
    arrived(cluster, batches, missing=1)


def test_a_batch_of_records_that_is_too_large_as_a_whole_rejects_nothing(
    cluster: Cluster, tmp_path: Path
) -> None:
    batches = pages(Table().shard(), count=3, changes=50)
    with started(cluster, tmp_path) as run:
        cluster.answer(PRODUCE, [TOO_LARGE])
        delivered = deliver(run.sink, [batches])
    assert not delivered.rejects
    assert not delivered.handed_back
    arrived(cluster, batches)


def test_a_denied_topic_hands_back_its_shards_and_no_others(cluster: Cluster, tmp_path: Path) -> None:
    orders, secret = Table("orders"), Table("secret")
    cluster.create_topic("cdc.orders", partitions=2)
    cluster.fail_topic("cdc.secret", KafkaError.TOPIC_AUTHORIZATION_FAILED)
    allowed = pages(orders.shard(), count=3, changes=10)
    denied = pages(secret.shard(), count=3, changes=10)
    with started(cluster, tmp_path, tables=("orders", "secret")) as run:
        refused = [run.write_only(encoded) for encoded in denied[:1]]
        assert not deliver(run.sink, [allowed]).handed_back
        errors = [run.failure(receipt) for receipt in refused]
    assert {error.kind for error in errors} == {ErrorKind.ACCESS_DENIED}
    assert "cdc.secret" in errors[0].message
    arrived(cluster, allowed)


def test_an_absent_topic_is_named_with_the_remedy(cluster: Cluster, tmp_path: Path) -> None:
    cluster.fail_topic("cdc.orders", KafkaError.UNKNOWN_TOPIC_OR_PART)
    (batch,) = pages(Table().shard(), count=1, changes=3)
    with started(cluster, tmp_path, {"topic.metadata.propagation.max.ms": 100}) as run:
        error = run.failure(run.write_only(batch))
        assert error.kind is ErrorKind.NOT_FOUND
        assert "cdc.orders" in error.message
        assert "create the topic cdc.orders" in error.remedy
        cluster.fail_topic("cdc.orders", WELL)
        deliver(run.sink, [[batch]])
    arrived(cluster, [batch])


def test_a_desynchronised_producer_is_replaced(cluster: Cluster, tmp_path: Path) -> None:
    cluster.create_topic("cdc.orders", partitions=1)
    batches = pages(Table().shard(), count=5, changes=10)
    with started(cluster, tmp_path) as run:
        deliver(run.sink, [batches[:2]])
        cluster.answer(PRODUCE, [KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER])
        delivered = deliver(run.sink, [batches[2:]])
    assert set(delivered.handed_back) == {ErrorKind.UNAVAILABLE}
    arrived(cluster, batches)


def test_a_full_queue_delays_acceptance_and_nothing_else(cluster: Cluster, tmp_path: Path) -> None:
    batches = pages(Table().shard(), count=3, changes=30)
    with started(cluster, tmp_path, {"queue.buffering.max.messages": 20}) as run:
        cluster.slow(200)
        receipt = run.write_only(batches[0])
        assert not receipt.accepted.done()
        cluster.slow(0)
        receipt.accepted.result(10)
        deliver(run.sink, [batches[1:]])
        run.wait(receipt)
    arrived(cluster, batches)


def test_an_empty_batch_waits_for_what_was_before_it(cluster: Cluster, tmp_path: Path) -> None:
    shard = Table().shard()
    (batch,) = pages(shard, count=1, changes=3)
    with started(cluster, tmp_path) as run:
        cluster.slow(300)
        before = run.write(batch)
        empty = run.write(shard.batch(end=True))
        assert empty.accepted.done()
        assert not empty.durable.done()
        run.wait(before, empty)


def test_a_stalled_sink_says_why(cluster: Cluster, tmp_path: Path) -> None:
    (batch,) = pages(Table().shard(), count=1, changes=3)
    with started(cluster, tmp_path, {"delivery.timeout.ms": 500}) as run:
        cluster.down()
        error = run.failure(run.write_only(batch))
        assert error.kind is ErrorKind.UNAVAILABLE
        assert cluster.bootstrap_servers in error.message
        assert "0.5 s" in error.message


def test_what_is_late_does_not_arrive_without_what_was_handed_back_before_it(
    cluster: Cluster, tmp_path: Path
) -> None:
    """librdkafka by itself would give up the first batch and then deliver the second."""
    cluster.create_topic("cdc.orders", partitions=1)
    first, second = pages(Table().shard(), count=2, changes=7)
    properties: Properties = {"delivery.timeout.ms": 800, "retry.backoff.ms": 20, "retry.backoff.max.ms": 20}
    with started(cluster, tmp_path, properties) as run:
        cluster.answer(PRODUCE, [KafkaError.NOT_ENOUGH_REPLICAS] * 1000)
        early = run.write_only(first)
        with pytest.raises(TimeoutError):
            early.durable.result(0.5)
        late = run.write_only(second)
        assert {run.failure(early).kind, run.failure(late).kind} == {ErrorKind.UNAVAILABLE}
        cluster.answer_well(PRODUCE)
        deliver(run.sink, [[first, second]])
    arrived(cluster, [first, second])


class Values(list[bytes]):
    """A list that a weak reference can watch."""


class Watched:
    """Encodes, and knows of what it encoded how much is still held."""

    def __init__(self) -> None:
        self.all: list[weakref.ref[Values]] = []

    def __call__(self, batch: Batch) -> EncodedBatch:
        encoded = encode(batch)
        assert encoded.avro is not None
        values = Values(encoded.avro.values)
        self.all.append(weakref.ref(values))
        return dataclasses.replace(encoded, avro=dataclasses.replace(encoded.avro, values=values))

    def alive(self) -> int:
        return sum(values() is not None for values in self.all)


def test_a_long_stall_holds_no_more_than_a_short_one(cluster: Cluster, tmp_path: Path) -> None:
    """A cluster that answers, and takes nothing for hours: each batch is handed back and comes again."""
    cluster.create_topic("cdc.orders", partitions=1)
    (batch,) = pages(Table().shard(), count=1, changes=7)
    watched = Watched()
    properties: Properties = {"delivery.timeout.ms": 250, "retry.backoff.ms": 20, "retry.backoff.max.ms": 20}
    sink = kafka_sink(cluster.bootstrap_servers, properties)
    with SinkRun(sink, tmp_path, encode=watched, tables=("orders",)) as run:
        cluster.answer(PRODUCE, [KafkaError.NOT_ENOUGH_REPLICAS] * 10_000)
        for _ in range(6):
            assert run.failure(run.write_only(batch)).kind is ErrorKind.UNAVAILABLE
        gc.collect()
        assert len(watched.all) == 6
        assert watched.alive() <= 2  # what librdkafka has, and what waits for it
        cluster.answer_well(PRODUCE)
        deliver(run.sink, [[batch]])
    arrived(cluster, [batch])


def test_a_topic_whose_leader_is_gone_lets_go_what_arrived_in_another(tmp_path: Path) -> None:
    (stuck,) = pages(Table("one").shard(), count=1, changes=3)
    flowing = pages(Table("other").shard(), count=20, changes=3)
    watched = Watched()
    with Cluster(brokers=2) as cluster:
        for topic, leader in (("cdc.one", 1), ("cdc.other", 2)):
            cluster.create_topic(topic, partitions=1)
            cluster.lead(topic, 0, broker=leader)
        sink = kafka_sink(cluster.bootstrap_servers, topic="cdc.{table}")
        with SinkRun(sink, tmp_path, encode=watched, tables=("one", "other")) as run:
            cluster.down(1)
            waits = run.write_only(stuck)
            deliver(run.sink, [flowing], encoder=watched)
            assert not waits.durable.done()
            gc.collect()
            assert watched.alive() <= 3
            cluster.up()
            run.wait(waits)
        arrived(cluster, [stuck], topic="cdc.one")
        arrived(cluster, flowing, topic="cdc.other")


def test_an_impossible_topic_is_handed_back_not_raised(cluster: Cluster, tmp_path: Path) -> None:
    (batch,) = pages(Table("t" * 250).shard(), count=1, changes=1)
    with started(cluster, tmp_path) as run:
        assert run.failure(run.write_only(batch)).kind is ErrorKind.CONFIGURATION


def test_a_bug_on_the_polling_thread_ends_the_waiting_and_is_raised(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class PlantedError(Exception):
        pass

    def bug(sink: Delivery) -> None:
        raise PlantedError

    (batch,) = pages(Table().shard(), count=1, changes=3)
    run = started(cluster, tmp_path)
    run.__enter__()
    monkeypatch.setattr(Delivery, "_watch", bug)
    receipt = run.write_only(batch)
    assert isinstance(receipt.durable.exception(10), PlantedError)
    with pytest.raises(PlantedError):
        run.sink.close(deadline=1)


@pytest.mark.parametrize("seed", SEEDS)
def test_any_mixture_of_failures_loses_nothing_and_keeps_order(
    cluster: Cluster, tmp_path: Path, seed: int
) -> None:
    random = Random(seed)
    cluster.create_topic("cdc.orders", partitions=2)
    table = Table()
    shards = [pages(table.shard(number), count=40, changes=8) for number in range(3)]
    down = random.sample(range(10, 100), 1)
    up = {at + random.randint(1, 5) for at in down}
    answers = {
        at: [random.choice([WELL, error]), error]
        for at, error in zip(
            random.sample(range(100), 4),
            [
                TOO_LARGE,
                TOO_LARGE,
                KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER,
                KafkaError.NOT_LEADER_FOR_PARTITION,
            ],
            strict=True,
        )
    }

    def fault(written: int) -> None:
        if written in down:
            cluster.down()
        if written in up:
            cluster.up()
        cluster.answer(PRODUCE, answers.get(written, []))

    # One request at a time: unlike a broker, the built-in cluster takes a request that follows a failed one.
    properties: Properties = {
        "delivery.timeout.ms": 300,
        "queue.buffering.max.messages": 100,
        "max.in.flight": 1,
    }
    with started(cluster, tmp_path, properties) as run:
        delivered = deliver(run.sink, shards, before_write=fault)
    assert ErrorKind.UNAVAILABLE in delivered.handed_back
    found = versions(read_topic(cluster.bootstrap_servers, "cdc.orders", whole=True))
    missing = number_of_changes(shards) - sum(map(len, found.values()))
    assert missing <= len({reject.sequence for reject in delivered.rejects})
    assert in_order(found)


def test_it_does_not_open_with_wrong_properties(cluster: Cluster, tmp_path: Path) -> None:
    with SinkRun(
        kafka_sink(cluster.bootstrap_servers, {"security.protocol": "planted-value"}),
        tmp_path,
        open_sink=False,
    ) as run:
        with pytest.raises(SinkError) as caught:
            run.sink.open()
        assert caught.value.kind is ErrorKind.CONFIGURATION
        assert "security.protocol" in caught.value.message
        assert "planted" not in caught.value.message
