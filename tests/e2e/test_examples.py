"""The files in `examples/`: all are configurations, and the first is run as its README says."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import fastavro
import pytest

from cdc import config
from tests.command.folder import lines
from tests.command.process import cdc
from tests.dynamodb_streams.tables import Tables, enabled
from tests.lake_files import rows_of
from tests.s3.buckets import files_of, new_bucket

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


def make_orders(tables: Tables) -> None:
    """The table that the examples name, new, with three changes of one order."""
    client = tables.client
    if "orders" in client.list_tables()["TableNames"]:
        client.delete_table(TableName="orders")
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


def test_the_local_one_runs(tables: Tables, tmp_path: Path) -> None:
    make_orders(tables)
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


def test_the_one_on_s3_runs(tables: Tables, tmp_path: Path) -> None:
    make_orders(tables)
    store = boto3.client(
        "s3",
        endpoint_url=tables.url,
        region_name="eu-west-1",
        aws_access_key_id="made-up",
        aws_secret_access_key="made-up",
    )
    bucket = new_bucket(store)
    shutil.copy(EXAMPLES / "lake-s3.yaml", tmp_path)
    environment = {
        "DYNAMODB_ENDPOINT_URL": tables.url,
        "S3_ENDPOINT_URL": tables.url,
        "LAKE_BUCKET": bucket,
        "BUCKET_OWNER": "123456789012",  # whom everything belongs to there
        "CDC_ADMIN_PORT": "0",
    }
    checked = cdc(tmp_path, "check", "lake-s3.yaml", env=environment)
    assert checked.code == 0, checked.text
    assert f"bucket {bucket} answers" in checked.text
    ran = cdc(tmp_path, "run", "lake-s3.yaml", "--until-caught-up", env=environment)
    assert ran.code == 0, ran.err
    (file,) = files_of(store, bucket).items()
    assert re.fullmatch(r"raw/orders/dt=[\d-]{10}/hour=\d\d/orders-lake\.lake\.[\w-]+\.avro", file[0])
    assert [row["__op"] for row in rows_of(file[1])] == ["c", "u", "d"]
    missing = cdc(tmp_path, "check", "lake-s3.yaml", env=environment | {"LAKE_BUCKET": "not-there"})
    assert missing.code == 2
    assert "create the bucket" in missing.text
    store.close()
