import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from connectors.dynamodb_streams import CONNECTOR, DynamoDBStreamsConfig
from tests.dynamodb_streams.sources import config


def test_defaults() -> None:
    built = DynamoDBStreamsConfig(type="dynamodb-streams", tables=("orders",))
    assert (built.start, built.on_gap, built.idle_poll_seconds) == ("trim-horizon", "halt", 1.0)
    assert CONNECTOR.config is DynamoDBStreamsConfig


@pytest.mark.parametrize(("key", "value"), [("start", "snapshot")])
def test_what_a_later_version_will_know_is_refused_by_name(key: str, value: str) -> None:
    with pytest.raises(ValidationError, match=f"{key}: {value} is not in this version"):
        config(None, **{key: value})


@pytest.mark.parametrize(
    "wrong",
    [
        {"start": "yesterday"},
        {"tables": ()},
        {"tables": ("orders", "orders")},
        {"tables": ("a",)},
        {"tables": ("arn:aws:dynamodb:eu-west-1:123456789012:table/orders",)},
        {"endpoint_url": "localhost:8000"},
        {"streams_endpoint_url": "https://user:secret@localhost"},
        {"external_id": "without-a-role"},
        {"role_arn": "reader"},
        {"idle_poll_seconds": 0},
        {"readers": 0},
        {"region_name": "eu-west-1"},
    ],
)
def test_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refusal:
        config(None, **wrong)
    assert "secret" not in str(refusal.value)


def test_a_configuration_is_validated_without_the_sdk() -> None:
    script = "import sys, connectors.dynamodb_streams; sys.exit('botocore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
