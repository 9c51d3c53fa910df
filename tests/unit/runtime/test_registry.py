"""What a pipeline remembers of its schema registry: ids of one registry mean nothing in another."""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from cdc import config as configuration
from cdc.config import Config
from cdc.errors import ConfigError, ErrorKind, RegistryError
from cdc.runtime.assembly import known_subjects, outlets_of
from cdc.runtime.clock import SystemClock
from cdc.runtime.registry import registry_of, remembered_registry
from cdc.runtime.workers import Workers
from cdc.testing.batches import Table
from cdc.testing.registry_contract import schema
from schemas.document import DocumentEncoder
from schemas.subjects import Subjects
from tests.registries import MemoryRegistry
from tests.schema_registry.stub import Stub, stub

KEY, VALUE = schema("Key", "a"), schema("Value", "a")


def loaded(
    folder: Path, sink: str = "{name: lake, type: lake, url: 'file:./lake'}", *, more: str = ""
) -> Config:
    path = folder / "pipeline.yaml"
    path.write_text(
        "version: 1\npipeline: orders\n"
        "source: {type: dynamodb-streams, tables: [orders], region: eu-west-1}\n"
        f"sinks: [{sink}]\n"
        f"{more}"
    )
    return configuration.load(path, environ={})


def remembered(config: Config, saved: dict[str, str], *, create: bool) -> dict[str, str]:
    registry = registry_of(config, lambda _: None, lambda *_: None)
    return remembered_registry(config, registry, saved, create=create)


def test_the_same_registry_is_taken_again(tmp_path: Path) -> None:
    config = loaded(tmp_path)
    known = remembered(config, {}, create=True)
    assert all(known.values())
    assert remembered(config, known, create=True) == known
    assert remembered(config, known, create=False) == known


def test_a_lost_registry_is_refused_and_not_made_anew(tmp_path: Path) -> None:
    config = loaded(tmp_path)
    known = remembered(config, {}, create=True)
    shutil.rmtree(tmp_path / "cdc-schemas")
    for create in (True, False):
        with pytest.raises(ConfigError, match="not the schema registry") as refusal:
            remembered(config, known, create=create)
        assert "restore" in refusal.value.remedy
    assert not (tmp_path / "cdc-schemas").exists()


def test_another_registry_is_refused(tmp_path: Path) -> None:
    config = loaded(tmp_path)
    known = remembered(config, {}, create=True)
    shutil.rmtree(tmp_path / "cdc-schemas")
    remembered(config, {}, create=True)
    with pytest.raises(ConfigError, match="not the schema registry"):
        remembered(config, known, create=True)


def test_where_no_sink_takes_avro_there_is_no_registry(tmp_path: Path) -> None:
    config = loaded(tmp_path, "{name: log, type: file, path: ./out.jsonl}")
    assert remembered(config, {}, create=True) == {}
    assert not (tmp_path / "cdc-schemas").exists()


# A server


@pytest.fixture
def server() -> Iterator[Stub]:
    with stub() as running:
        yield running


class Life:
    """One start of a pipeline with this registry; `saved` is what its state has then."""

    def __init__(
        self, folder: Path, url: str, saved: Mapping[str, str] | None = None, more: str = ""
    ) -> None:
        self.config = loaded(
            folder,
            more=f"schema: {{registry: {{type: confluent, url: '{url}', timeout_seconds: 2{more}}}}}\n",
        )
        self.saved = dict(saved or {})
        self.registry = registry_of(self.config, self.saved.update, lambda *_: None)
        self.saved |= remembered_registry(self.config, self.registry, self.saved, create=True)


def test_a_server_that_is_away_is_no_reason_not_to_start(tmp_path: Path, server: Stub) -> None:
    first = Life(tmp_path, server.url)
    registered = first.registry.register("orders-key", KEY)
    server.stop()
    second = Life(tmp_path, server.url, first.saved)
    assert second.registry.register("orders-key", KEY) == registered
    with pytest.raises(RegistryError):
        second.registry.register("orders-key", VALUE)
    server.start()
    assert second.registry.register("orders-value", VALUE).id == 2


@pytest.mark.parametrize("create", [True, False])
def test_another_server_is_refused(tmp_path: Path, server: Stub, create: bool) -> None:
    first = Life(tmp_path, server.url)
    first.registry.register("orders-key", KEY)
    with stub() as other:
        config = Life(tmp_path, other.url).config
        registry = registry_of(config, lambda _: None, lambda *_: None)
        # One that is loading looks the same: another start may find it well, so this is none of the configuration.
        with pytest.raises(RegistryError, match="does not have the schema") as refusal:
            remembered_registry(config, registry, first.saved, create=create)
        assert refusal.value.kind is ErrorKind.NOT_FOUND
        assert "restore" in refusal.value.remedy
        assert not other.asked("POST")


@pytest.mark.parametrize("create", [True, False])
def test_a_server_with_another_schema_under_an_id_is_refused(
    tmp_path: Path, server: Stub, create: bool
) -> None:
    first = Life(tmp_path, server.url)
    first.registry.register("orders-key", KEY)
    with stub() as other:
        elsewhere = Life(tmp_path, other.url)
        elsewhere.registry.register("orders-value", VALUE)
        config = elsewhere.config
        registry = registry_of(config, lambda _: None, lambda *_: None)
        with pytest.raises(ConfigError, match="not the schema registry") as refusal:
            remembered_registry(config, registry, first.saved, create=create)
        assert "restore" in refusal.value.remedy


def test_from_a_folder_to_a_server_and_back(tmp_path: Path, server: Stub) -> None:
    folder = remembered(loaded(tmp_path), {}, create=True)
    old = {key: value for key, value in folder.items() if key != "schema.registry.type"}
    for saved in (folder, old):
        with pytest.raises(ConfigError, match=r"type is confluent, and .* saved with files"):
            Life(tmp_path, server.url, saved)
    served = Life(tmp_path, server.url).saved
    with pytest.raises(ConfigError, match=r"type is files, and .* saved with confluent"):
        remembered(loaded(tmp_path), served, create=True)


def test_another_subject_strategy_is_refused(tmp_path: Path, server: Stub) -> None:
    first = Life(tmp_path, server.url)
    with pytest.raises(ConfigError, match=r"subject is record-name, and .* saved with topic-name"):
        Life(tmp_path, server.url, first.saved, ", subject: record-name")


# Subjects


def subjects(folder: Path, sinks: str, strategy: str) -> list[str]:
    registry = f"{{type: confluent, url: 'http://a', subject: {strategy}}}"
    return known_subjects(loaded(folder, sinks, more=f"schema: {{registry: {registry}}}\n"))


BUS = "{name: bus, type: kafka, bootstrap_servers: 'a:1'}"
LAKE = "{name: lake, type: lake, url: 'file:./lake'}"


@pytest.mark.parametrize(
    ("sinks", "strategy", "expected"),
    [
        (BUS, "topic-name", ["cdc.orders-key", "cdc.orders-value"]),
        (BUS, "record-name", ["cdc.orders.Key", "cdc.orders.Envelope"]),
        (BUS, "topic-record-name", ["cdc.orders-cdc.orders.Key", "cdc.orders-cdc.orders.Envelope"]),
        (LAKE, "topic-name", ["cdc.orders.Key", "cdc.orders.Row"]),
        (LAKE, "topic-record-name", ["cdc.orders.Key", "cdc.orders.Row"]),
        (
            BUS.replace("}", ", topic: '{pipeline}.{table}'}"),
            "topic-name",
            ["orders.orders-key", "orders.orders-value"],
        ),
        (BUS.replace("}", ", topic: '{account}.{table}'}"), "topic-name", []),
        ("{name: log, type: console}", "topic-name", []),
        (f"{BUS}, {LAKE}", "record-name", ["cdc.orders.Key", "cdc.orders.Envelope", "cdc.orders.Row"]),
    ],
)
def test_the_subjects_that_are_known(tmp_path: Path, sinks: str, strategy: str, expected: list[str]) -> None:
    assert subjects(tmp_path, sinks, strategy) == expected


@pytest.mark.parametrize(
    ("strategy", "topic", "shared"),
    [
        ("topic-name", "cdc.{table}", True),
        ("topic-name", "other.{table}", False),
        ("record-name", "other.{table}", True),
    ],
)
def test_sinks_that_want_the_same_under_the_same_subjects_share_an_encoder(
    tmp_path: Path, strategy: str, topic: str, shared: bool
) -> None:
    second = f"{{name: second, type: kafka, bootstrap_servers: 'a:1', topic: '{topic}'}}"
    registry = f"{{type: confluent, url: 'http://a', subject: {strategy}}}"
    config = loaded(tmp_path, f"{BUS}, {second}, {LAKE}", more=f"schema: {{registry: {registry}}}\n")
    workers = Workers()
    outlets = outlets_of(config, MemoryRegistry(), workers, SystemClock(), lambda *_: None)
    encoders = {name: outlet.encoder for name, outlet in outlets.items()}
    workers.close(1.0)
    assert (encoders["bus"] is encoders["second"]) is shared
    assert encoders["bus"] is not encoders["lake"]


def test_a_batch_is_registered_under_the_topics_of_its_stream() -> None:
    registry = MemoryRegistry()
    subjects = Subjects("topic-name", "{region}.{account}.{table}", "orders")
    encoder = DocumentEncoder(registry, "debezium", pipeline="orders", release="1", subjects=subjects)
    shard = Table("orders").shard()
    shard.put("a")
    encoded = encoder.encode(shard.batch()).avro
    assert encoded is not None
    stream = shard.batch().stream
    topic = f"{stream.region}.{stream.account}.orders"
    assert (encoded.key_schema.subject, encoded.value_schema.subject) == (f"{topic}-key", f"{topic}-value")
