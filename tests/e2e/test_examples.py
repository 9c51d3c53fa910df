"""The files in `examples/`: all are configurations, and the first is run as its README says."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastavro
import pytest

from cdc import config
from tests.command.folder import lines
from tests.command.process import cdc
from tests.dynamodb_streams.tables import Tables, enabled

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
FILES = sorted(EXAMPLES.glob("*.yaml"))


def test_there_are_examples() -> None:
    readme = (EXAMPLES / "README.md").read_text("utf-8")
    assert len(FILES) >= 3
    for path in FILES:
        assert f"({path.name})" in readme


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_each_is_a_configuration(path: Path) -> None:
    loaded = config.load(path, environ={"KAFKA_PASSWORD": "made-up"})
    assert loaded.sinks


def test_the_local_one_runs(tables: Tables, tmp_path: Path) -> None:
    client = tables.client
    client.create_table(
        TableName="orders",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        StreamSpecification=enabled("NEW_AND_OLD_IMAGES"),
    )
    for total in ("19.90", "24.90"):
        client.put_item(TableName="orders", Item={"id": {"S": "o-1"}, "total": {"N": total}})
    client.delete_item(TableName="orders", Key={"id": {"S": "o-1"}})

    shutil.copy(EXAMPLES / "orders-local.yaml", tmp_path)
    environment = {"DYNAMODB_ENDPOINT_URL": tables.url, "CDC_ADMIN_PORT": "0"}
    checked = cdc(tmp_path, "check", "orders-local.yaml", env=environment)
    assert checked.code == 0, checked.text
    ran = cdc(tmp_path, "run", "orders-local.yaml", "--until-caught-up", env=environment)
    assert ran.code == 0, ran.err
    assert [line["op"] for line in lines(tmp_path / "orders.jsonl")] == ["c", "u", "d"]
    rows = []
    for path in (tmp_path / "lake").glob("orders/**/*.avro"):
        with path.open("rb") as stored:
            stored_rows: Iterator[Any] = fastavro.reader(stored)
            rows += [row["__op"] for row in stored_rows]
    assert rows == ["c", "u", "d"]
    assert cdc(tmp_path, "status", "orders-local.yaml", env=environment).code == 0
    assert not lines(tmp_path / "cdc-dead-letters" / "orders-local.lines.jsonl")
