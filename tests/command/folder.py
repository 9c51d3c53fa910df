"""The folder of a pipeline: its configuration, and what a run leaves in it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.dynamodb_streams.tables import REGION


def write(
    folder: Path,
    endpoint: str,
    table: str,
    sinks: Sequence[Mapping[str, Any]],
    *,
    idle_poll_seconds: float = 0.1,
    **more: Any,
) -> Path:
    """`pipeline.yaml` with an admin server at any port."""
    configuration: dict[str, Any] = {
        "version": 1,
        "pipeline": "orders",
        "source": {
            "type": "dynamodb-streams",
            "tables": [table],
            "region": REGION,
            "endpoint_url": endpoint,
            "idle_poll_seconds": idle_poll_seconds,
        },
        "sinks": list(sinks),
        "state": {"checkpoint_seconds": 0.1},
        "admin": {"port": 0},
    }
    path = folder / "pipeline.yaml"
    path.write_text(yaml.safe_dump(configuration | more, sort_keys=False), "utf-8")
    return path


def file_sink(name: str = "file") -> dict[str, Any]:
    return {"name": name, "type": "file", "path": f"./{name}.jsonl", "flush_after_seconds": 0.01}


def lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a file of JSON lines; none if it is not there."""
    text = path.read_bytes() if path.exists() else b""
    return [json.loads(line) for line in text.split(b"\n")[:-1]]


def tree(folder: Path) -> dict[str, bytes | None]:
    """Every file with its content, and every folder, below this one."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }
