"""A pipeline and the schema registry of its readers: outages, restarts in the midst of one, another registry, secrets."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Message
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

from cdc.model import KeyAttribute
from schemas.envelope import key_schema, value_schema
from schemas.framing import unframe
from schemas.registry.confluent import Access, ConfluentRegistry
from tests.command.folder import write
from tests.command.process import Ended, Running, cdc, eventually, running
from tests.contract.kafka.cluster import Cluster
from tests.contract.kafka.reader import read_topic
from tests.dynamodb_streams.tables import REGION, Tables
from tests.e2e.test_missing_extras import without
from tests.e2e.test_no_secrets import forms
from tests.schema_registry.stub import Answer, Stub, stub

PASSWORD = "password-heliotrope-3318"


@pytest.fixture
def registry() -> Iterator[Stub]:
    with stub(username="cdc", password=PASSWORD) as server:
        yield server


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster() as cluster:
        yield cluster


class Pipeline:
    """Two tables, a topic for each, and the registry. Everything that it ever wrote is in `said`."""

    def __init__(self, folder: Path, tables: Tables, cluster: Cluster, registry: Stub) -> None:
        self.folder = folder
        self.orders, self.lines = tables.create(), tables.create()
        self.said: list[str] = []
        self._tables = tables
        self._cluster = cluster
        self.configure(registry)

    def configure(self, registry: Stub, **settings: Any) -> None:
        bus = {"name": "bus", "type": "kafka", "bootstrap_servers": self._cluster.bootstrap_servers}
        source = {
            "type": "dynamodb-streams",
            "tables": [self.orders, self.lines],
            "region": REGION,
            "endpoint_url": self._tables.url,
            "idle_poll_seconds": 0.1,
        }
        section = {
            "type": "confluent",
            "url": registry.url,
            "basic": {"username": "cdc", "password": "${REGISTRY_PASSWORD}"},
            "timeout_seconds": 1,
        }
        section = {key: value for key, value in (section | settings).items() if value is not None}
        write(self.folder, self._tables.url, "", [bus], source=source, schema={"registry": section})

    def run(self, *, env: Mapping[str, str] | None = None) -> AbstractContextManager[Running]:
        more = {"REGISTRY_PASSWORD": PASSWORD} | dict(env or {})
        return running(self.folder, "--log-format", "json", "--log-level", "debug", env=more)

    def command(self, *words: str, env: Mapping[str, str] | None = None) -> Ended:
        ended = cdc(
            self.folder, *words, "pipeline.yaml", env={"REGISTRY_PASSWORD": PASSWORD} | dict(env or {})
        )
        self.said.append(ended.text)
        return ended

    def put(self, table: str, *numbers: int) -> None:
        for number in numbers:
            self._tables.put(table, number)

    def messages(self, table: str) -> list[Message]:
        return read_topic(self._cluster.bootstrap_servers, f"cdc.{table}", whole=True)

    def wait_for(self, table: str, count: int, run: Running) -> None:
        eventually(lambda: len(self.messages(table)) == count, f"{count} messages of {table}", run=run)

    def wait_for_readiness(self, status: int, run: Running) -> str:
        eventually(lambda: run.admin("/ready")[0] == status, f"/ready answers {status}", run=run)
        return run.admin("/ready")[1]

    def ids(self, table: str) -> set[tuple[int, int]]:
        """Of keys and values."""
        found = set()
        for message in self.messages(table):
            key, value = message.key(), message.value()
            assert isinstance(key, bytes)
            assert isinstance(value, bytes)
            found.add((unframe(key)[0], unframe(value)[0]))
        return found

    def read_by_others(self, registry: Stub, table: str) -> list[str]:
        """The numbers, in order, as confluent-kafka's own deserializer has them: of the keys, which are the values' too."""
        topic = f"cdc.{table}"
        conf = {"url": registry.url, "basic.auth.user.info": f"cdc:{PASSWORD}"}
        numbers = []
        with SchemaRegistryClient(conf) as client:
            read = AvroDeserializer(client)
            for message in self.messages(table):
                key: Any = read(message.key(), SerializationContext(topic, MessageField.KEY))
                value: Any = read(message.value(), SerializationContext(topic, MessageField.VALUE))
                assert value["after"]["at"] == key["at"]
                assert value["source"]["table"] == table
                numbers.append(key["at"])
        return sorted(numbers)


@pytest.fixture
def pipeline(tmp_path: Path, tables: Tables, cluster: Cluster, registry: Stub) -> Iterator[Pipeline]:
    """No test leaves a trace of the password."""
    made = Pipeline(tmp_path, tables, cluster, registry)
    yield made
    assert made.said
    for said in made.said:
        for form in forms(PASSWORD):
            assert form not in said


def test_an_outage_stops_nothing_whose_schema_is_known(pipeline: Pipeline, registry: Stub) -> None:
    pipeline.put(pipeline.orders, 1, 2)
    with pipeline.run() as run:
        pipeline.wait_for(pipeline.orders, 2, run)
        pipeline.wait_for_readiness(200, run)

        registry.stop()
        pipeline.put(pipeline.lines, 1)
        pipeline.put(pipeline.orders, 3)
        pipeline.wait_for(pipeline.orders, 3, run)
        waiting = pipeline.wait_for_readiness(503, run)
        assert "sink bus: shards wait: schema registry http" in waiting
        assert "Connection refused" in waiting
        status = run.admin("/status")[1]
        assert f"table {pipeline.lines}" in status
        pipeline.put(pipeline.orders, 4)
        pipeline.wait_for(pipeline.orders, 4, run)
        assert not pipeline.messages(pipeline.lines)

        registry.start()
        pipeline.wait_for(pipeline.lines, 1, run)
        pipeline.wait_for_readiness(200, run)
        pipeline.said += [waiting, status, run.stop().text]
    assert pipeline.read_by_others(registry, pipeline.orders) == ["1", "2", "3", "4"]
    assert pipeline.read_by_others(registry, pipeline.lines) == ["1"]
    assert sorted(registry.subjects) == sorted(
        f"cdc.{table}-{part}" for table in (pipeline.orders, pipeline.lines) for part in ("key", "value")
    )


def test_a_restart_during_an_outage_goes_on(pipeline: Pipeline, registry: Stub) -> None:
    pipeline.put(pipeline.orders, 1)
    with pipeline.run() as run:
        pipeline.wait_for(pipeline.orders, 1, run)
        pipeline.said.append(run.stop().text)
    registry.stop()
    pipeline.put(pipeline.orders, 2)
    with pipeline.run() as run:
        pipeline.wait_for(pipeline.orders, 2, run)
        pipeline.said.append(run.stop().text)
    assert "schema-registry-not-verified" in pipeline.said[-1]
    registry.start()
    assert pipeline.read_by_others(registry, pipeline.orders) == ["1", "2"]
    assert len(pipeline.ids(pipeline.orders)) == 1


def test_a_crash_and_a_registry_that_hangs(pipeline: Pipeline, registry: Stub) -> None:
    pipeline.put(pipeline.orders, 1)
    with pipeline.run() as run:
        pipeline.wait_for(pipeline.orders, 1, run)
        eventually(lambda: _saved_ids(pipeline) == 2, "the ids are saved", run=run)
        run.process.kill()
        run.end()
    registry.answers(Answer(fault="hang"))
    pipeline.put(pipeline.orders, 2)
    with pipeline.run() as run:
        pipeline.wait_for(pipeline.orders, 2, run)
        pipeline.said.append(run.stop().text)


def _saved_ids(pipeline: Pipeline) -> int:
    text = (pipeline.folder / "cdc-state.db").read_bytes()
    wal = pipeline.folder / "cdc-state.db-wal"
    text += wal.read_bytes() if wal.exists() else b""
    return len({part[:90] for part in text.split(b"schema.registry.id.")[1:]})


@pytest.mark.parametrize("first_id", [1, 100], ids=["the same ids", "other ids"])
def test_another_registry_is_refused(pipeline: Pipeline, registry: Stub, first_id: int) -> None:
    pipeline.put(pipeline.orders, 1)
    with pipeline.run() as run:
        pipeline.wait_for(pipeline.orders, 1, run)
        pipeline.said.append(run.stop().text)
    pipeline.put(pipeline.orders, 2)
    with stub(username="cdc", password=PASSWORD, first_id=first_id) as other:
        pipeline.configure(other)
        # To a run it may be one that is still loading: 1, so that a supervisor tries again.
        for command, code in (("check", 2), ("run", 1)):
            refused = pipeline.command(command)
            assert refused.code == code, refused.text
            assert "does not have the schema to which it gave the id" in refused.err
        assert not other.subjects
    assert len(pipeline.messages(pipeline.orders)) == 1


def test_a_schema_that_the_registry_refuses_stops_its_table_alone(pipeline: Pipeline, registry: Stub) -> None:
    registry.schemas[1] = '{"name":"Other","type":"record","fields":[{"name":"a","type":"string"}]}'
    registry.subjects[f"cdc.{pipeline.lines}-value"] = [1]
    pipeline.put(pipeline.lines, 1)
    pipeline.put(pipeline.orders, 1)
    with pipeline.run() as run:
        halted = run.event("shard-halted")
        pipeline.wait_for(pipeline.orders, 1, run)
        status = run.admin("/status")[1]
        pipeline.said += [status, run.stop().text]
    assert (
        "the schema is not compatible with the ones that the subject has (NAME_MISMATCH, BACKWARD)"
        in halted["reason"]
    )
    assert f"cdc.{pipeline.lines}-value" in halted["reason"]
    assert '\\"type\\"' not in pipeline.said[-1], "no schema in the log"
    assert "compatibility" in halted["remedy"]


def test_what_nobody_registered_is_waited_for(pipeline: Pipeline, registry: Stub) -> None:
    pipeline.configure(registry, auto_register=False)
    checked = pipeline.command("check")
    assert checked.code == 2
    assert f"nothing is registered under: cdc.{pipeline.orders}-key" in checked.err + checked.out
    pipeline.put(pipeline.orders, 1)
    with pipeline.run() as run:
        waits = run.event("shard-waits")
        assert "HTTP 404" in waits["reason"]
        assert "auto_register: true" in waits["remedy"]
        assert not registry.schemas
        _register_by_hand(pipeline.orders, registry)
        pipeline.wait_for(pipeline.orders, 1, run)
        pipeline.said.append(run.stop().text)
    assert pipeline.read_by_others(registry, pipeline.orders) == ["1"]


def _register_by_hand(table: str, registry: Stub) -> None:
    key = (KeyAttribute("id", "S"), KeyAttribute("at", "N"))
    somebody = ConfluentRegistry(Access([registry.url], username="cdc", password=PASSWORD))
    somebody.register(f"cdc.{table}-value", value_schema(table, key, "debezium"))
    somebody.register(f"cdc.{table}-key", key_schema(table, key))
    somebody.close()


@pytest.mark.parametrize("status", [401, 403])
def test_credentials_that_are_refused(pipeline: Pipeline, registry: Stub, status: int) -> None:
    registry.answers(Answer(status, PASSWORD.encode()))
    checked = pipeline.command("check")
    assert checked.code == 2
    assert f"HTTP {status}" in checked.text
    pipeline.put(pipeline.orders, 1)
    with pipeline.run() as run:
        assert f"HTTP {status}" in run.event("shard-waits")["reason"]
        registry.answers(None)
        pipeline.wait_for(pipeline.orders, 1, run)
        pipeline.said.append(run.stop().text)


def test_the_check_says_what_it_saw(pipeline: Pipeline, registry: Stub) -> None:
    checked = pipeline.command("check")
    assert checked.code == 0, checked.text
    assert f"schema registry {registry.url}: mode READWRITE, compatibility BACKWARD" in checked.text
    assert f"subject cdc.{pipeline.lines}-value: not registered yet" in checked.text
    assert not registry.asked("POST")


@pytest.mark.parametrize("command", ["check", "run"])
def test_without_its_package(pipeline: Pipeline, command: str) -> None:
    answer = pipeline.command(command, env=without(pipeline.folder, "authlib"))
    assert answer.code == 2, answer.text
    assert "the schema registry needs the Python package authlib" in answer.err
    assert "pip install 'dynamodb-cdc[registry]'" in answer.err
