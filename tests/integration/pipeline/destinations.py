"""Reads what a pipeline delivered, as any reader would: a Kafka consumer, fastavro, a Scan.

Nothing here knows the product's code: only its documented shapes. Keys and values on Kafka are 0x00, four bytes of
schema id, and Avro binary; `{id}.avsc` is in the registry's folder; `dynamodb.name` is a field's attribute.
"""

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Self

import fastavro
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from tests.integration.pipeline.items import PARTITION_KEY, SORT_KEY, Key
from tests.integration.pipeline.places import Places
from tests.integration.pipeline.values import key_of

DynamoDBJson = dict[str, Any]
VERSION_ATTRIBUTE = "_cdc_version"


@dataclass(frozen=True, slots=True)
class Delivered:
    """One delivered change."""

    version: str
    op: str
    item: DynamoDBJson | None
    """Afterwards; None: deleted."""
    before: DynamoDBJson | None = None
    """Where the destination tells it."""


Deliveries = dict[Key, list[Delivered]]
"""Each key's changes in the order in which the destination took them, redelivered ones included."""


@dataclass
class Topic:
    """A topic in Debezium's envelope. `read` goes on where the last one ended."""

    bootstrap_servers: str
    name: str
    schema: Callable[[int], str]
    """The Avro schema of an id."""
    deliveries: Deliveries = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    """What is wrong with the topic itself."""

    def __post_init__(self) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap_servers,
                "group.id": f"oracle-{self.name}",
                "enable.auto.commit": "false",
                "enable.partition.eof": "true",
                "auto.offset.reset": "error",
                "isolation.level": "read_committed",
                "log_level": "0",
            }
        )
        self._offsets: dict[int, int] = {}
        self._schemas: dict[int, Any] = {}
        self._places: dict[Key, tuple[int | None, bytes]] = {}
        self._just_deleted: dict[int | None, tuple[bytes, str]] = {}
        self._bare_deletes: set[str] = set()
        self._tombstoned: set[str] = set()

    def read(self) -> Deliveries:
        """All that is there now."""
        metadata = self._consumer.list_topics(timeout=20).topics.get(self.name)
        if metadata is None or not metadata.partitions:
            return self.deliveries
        assigned = [
            TopicPartition(self.name, partition, self._offsets.get(partition, 0))
            for partition in metadata.partitions
        ]
        self._consumer.assign(assigned)
        unread = set(metadata.partitions)
        while unread:
            message = self._consumer.poll(20)
            assert message is not None, f"{self.name}: no answer"
            error = message.error()
            if error is None:
                self._take(message)
            else:
                assert error.code() == KafkaError._PARTITION_EOF, error
                partition, end = message.partition(), message.offset()
                assert partition is not None
                assert end is not None
                self._offsets[partition] = end
                unread.discard(partition)
        self._consumer.unassign()
        return self.deliveries

    def faults(self) -> list[str]:
        """`errors`, and deletes that no tombstone ever followed. (A kill may come between the two; both come again.)"""
        bare = sorted(self._bare_deletes - self._tombstoned)
        return [*self.errors, *(f"version {version}: a delete without its tombstone" for version in bare)]

    def close(self) -> None:
        self._consumer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take(self, message: Message) -> None:
        key_bytes, value, partition = message.key(), message.value(), message.partition()
        assert key_bytes is not None
        deleted, version = self._just_deleted.pop(partition, (b"", ""))
        if value is None:
            if deleted == key_bytes:
                self._tombstoned.add(version)
            else:
                self.errors.append(
                    f"{partition}, {message.offset()}: a tombstone that follows no delete of its key"
                )
            return
        schema, record = self._decode(key_bytes)
        key = key_of(attributes_of(schema, record))
        place = self._places.setdefault(key, (partition, key_bytes))
        if place != (partition, key_bytes):
            self.errors.append(
                f"{key}: in two partitions, or under two keys: {place} and {(partition, key_bytes)}"
            )
        _, change = self._decode(value)
        version = change["source"]["item_version"]
        if change["op"] == "d":
            self._just_deleted[partition] = key_bytes, version
            self._bare_deletes.add(version)
        images = [change["before"], change["after"]]
        before, after = [None if image is None else json.loads(image["item"]) for image in images]
        delivered = Delivered(version, change["op"], after, before)
        self.deliveries.setdefault(key, []).append(delivered)

    def _decode(self, framed: bytes) -> tuple[Any, dict[str, Any]]:
        assert framed[0] == 0, "not framed"
        number = int.from_bytes(framed[1:5], "big")
        if number not in self._schemas:
            self._schemas[number] = fastavro.parse_schema(json.loads(self.schema(number)))
        schema = self._schemas[number]
        data = io.BytesIO(framed[5:])
        record = fastavro.schemaless_reader(data, schema, None)
        assert not data.read(), "bytes after the record"
        assert isinstance(record, dict)
        return schema, record


@dataclass
class Lake:
    """A lake of Avro files in the envelope `flat`. `read` takes what files have come since the last one."""

    files: Places
    table: str
    deliveries: Deliveries = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._seen: set[str] = set()

    def read(self) -> Deliveries:
        """Each key's changes by version: files have no order among themselves."""
        for name in self.files.lake_files(self.table):
            if name not in self._seen:
                self._seen.add(name)
                self._take(name)
        for of_key in self.deliveries.values():
            of_key.sort(key=lambda delivered: delivered.version)
        return self.deliveries

    def _take(self, name: str) -> None:
        newest: dict[Key, str] = {}
        for schema, row in _rows(self.files.lake_file(name)):
            key = key_of(attributes_of(schema, row))
            delivered = Delivered(
                row["__version"], row["__op"], None if row["item"] is None else json.loads(row["item"])
            )
            if row["__deleted"] != (delivered.item is None):
                self.errors.append(f"{name}: {key}: __deleted is {row['__deleted']}")
            if newest.get(key, "") >= delivered.version:
                self.errors.append(f"{name}: {key}: out of order")
            newest[key] = delivered.version
            self.deliveries.setdefault(key, []).append(delivered)


def _rows(file: bytes) -> Iterator[tuple[Any, dict[str, Any]]]:
    reader = fastavro.reader(io.BytesIO(file))
    for row in reader:
        assert isinstance(row, dict)
        yield reader.writer_schema, row


def attributes_of(schema: Any, record: Mapping[str, Any]) -> DynamoDBJson:
    """The key attributes among a record's fields."""
    fields: Sequence[Mapping[str, Any]] = schema["fields"]
    found = {
        one["dynamodb.name"]: {one["dynamodb.type"]: record[one["name"]]}
        for one in fields
        if "dynamodb.name" in one
    }
    assert {name: [*value] for name, value in found.items()} == {PARTITION_KEY: ["S"], SORT_KEY: ["N"]}
    # A key's number has one text, or equal keys would be different ones to a topic.
    text = found[SORT_KEY]["N"]
    assert format(Decimal(text), "f") == text, f"{text} is not plain decimal"
    return found


def scan(client: Any, table: str) -> dict[Key, dict[str, Any]]:
    """All items, as botocore reads them."""
    items: dict[Key, dict[str, Any]] = {}
    more: dict[str, Any] = {}
    while True:
        answer = client.scan(TableName=table, ConsistentRead=True, **more)
        for item in answer["Items"]:
            assert key_of(item) not in items
            items[key_of(item)] = item
        if "LastEvaluatedKey" not in answer:
            return items
        more = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
