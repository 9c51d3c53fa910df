"""Dead letters are sent again after their cause was mended: to a replica with newer states, and to a topic."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its public names, re-exported without `as`
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from tests.command.folder import file_sink, lines, write
from tests.command.process import cdc, eventually
from tests.contract.kafka.reader import read_topic
from tests.dynamodb_streams.tables import Tables, enabled, tables_at
from tests.integration.faults.test_poison_records import NOISE, create, topic, version_of
from tests.services.dynamodb_local import DynamoDBLocal

__all__ = ["topic"]

NEWEST, OUTDATED, DELETED, GONE_AND_BACK = "newest", "outdated", "deleted", "gone-and-back"
MISFIT = {"grade": {"N": "1"}}
WELL = {"grade": {"S": "a"}}
INDEX = "by-grade"


@pytest.fixture
def tables(dynamodb_local: DynamoDBLocal) -> Iterator[Tables]:
    """Of a server that nobody else uses: while others write, DynamoDB Local does not come to remove an index."""
    with tables_at(dynamodb_local.endpoint) as found:
        yield found


@pytest.fixture
def source(tables: Tables) -> str:
    return create(tables, f"orders-{uuid4().hex[:12]}", StreamSpecification=enabled("NEW_AND_OLD_IMAGES"))


@pytest.fixture
def replica(tables: Tables) -> str:
    """Its index wants text where some items have a number."""
    index = {
        "IndexName": INDEX,
        "KeySchema": [{"AttributeName": "grade", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
    }
    return create(
        tables,
        f"copy-{uuid4().hex[:12]}",
        AttributeDefinitions=[{"AttributeName": "grade", "AttributeType": "S"}],
        GlobalSecondaryIndexes=[index],
    )


def put(tables: Tables, table: str, name: str, turn: int, more: dict[str, Any]) -> None:
    tables.client.put_item(TableName=table, Item={"id": {"S": name}, "turn": {"N": str(turn)}} | more)


def content(tables: Tables, table: str) -> dict[str, str]:
    items = tables.client.scan(TableName=table, ConsistentRead=True)["Items"]
    return {item["id"]["S"]: item["turn"]["N"] for item in items}


def indexes(tables: Tables, table: str) -> list[str]:
    description = tables.client.describe_table(TableName=table)["Table"]
    return [index["IndexName"] for index in description.get("GlobalSecondaryIndexes", [])]


def listed(folder: Path) -> list[dict[str, Any]]:
    answer = cdc(folder, "dead-letters", "list", "pipeline.yaml", "--json")
    assert answer.code == 0, answer.err
    found: list[dict[str, Any]] = json.loads(answer.out)
    return found


def run(folder: Path) -> None:
    answer = cdc(folder, "run", "pipeline.yaml", "--until-caught-up")
    assert answer.code == 0, answer.err


def test_a_replica_keeps_its_newer_states(tables: Tables, source: str, replica: str, tmp_path: Path) -> None:
    sink = {"name": "dr", "type": "replica", "region": "eu-west-1", "table": replica}
    write(
        tmp_path, tables.url, source, [sink | {"endpoint_url": tables.url}], pipeline=f"p{uuid4().hex[:12]}"
    )
    # Of what comes together only the last state is written: each round has a run of its own.
    put(tables, source, NEWEST, 1, WELL)
    for name in (OUTDATED, DELETED, GONE_AND_BACK):
        put(tables, source, name, 1, MISFIT)
    run(tmp_path)
    put(tables, source, NEWEST, 2, MISFIT)
    put(tables, source, OUTDATED, 2, WELL)
    for name in (DELETED, GONE_AND_BACK):
        tables.client.delete_item(TableName=source, Key={"id": {"S": name}})
    run(tmp_path)
    put(tables, source, GONE_AND_BACK, 2, WELL)
    run(tmp_path)
    assert content(tables, replica) == {NEWEST: "1", OUTDATED: "2", GONE_AND_BACK: "2"}
    assert [letter["replayed_at"] for letter in listed(tmp_path)] == [None] * 4

    still = cdc(tmp_path, "dead-letters", "replay", "pipeline.yaml", "--all")
    assert still.code == 1
    # What a newer state or a tombstone outranks is done with; the others are refused as before.
    refused = {line.split()[0] for line in still.out.splitlines() if "refused: an index key" in line}
    assert {letter["id"] for letter in listed(tmp_path) if letter["replayed_at"] is None} == refused
    assert content(tables, replica) == {NEWEST: "1", OUTDATED: "2", GONE_AND_BACK: "2"}

    change = {"GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": INDEX}}]}
    tables.client.update_table(TableName=replica, **change)
    # DynamoDB Local answers writes with InternalFailure while the index goes.
    eventually(lambda: indexes(tables, replica) == [], "the index is gone")
    mended = cdc(tmp_path, "dead-letters", "replay", "pipeline.yaml", "--all")
    assert mended.code == 0, mended.text
    assert {line.split()[0] for line in mended.out.splitlines() if line.endswith(": replayed")} == refused
    assert content(tables, replica) == {NEWEST: "2", OUTDATED: "2", GONE_AND_BACK: "2"}
    assert all(letter["replayed_at"] for letter in listed(tmp_path))
    (shown,) = json.loads(cdc(tmp_path, "status", "pipeline.yaml", "--json").out)["sinks"]
    assert shown["dead_letters"] == 0

    again = cdc(tmp_path, "dead-letters", "replay", "pipeline.yaml", "--all")
    assert (again.code, again.out) == (0, "")
    put(tables, source, NEWEST, 3, WELL)
    run(tmp_path)
    assert content(tables, replica)[NEWEST] == "3"


@contextmanager
def admin(bootstrap: str) -> Iterator[AdminClient]:
    yield AdminClient({"bootstrap.servers": bootstrap})


def test_a_topic_gets_them_by_force_with_their_version_and_a_mark(
    tables: Tables, source: str, topic: str, kafka_bootstrap: str, tmp_path: Path
) -> None:
    put(tables, source, "large", 1, {"noise": {"S": NOISE}})
    put(tables, source, "small", 1, {})
    bus = {"name": "bus", "type": "kafka", "bootstrap_servers": kafka_bootstrap, "topic": topic}
    write(tmp_path, tables.url, source, [bus, file_sink()], pipeline=f"p{uuid4().hex[:12]}")
    run(tmp_path)
    (letter,) = listed(tmp_path)
    refused = cdc(tmp_path, "dead-letters", "replay", "pipeline.yaml", letter["id"])
    assert refused.code == 2
    assert "--force" in refused.err
    assert len(read_topic(kafka_bootstrap, topic)) == 1

    with admin(kafka_bootstrap) as client:
        entry = ConfigEntry("max.message.bytes", "200000", incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
        client.incremental_alter_configs([resource])[resource].result(20)
    forced = cdc(tmp_path, "dead-letters", "replay", "pipeline.yaml", letter["id"], "--force")
    assert forced.code == 0, forced.text
    messages = read_topic(kafka_bootstrap, topic)
    assert next(line["version"] for line in lines(tmp_path / "file.jsonl")) == letter["version"]
    (last,) = [message for message in messages if version_of(message) == letter["version"]]
    marks = {message.key(): dict(message.headers() or []).get("cdc.replayed") for message in messages}
    assert marks.pop(last.key()) == b"1"
    assert list(marks.values()) == [None]
