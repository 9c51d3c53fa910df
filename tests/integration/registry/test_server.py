"""A schema registry as its readers have it: the contract, the check, and its outages from outside."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

from cdc.errors import ErrorKind, RegistryError
from cdc.ports import SchemaRegistry
from cdc.testing.batches import Table
from cdc.testing.registry_contract import RegistryCases, schema
from schemas.document import DocumentEncoder
from schemas.framing import frame
from schemas.registry.confluent import Access, ConfluentRegistry
from schemas.registry.remembering import RememberingRegistry
from schemas.subjects import Subjects

pytestmark = pytest.mark.integration


class TestServer(RegistryCases):
    @pytest.fixture(autouse=True)
    def server(self, schema_registry_url: str) -> Iterator[None]:
        with ExitStack() as self.stack:
            self.url = schema_registry_url
            yield

    def make_registry(self, base: Path) -> SchemaRegistry:
        registry = ConfluentRegistry(Access([self.url]))
        self.stack.callback(registry.close)
        return registry


@pytest.fixture
def registry(schema_registry_url: str) -> Iterator[ConfluentRegistry]:
    made = ConfluentRegistry(Access([schema_registry_url]))
    yield made
    made.close()


@pytest.fixture
def reader(schema_registry_url: str) -> Iterator[AvroDeserializer]:
    with SchemaRegistryClient({"url": schema_registry_url}) as client:
        yield AvroDeserializer(client)


@pytest.mark.parametrize("envelope", ["debezium", "flat"])
@pytest.mark.parametrize("strategy", ["topic-name", "record-name", "topic-record-name"])
def test_messages_are_read_by_others(
    registry: ConfluentRegistry, reader: AvroDeserializer, envelope: Any, strategy: Any
) -> None:
    name = f"or-ders_x{uuid4().hex}"
    subjects = Subjects(strategy, "cdc.{table}", "orders")
    encoder = DocumentEncoder(registry, envelope, pipeline="orders", release="1", subjects=subjects)
    shard = Table(name).shard()
    shard.put("a")
    encoded = encoder.encode(shard.batch()).avro
    assert encoded is not None
    topic = f"cdc.{name}"
    key: Any = reader(
        frame(encoded.key_schema.id, encoded.keys[0]), SerializationContext(topic, MessageField.KEY)
    )
    value: Any = reader(
        frame(encoded.value_schema.id, encoded.values[0]), SerializationContext(topic, MessageField.VALUE)
    )
    row = value["after"] if envelope == "debezium" else value
    assert "a" in key.values()
    assert {field: row[field] for field in key} == key
    assert row["item"] is not None


def test_the_ids_are_the_same_for_the_next_process(schema_registry_url: str) -> None:
    name = f"Record{uuid4().hex}"
    saved: dict[str, str] = {}
    lives = []
    for _ in range(2):
        server = ConfluentRegistry(Access([schema_registry_url]))
        registry = RememberingRegistry(server, saved.update)
        registry.recall(saved)
        registry.verify()
        lives.append(registry.register(f"{name}-value", schema(name, "a")))
        server.close()
    assert lives[0] == lives[1]


def test_a_registry_where_an_id_means_something_else(
    registry: ConfluentRegistry, schema_registry_url: str
) -> None:
    saved: dict[str, str] = {}
    first = RememberingRegistry(registry, saved.update)
    name = f"Record{uuid4().hex}"
    first.register(name, schema(name, "a"))
    other = registry.register(f"{name}x", schema(f"{name}x", "a"))
    [key] = saved
    reader_fingerprint = saved[key].split()[1]
    moved = RememberingRegistry(registry, saved.update)
    moved.recall({key: f"{other.id} {reader_fingerprint}"})
    with pytest.raises(RegistryError) as caught:
        moved.verify()
    assert caught.value.kind is ErrorKind.CONFIGURATION


def test_what_is_not_there_is_looked_up_and_not_registered(
    registry: ConfluentRegistry, schema_registry_url: str
) -> None:
    name = f"Record{uuid4().hex}"
    writer = ConfluentRegistry(Access([schema_registry_url]), auto_register=False)
    for _ in range(2):
        with pytest.raises(RegistryError) as caught:
            writer.register(name, schema(name, "a"))
        assert caught.value.kind is ErrorKind.NOT_FOUND
    there = registry.register(name, schema(name, "a"))
    assert writer.register(name, schema(name, "a")).id == there.id
    with pytest.raises(RegistryError) as caught:
        writer.register(name, schema(name, "a", "b"))
    assert caught.value.kind is ErrorKind.NOT_FOUND
    writer.close()


def test_a_schema_that_breaks_the_subject_s_compatibility(
    registry: ConfluentRegistry, schema_registry_url: str
) -> None:
    name = f"Record{uuid4().hex}"
    registry.register(name, schema(name, "a"))
    with SchemaRegistryClient({"url": schema_registry_url}) as operator:
        operator.set_compatibility(name, "BACKWARD")
    required = schema(name, "a").replace('"fields": [', '"fields": [{"name": "must", "type": "string"}, ')
    with pytest.raises(RegistryError) as caught:
        registry.register(name, required)
    assert caught.value.kind is ErrorKind.UNENCODABLE
    assert name in caught.value.message


@pytest.mark.parametrize("text", ['{"type": "recordx"}', '"nothing"'])
def test_a_schema_that_is_none(registry: ConfluentRegistry, text: str) -> None:
    with pytest.raises(RegistryError) as caught:
        registry.register(f"Record{uuid4().hex}", text)
    assert caught.value.kind is ErrorKind.INVALID_REQUEST


def test_the_check(registry: ConfluentRegistry, schema_registry_url: str) -> None:
    name = f"Record{uuid4().hex}"
    registry.register(f"{name}-key", schema(name, "a"))
    with SchemaRegistryClient({"url": schema_registry_url}) as operator:
        operator.set_compatibility(f"{name}-key", "FULL")
    server, key, value = registry.probe([f"{name}-key", f"{name}-value"])
    assert server.startswith(f"schema registry {schema_registry_url}: mode ")
    assert key == f"subject {name}-key: 1 version, compatibility FULL"
    assert value == f"subject {name}-value: not registered yet"


def test_an_address_that_is_the_server_s_but_not_the_api_s(schema_registry_url: str) -> None:
    registry = ConfluentRegistry(Access([f"{schema_registry_url}/nothing/here"]))
    with pytest.raises(RegistryError) as caught:
        registry.schema(1)
    assert caught.value.kind is ErrorKind.MALFORMED
    registry.close()
