"""What a later version has is refused by name, as long as this one has not got it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from cdc.config import load
from cdc.config.later import LATER
from cdc.errors import ConfigError

BASE: dict[str, Any] = {
    "version": 1,
    "pipeline": "orders",
    "source": {"type": "dynamodb-streams", "tables": ["orders"]},
}
SINKS: dict[str, dict[str, Any]] = {
    "kafka": {"bootstrap_servers": "localhost:1"},
    "lake": {"url": "file:///tmp/lake"},
    "replica": {"region": "eu-west-1"},
    "console": {},
}


def cases() -> list[tuple[str, str, object]]:
    found: list[tuple[str, str, object]] = []
    for path, values in LATER.items():
        written: list[object] = [value.replace("*", "bucket/prefix") for value in values] or [["anything"]]
        found.extend(
            (path, values[index].removesuffix("*") if values else "", value)
            for index, value in enumerate(written)
        )
    return found


def document(path: str, value: object) -> dict[str, Any]:
    keys = path.split(".")
    type_ = keys[1] if keys[0] == "sinks" and keys[1] != "*" else "console"
    sink = {"name": "one", "type": type_, **SINKS[type_]}
    data = {**BASE, "source": dict(BASE["source"]), "sinks": [sink]}
    at: dict[str, Any] = data
    if keys[0] == "sinks":
        at, keys = sink, keys[2:]
    for key in keys[:-1]:
        at = at.setdefault(key, {})
    at[keys[-1]] = value
    return data


@pytest.mark.parametrize(("path", "shown", "value"), cases())
def test_what_a_later_version_has(tmp_path: Path, path: str, shown: str, value: object) -> None:
    file = tmp_path / "orders.yaml"
    file.write_text(yaml.safe_dump(document(path, value)))
    with pytest.raises(ConfigError) as caught:
        load(file, environ={})
    [problem] = caught.value.message.split("\n")
    key = path.replace("sinks.*", "sinks.0").replace("sinks.kafka", "sinks.0")
    last = key.rsplit(".", 1)[-1]
    assert f"{last}: {shown or last} is not in this version" in problem


def test_the_other_keys_of_a_kind_that_a_later_version_has(tmp_path: Path) -> None:
    """They may be right then."""
    file = tmp_path / "orders.yaml"
    data = {**BASE, "sinks": [{"name": "one", "type": "console"}]}
    data["dead_letters"] = {"type": "s3", "bucket": "letters", "path": 1}
    file.write_text(yaml.safe_dump(data, sort_keys=False))
    with pytest.raises(ConfigError) as caught:
        load(file, environ={})
    type_, path = caught.value.message.split("\n")
    assert type_.endswith("dead_letters.type: s3 is not in this version; allowed: file")
    assert "dead_letters.path: should be a path, and is a number" in path
