"""Records that a sink can never take, on real services: each is a dead letter, and nothing else is missing."""

import base64
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import fastavro
import jsonschema
import pytest
from confluent_kafka import Message
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

import schemas
from tests.command.folder import file_sink, lines, write
from tests.command.process import cdc
from tests.command.proxy import Proxy, proxy
from tests.contract.kafka.reader import read_topic
from tests.dynamodb_streams.tables import Tables, enabled, tables_at

ITEMS = 40
KEYLESS = "item-05"
TOO_LARGE = "item-11"
MISFIT = "item-17"
TOO_BIG = "item-23"
"""With its version it is larger than an item may be: the source takes it, the replica does not."""
TOPIC_BYTES = 8192
LETTER = json.loads((Path(schemas.__file__).parent / "dead-letter.schema.json").read_text("utf-8"))


@pytest.fixture
def tables(dynamodb_endpoint: str) -> Iterator[Tables]:
    with tables_at(dynamodb_endpoint) as found:
        yield found


def create(tables: Tables, name: str, **more: Any) -> str:
    definitions = [{"AttributeName": "id", "AttributeType": "S"}, *more.pop("AttributeDefinitions", [])]
    tables.client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=definitions,
        **more,
    )
    return name


NOISE = base64.b64encode(random.Random(7).randbytes(TOPIC_BYTES)).decode()
"""Does not compress."""
MORE: dict[tuple[str, str], dict[str, Any]] = {
    (TOO_LARGE, "1"): {"noise": {"S": NOISE}},
    (MISFIT, "2"): {"grade": {"N": "1"}},
    (TOO_BIG, "2"): {"pad": {"S": "x" * (400 * 1024 - 60)}},
}


@pytest.fixture
def source(tables: Tables) -> str:
    """Every item is written, and written again after all were."""
    name = create(tables, f"orders-{uuid4().hex[:12]}", StreamSpecification=enabled("NEW_AND_OLD_IMAGES"))
    for turn in "12":
        for number in range(ITEMS):
            item: dict[str, Any] = {
                "id": {"S": f"item-{number:02d}"},
                "grade": {"S": "a"},
                "turn": {"N": turn},
            }
            item |= MORE.get((item["id"]["S"], turn), {})
            tables.client.put_item(TableName=name, Item=item)
    return name


@pytest.fixture
def replica(tables: Tables) -> str:
    """Its index wants text where one item has a number."""
    index = {
        "IndexName": "by-grade",
        "KeySchema": [{"AttributeName": "grade", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
    }
    return create(
        tables,
        f"copy-{uuid4().hex[:12]}",
        AttributeDefinitions=[{"AttributeName": "grade", "AttributeType": "S"}],
        GlobalSecondaryIndexes=[index],
    )


@pytest.fixture
def topic(kafka_bootstrap: str) -> str:
    """Takes records of a few kilobytes."""
    name = f"orders-{uuid4().hex[:12]}"
    new = NewTopic(
        name, num_partitions=3, replication_factor=1, config={"max.message.bytes": str(TOPIC_BYTES)}
    )
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})  # lives until the answer is there
    admin.create_topics([new])[name].result(20)
    return name


@pytest.fixture
def front(dynamodb_endpoint: str) -> Iterator[Proxy]:
    """Takes the keys of one record away."""
    with proxy(dynamodb_endpoint) as front:
        front.edits["GetRecords"] = take_key
        yield front


def take_key(answer: dict[str, Any]) -> None:
    for record in answer["Records"]:
        image = record["dynamodb"]["NewImage"]
        if (image["id"], image["turn"]) == ({"S": KEYLESS}, {"N": "1"}):
            del record["dynamodb"]["Keys"]


def test_each_is_a_dead_letter_and_all_others_arrive(
    tables: Tables,
    front: Proxy,
    source: str,
    replica: str,
    topic: str,
    kafka_bootstrap: str,
    tmp_path: Path,
) -> None:
    endpoint = tables.url
    sinks = [
        file_sink(),
        {"name": "bus", "type": "kafka", "bootstrap_servers": kafka_bootstrap, "topic": topic},
        {"name": "dr", "type": "replica", "region": "eu-west-1", "table": replica, "endpoint_url": endpoint},
        {"name": "lake", "type": "lake", "url": "file:./lake", "flush_after_seconds": 0.5},
    ]
    write(tmp_path, front.url, source, sinks, pipeline=f"p{uuid4().hex[:12]}")
    answer = cdc(tmp_path, "run", "pipeline.yaml", "--until-caught-up")
    assert answer.code == 0, answer.err

    letters = {
        path.name.split(".")[1]: lines(path) for path in (tmp_path / "cdc-dead-letters").glob("*.jsonl")
    }
    kinds = {
        sink: sorted((*state(letter), letter["kind"]) for letter in found) for sink, found in letters.items()
    }
    keyless = (KEYLESS, "1", "unencodable")
    assert kinds == {
        "file": [keyless],
        "lake": [keyless],
        # The second time it is the old image that is too large.
        "bus": [keyless, (TOO_LARGE, "1", "rejected"), (TOO_LARGE, "2", "rejected")],
        "dr": [keyless, (MISFIT, "2", "rejected"), (TOO_BIG, "2", "rejected")],
    }

    written = lines(tmp_path / "file.jsonl")
    stands = {(line["key"]["id"]["S"], line["after"]["turn"]["N"]): line for line in written}
    everything = {(f"item-{number:02d}", turn) for number in range(ITEMS) for turn in "12"}
    assert set(stands) == everything - {(KEYLESS, "1")}
    for sink, found in letters.items():
        for letter in found:
            jsonschema.validate(letter, LETTER)
            assert (letter["sink"], letter["table"]) == (sink, source)
            if state(letter) != (KEYLESS, "1"):  # the file has it, with its position
                line = stands[state(letter)]
                assert (letter["stream"], letter["shard"], letter["sequence"]) == (
                    line["stream"],
                    line["shard"],
                    line["sequence"],
                )
                assert record(letter) == line["after"]
    reasons = {(sink, state(letter)[0]): letter["reason"] for sink in letters for letter in letters[sink]}
    assert "keys" in reasons["bus", KEYLESS]
    assert "index key" in reasons["dr", MISFIT]
    assert "400 KB" in reasons["dr", TOO_BIG]
    assert "large" in reasons["bus", TOO_LARGE].lower()

    # The keyless one is missing in the file too.
    versions = {line["version"]: name for name, line in stands.items()}
    given = {version for version, name in versions.items() if name not in map(state, letters["bus"])}
    messages = read_topic(kafka_bootstrap, topic)
    assert {version_of(message) for message in messages} == given
    # What shared a request with the refused one was sent again; the last word on each item is its newest state.
    newest = {versions[version][0]: version for version in sorted(given)}
    last = {message.key(): version_of(message) for message in messages}
    assert sorted(last.values()) == sorted(newest.values())
    in_lake = []
    for path in (tmp_path / "lake").glob(f"{source}/**/*.avro"):
        with path.open("rb") as stored:
            rows: Iterator[Any] = fastavro.reader(stored)
            in_lake += [row["__version"] for row in rows]
    assert sorted(in_lake) == sorted(versions)
    copied = tables.client.scan(TableName=replica, ConsistentRead=True)["Items"]
    assert {(item["id"]["S"], item["turn"]["N"]) for item in copied} == {
        (name, "1" if name in (MISFIT, TOO_BIG) else "2") for name, _ in everything
    }
    shown = json.loads(cdc(tmp_path, "status", "pipeline.yaml", "--json").out)
    counted = {sink["name"]: sink["dead_letters"] for sink in shown["sinks"]}
    assert counted == {sink: len(found) for sink, found in letters.items()}


def version_of(message: Message) -> str:
    version = dict(message.headers() or [])["cdc.version"]
    assert isinstance(version, bytes)
    return version.decode()


def record(letter: dict[str, Any]) -> Any:
    return json.loads(letter["record"])["dynamodb"]["NewImage"]


def state(letter: dict[str, Any]) -> tuple[str, str]:
    """Which item, and which time it was written."""
    image = record(letter)
    return image["id"]["S"], image["turn"]["N"]
