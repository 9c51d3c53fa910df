import os
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from cdc.errors import ErrorKind, SinkError
from cdc.model import Change, Encoding, Images
from cdc.testing.encoding import KEY_SCHEMA, VALUE_SCHEMA
from connectors.lake import CONNECTOR, LakeConfig
from connectors.lake.partition import split
from connectors.lake.probe import probe
from tests.s3.lakes import s3_context


def config(**keys: Any) -> LakeConfig:
    return LakeConfig.model_validate({"name": "lake", "type": "lake", "url": "file:///lake", **keys})


@pytest.mark.parametrize(
    ("url", "folder"),
    [
        ("file:///var/lake", "/var/lake"),
        ("file://localhost/var/lake", "/var/lake"),
        ("file:./lake", "/etc/cdc/lake"),
        ("file:lake/orders", "/etc/cdc/lake/orders"),
        ("file:../lake", "/etc/cdc/../lake"),
        ("file:///a%20b", "/a b"),
    ],
)
def test_where_a_url_points_to(url: str, folder: str) -> None:
    assert config(url=url).folder(Path("/etc/cdc")) == Path(folder)


@pytest.mark.parametrize(
    "keys",
    [
        {"format": "parquet"},
        {"format": "jsonl"},
        {"codec": "snappy"},
        {"codec": "zstandard"},
    ],
)
def test_what_a_later_version_will_know_is_refused_by_name(keys: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="not in this version; allowed: ") as refused:
        config(**keys)
    (value,) = keys.values()
    assert value.partition(":")[0] in str(refused.value)


@pytest.mark.parametrize(
    "keys",
    [
        {"url": "/var/lake"},
        {"url": "file://host/lake"},
        {"url": "file:"},
        {"url": "gs://bucket"},
        {"url": "file:///lake?x=1"},
        {"format": "csv"},
        {"flush_after_seconds": 0},
        {"flush_after_megabytes": 0},
        {"compression": "deflate"},
        {"url": "s3:bucket"},
        {"url": "s3://"},
        {"url": "s3:///prefix"},
        {"url": "s3://b"},
        {"url": "s3://bucket:80/x"},
        {"url": "s3://key:secret@bucket/x"},
        {"url": "s3://bucket/a//b"},
        {"url": "s3://bucket/../b"},
        {"url": "s3://bucket/a b"},
        {"url": "s3://bucket/a%20b"},
        {"url": "s3://bucket/" + "x" * 513},
        {"url": "s3://bucket", "encryption": {"type": "sse-s3", "kms_key_id": "x"}},
        {"url": "s3://bucket", "encryption": {"type": "sse-c"}},
        {"url": "s3://bucket", "expected_bucket_owner": "me"},
        {"url": "s3://bucket", "memory_megabytes": 15},
        {"url": "s3://bucket", "uploads": 0},
        {"url": "s3://bucket", "storage_class": "standard ia"},
    ],
)
def test_what_is_no_lake_is_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        config(**keys)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("s3://bucket", ("bucket", "")),
        ("s3://bucket/", ("bucket", "")),
        ("s3://my.bucket-1/lake/orders", ("my.bucket-1", "lake/orders/")),
        ("s3://bucket/lake/", ("bucket", "lake/")),
        ("s3://Bucket_1/a=b/c", ("Bucket_1", "a=b/c/")),
    ],
)
def test_where_an_s3_url_points_to(url: str, place: tuple[str, str]) -> None:
    assert config(url=url).place() == place


@pytest.mark.parametrize(
    "keys",
    [
        {"region": "eu-west-1"},
        {"endpoint_url": "http://localhost"},
        {"profile": "x"},
        {"role_arn": "arn:aws:iam::111111111111:role/x"},
        {"path_style": False},
        {"checksum": "none"},
        {"encryption": {"type": "sse-s3"}},
        {"expected_bucket_owner": "111111111111"},
        {"acl": "bucket-owner-full-control"},
        {"storage_class": "STANDARD_IA"},
        {"uploads": 2},
        {"memory_megabytes": 64},
    ],
)
def test_keys_of_s3_are_refused_by_name_on_a_file_system(keys: dict[str, Any]) -> None:
    (key,) = keys
    with pytest.raises(ValidationError, match=f"only a lake on s3:// has {key}"):
        config(**keys)
    assert getattr(config(url="s3://bucket", **keys), key) is not None


def test_keys_that_say_what_holds_anyway_are_no_mistake() -> None:
    """`endpoint_url: ${S3_ENDPOINT_URL:-}` is nothing where the variable is not set."""
    config(endpoint_url=None, uploads=4)


@pytest.mark.parametrize(
    "role",
    [
        "arn:aws:iam::111111111111:role/lake",
        "arn:aws-cn:iam::111111111111:role/team/lake",
        "arn:aws:iam:::role/lake",  # a store without accounts
        "arn:aws:iam::tenant:role/lake",
        "arn:minio:iam:::role/lake",
    ],
)
def test_roles_of_other_stores_too(role: str) -> None:
    assert config(url="s3://bucket", role_arn=role).role_arn == role


def actions(**keys: Any) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    made = CONNECTOR.permissions(config(**keys), s3_context())
    return {statement.sid: (statement.actions, statement.resources) for statement in made}


def test_a_lake_on_a_file_system_asks_aws_for_nothing() -> None:
    assert actions() == {}


def test_permissions_are_those_that_the_settings_need() -> None:
    url = "s3://bucket/lake"
    assert set(actions(url=url)) == {"LakeFiles", "LakeLostAnswers", "LakeLeftovers"}
    assert "s3:PutObjectAcl" in actions(url=url, acl="bucket-owner-full-control")["LakeFiles"][0]
    key = "arn:aws:kms:eu-west-1:111111111111:key/k"
    kms = actions(url=url, encryption={"type": "sse-kms", "kms_key_id": key})["LakeKey"]
    assert kms == (("kms:GenerateDataKey", "kms:Decrypt"), (key,))
    for named, resource in {
        "arn:aws:kms:eu-west-1:111111111111:alias/lake": "arn:aws:kms:eu-west-1:111111111111:key/*",
        "alias/lake": "*",
    }.items():
        by_alias = actions(url=url, encryption={"type": "sse-kms", "kms_key_id": named})["LakeKey"]
        assert by_alias[1] == (resource,)
    assert actions(url=url, region="cn-north-1")["LakeLeftovers"][1] == ("arn:aws-cn:s3:::bucket",)


def test_an_unquoted_null_is_the_codec_of_that_name() -> None:
    assert config(codec=None).codec == config(codec="null").codec == "null"


def test_the_configuration_has_a_json_schema() -> None:
    schema = TypeAdapter(LakeConfig).json_schema()
    assert set(schema["required"]) == {"name", "type", "url"}


def test_its_own_folder_cannot_be_a_table() -> None:
    config().check_tables(["orders", "_cdc2", "cdc"])
    with pytest.raises(ValueError, match="_cdc"):
        config().check_tables(["orders", "_cdc"])


def test_rows_are_flat_by_default_and_need_the_new_image() -> None:
    assert CONNECTOR.envelope == "flat"
    assert CONNECTOR.needs_new_image


def encoding(*times: float) -> Encoding:
    changes = [Change("INSERT", Images(str(number), created)) for number, created in enumerate(times)]
    values = [str(number).encode() for number, _ in enumerate(times)]
    return Encoding(changes, values, values, KEY_SCHEMA, VALUE_SCHEMA)


@pytest.fixture(params=["UTC", "Asia/Tokyo", "America/St_Johns"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("created", "folder"),
    [
        (0.0, "orders/dt=1970-01-01/hour=00"),
        (1_767_225_599.0, "orders/dt=2025-12-31/hour=23"),
        (1_767_225_600.0, "orders/dt=2026-01-01/hour=00"),
        (1_767_225_600.9, "orders/dt=2026-01-01/hour=00"),
        (1_774_746_000.0, "orders/dt=2026-03-29/hour=01"),  # clocks go forward in Europe
        (253_402_300_799.0, "orders/dt=9999-12-31/hour=23"),
    ],
)
def test_partitions_are_hours_in_utc(zone: str, created: float, folder: str) -> None:
    (partition,) = split("orders", encoding(created)).rows
    assert partition.folder == folder


def test_rows_keep_their_order_in_their_partitions() -> None:
    rows, misplaced = split("orders", encoding(3600, 7200, 3601, 7201, 0))
    assert {partition.hour: list(values) for partition, values in rows.items()} == {
        0: [b"4"],
        1: [b"0", b"2"],
        2: [b"1", b"3"],
    }
    assert {partition.table for partition in rows} == {"orders"}
    assert not misplaced


@pytest.mark.parametrize("created", [-1.0, 253_402_300_800.0, 1.8e15])
def test_a_time_that_no_calendar_has_is_set_apart(created: float) -> None:
    for times in ([created], [0.0, created]):
        rows, (misplaced,) = split("orders", encoding(*times))
        assert misplaced.created == created
        assert sum(len(values) for values in rows.values()) == len(times) - 1


def test_probe_changes_nothing(tmp_path: Path) -> None:
    lines = probe(tmp_path / "not" / "yet")
    assert str(tmp_path) in lines[0]
    assert "GB free" in lines[1]
    assert not list(tmp_path.iterdir())
    assert "is there" in probe(tmp_path)[0]


def test_probe_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("")
    for root in (tmp_path / "lake", tmp_path / "lake" / "below"):
        with pytest.raises(SinkError) as refused:
            probe(root)
        assert refused.value.kind is ErrorKind.NOT_FOUND


def test_probe_of_what_may_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: Path, mode: int) -> bool:
        return not mode & os.W_OK

    monkeypatch.setattr(os, "access", denied)  # the tests may run as root, who may write anywhere
    with pytest.raises(SinkError) as refused:
        probe(tmp_path)
    assert refused.value.kind is ErrorKind.ACCESS_DENIED
