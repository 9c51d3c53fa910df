import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from connectors.replica import CONNECTOR, ReplicaConfig


def make(**more: Any) -> ReplicaConfig:
    return ReplicaConfig.model_validate({"name": "dr", "type": "replica", **more})


def test_defaults() -> None:
    config = make()
    assert config.replica_of("orders") == "orders"
    assert config.tombstone_table("sales") == "_cdc_sales_tombstones"
    assert (config.guard, config.tombstone_days, config.tombstones.create) == ("versioned", 7, True)


@pytest.mark.parametrize("guard", ["side-table", "none"])
def test_guards_to_come_are_named_as_such(guard: str) -> None:
    with pytest.raises(ValidationError, match="not in this version"):
        make(guard=guard)


@pytest.mark.parametrize(
    "wrong",
    [
        {"guard": "else"},
        {"table": "x"},
        {"table": "{region}-x"},
        {"table": "a b c"},
        {"tombstones": {"table": "{table}-x"}},
        {"tombstones": {"other": 1}},
        {"tombstone_days": 1},
        {"max_in_flight": 0},
        {"external_id": "customer-7"},
        {"role_arn": "writer"},
        {"endpoint_url": "no url"},
        {"endpoint_url": "http://user:secret@localhost:8000"},
        {"role_arn": "arn:aws:iam::123456789012:role/writer", "external_id": "x"},
        {"unknown": 1},
    ],
    ids=str,
)
def test_what_is_not_allowed(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        make(**wrong)


def test_one_replica_takes_one_source_table() -> None:
    make(table="copy").check_tables(["orders"])
    make(table="copy-{table}").check_tables(["orders", "items"])
    with pytest.raises(ValueError, match="cannot take 2 source tables"):
        make(table="copy").check_tables(["orders", "items"])


def test_the_tombstones_are_not_in_the_replica() -> None:
    with pytest.raises(ValueError, match="table of their own"):
        make(table="copy", tombstones={"table": "copy"}).check_tables(["orders"])


def test_the_connector_takes_changes_raw_and_needs_images() -> None:
    assert CONNECTOR.envelope is None
    assert CONNECTOR.needs_new_image


def test_the_configuration_imports_no_aws() -> None:
    code = "import sys, connectors.replica; sys.exit(any(m.startswith(('boto', 'urllib3')) for m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
