"""What the integration tests rely on in the real services, and no emulator in Python offers."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from tests.services.dynamodb_local import DynamoDB
from tests.services.kafka import Kafka

pytestmark = pytest.mark.integration

PATIENCE_SECONDS = 30.0


def unique(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


# Kafka


def transactional(bootstrap: str, transactional_id: str) -> Producer:
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": transactional_id})
    producer.init_transactions(PATIENCE_SECONDS)
    return producer


def values(bootstrap: str, topic: str, isolation_level: str) -> list[bytes]:
    """All values of the topic's one partition, up to its end."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": unique("reader"),
            "isolation.level": isolation_level,
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 20,  # the end of the partition is told after this
        }
    )
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        found = []
        while True:
            message = consumer.poll(PATIENCE_SECONDS)
            assert message is not None, "neither a message nor the end of the partition"
            error = message.error()
            if error is None:
                value = message.value()
                assert isinstance(value, bytes)
                found.append(value)
            elif error.code() == KafkaError._PARTITION_EOF:
                return found
            else:
                raise KafkaException(error)
    finally:
        consumer.close()


def test_read_committed_hides_an_aborted_transaction(kafka_bootstrap: str) -> None:
    topic = unique("services")
    producer = transactional(kafka_bootstrap, unique("transaction"))
    producer.begin_transaction()
    producer.produce(topic, b"aborted")
    producer.flush(PATIENCE_SECONDS)  # aborting would drop what has not been sent
    producer.abort_transaction(PATIENCE_SECONDS)
    producer.begin_transaction()
    producer.produce(topic, b"committed")
    producer.commit_transaction(PATIENCE_SECONDS)

    assert values(kafka_bootstrap, topic, "read_uncommitted") == [b"aborted", b"committed"]
    assert values(kafka_bootstrap, topic, "read_committed") == [b"committed"]


def test_a_second_producer_fences_the_first(kafka_bootstrap: str) -> None:
    topic, transactional_id = unique("services"), unique("transaction")
    first = transactional(kafka_bootstrap, transactional_id)
    first.begin_transaction()
    first.produce(topic, b"first")
    first.flush(PATIENCE_SECONDS)

    second = transactional(kafka_bootstrap, transactional_id)
    with pytest.raises(KafkaException) as fenced:
        first.commit_transaction(PATIENCE_SECONDS)
    assert fenced.value.args[0].code() == KafkaError._FENCED
    second.begin_transaction()
    second.produce(topic, b"second")
    second.commit_transaction(PATIENCE_SECONDS)

    assert values(kafka_bootstrap, topic, "read_committed") == [b"second"]


def test_a_broker_killed_or_stopped_and_started_again_keeps_its_address_and_its_log(
    kafka_broker: Kafka,
) -> None:
    bootstrap, topic = kafka_broker.endpoint, unique("services")
    producer = transactional(bootstrap, unique("transaction"))
    for value, end in ((b"before", kafka_broker.kill), (b"after", kafka_broker.stop)):
        producer.begin_transaction()
        producer.produce(topic, value)
        producer.commit_transaction(PATIENCE_SECONDS)
        end()
        assert not kafka_broker.running
        kafka_broker.start()
        assert kafka_broker.endpoint == bootstrap
    assert values(bootstrap, topic, "read_committed") == [b"before", b"after"]


# DynamoDB Local


@dataclass(frozen=True)
class Table:
    """A table with a stream of both images, and its clients."""

    name: str
    stream_arn: str
    dynamodb: Any
    streams: Any

    def records(self) -> tuple[list[dict[str, Any]], str | None]:
        """All records of the only shard until a page comes empty or the shard ends; and the next iterator."""
        (shard,) = self.streams.describe_stream(StreamArn=self.stream_arn)["StreamDescription"]["Shards"]
        iterator = self.streams.get_shard_iterator(
            StreamArn=self.stream_arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        found: list[dict[str, Any]] = []
        while iterator is not None:
            page = self.streams.get_records(ShardIterator=iterator)
            found += page["Records"]
            iterator = page.get("NextShardIterator")
            if not page["Records"]:
                break
        return found, iterator


def clients(endpoint: str) -> tuple[Any, Any]:
    options: dict[str, Any] = {
        "endpoint_url": endpoint,
        "region_name": "eu-central-1",
        "aws_access_key_id": "local",
        "aws_secret_access_key": "local",
        "config": Config(retries={"total_max_attempts": 1}),
    }
    return boto3.client("dynamodb", **options), boto3.client("dynamodbstreams", **options)


def create_table(endpoint: str) -> Table:
    dynamodb, streams = clients(endpoint)
    name = unique("services")
    created = dynamodb.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    return Table(name, created["TableDescription"]["LatestStreamArn"], dynamodb, streams)


@pytest.fixture
def table(dynamodb_endpoint: str) -> Iterator[Table]:
    table = create_table(dynamodb_endpoint)
    yield table
    table.dynamodb.delete_table(TableName=table.name)


def item(key: str, count: int) -> dict[str, Any]:
    return {"id": {"S": key}, "count": {"N": str(count)}}


def images(records: list[dict[str, Any]]) -> list[tuple[str, Any, Any]]:
    return [
        (record["eventName"], record["dynamodb"].get("OldImage"), record["dynamodb"].get("NewImage"))
        for record in records
    ]


def test_put_update_and_delete_are_in_the_stream_with_both_images(table: Table) -> None:
    table.dynamodb.put_item(TableName=table.name, Item=item("a", 1))
    table.dynamodb.update_item(
        TableName=table.name,
        Key={"id": {"S": "a"}},
        UpdateExpression="SET #count = :two",
        ExpressionAttributeNames={"#count": "count"},
        ExpressionAttributeValues={":two": {"N": "2"}},
    )
    table.dynamodb.put_item(TableName=table.name, Item=item("a", 2))  # changes nothing: no record
    table.dynamodb.delete_item(TableName=table.name, Key={"id": {"S": "a"}})

    records, iterator = table.records()
    assert images(records) == [
        ("INSERT", None, item("a", 1)),
        ("MODIFY", item("a", 1), item("a", 2)),
        ("REMOVE", item("a", 2), None),
    ]
    numbers = [int(record["dynamodb"]["SequenceNumber"]) for record in records]
    assert numbers == sorted(set(numbers))
    assert iterator is not None, "the shard is open"


def test_a_transaction_whose_condition_fails_changes_nothing(table: Table) -> None:
    table.dynamodb.put_item(TableName=table.name, Item=item("held", 1))

    def write(key: str, *, only_if_absent: str) -> None:
        puts = [
            {"Put": {"TableName": table.name, "Item": item(key, 2)}},
            {
                "Put": {
                    "TableName": table.name,
                    "Item": item(only_if_absent, 2),
                    "ConditionExpression": "attribute_not_exists(id)",
                }
            },
        ]
        table.dynamodb.transact_write_items(TransactItems=puts)

    with pytest.raises(ClientError) as refused:
        write("first", only_if_absent="held")
    response: Any = refused.value.response
    assert response["Error"]["Code"] == "TransactionCanceledException"
    assert [reason["Code"] for reason in response["CancellationReasons"]] == [
        "None",
        "ConditionalCheckFailed",
    ]
    write("first", only_if_absent="second")

    records, _ = table.records()
    assert images(records)[:1] == [("INSERT", None, item("held", 1))]
    assert sorted(record["dynamodb"]["Keys"]["id"]["S"] for record in records[1:]) == ["first", "second"]


def test_a_closed_shard_gives_its_records_and_then_no_iterator(table: Table) -> None:
    table.dynamodb.put_item(TableName=table.name, Item=item("last", 1))
    table.dynamodb.update_table(TableName=table.name, StreamSpecification={"StreamEnabled": False})

    records, iterator = table.records()
    assert images(records) == [("INSERT", None, item("last", 1))]
    assert iterator is None
    stream = table.streams.describe_stream(StreamArn=table.stream_arn)["StreamDescription"]
    (shard,) = stream["Shards"]
    assert stream["StreamStatus"] == "DISABLED"
    assert int(shard["SequenceNumberRange"]["EndingSequenceNumber"]) >= int(
        records[-1]["dynamodb"]["SequenceNumber"]
    )


def test_a_dynamodb_local_killed_and_started_again_keeps_items_and_stream(
    dynamodb_local: DynamoDB,
) -> None:
    endpoint = dynamodb_local.endpoint
    table = create_table(endpoint)
    table.dynamodb.put_item(TableName=table.name, Item=item("kept", 1))
    dynamodb_local.kill()
    dynamodb_local.start()
    assert dynamodb_local.endpoint == endpoint
    assert table.dynamodb.get_item(TableName=table.name, Key={"id": {"S": "kept"}})["Item"] == item("kept", 1)
    records, _ = table.records()
    assert images(records) == [("INSERT", None, item("kept", 1))]
