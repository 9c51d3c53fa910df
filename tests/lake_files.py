"""What readers see of a lake: its files as fastavro reads them."""

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import fastavro

from cdc.testing.content import Content, ItemState
from cdc.testing.encoding import state_of_record


def visible_files(lake: Path) -> list[Path]:
    """All files that Hive, Spark and Trino would read: no part of the path begins with `_` or `.`."""
    return sorted(
        path
        for path in lake.rglob("*")
        if path.is_file() and not any(part[0] in "_." for part in path.relative_to(lake).parts)
    )


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """Every row; fails on a file that is not whole."""
    return rows_of(path.read_bytes())


def rows_of(data: bytes) -> Iterator[dict[str, Any]]:
    for row in fastavro.reader(io.BytesIO(data)):
        assert isinstance(row, dict)
        yield row


def lake_content(lake: Path) -> Content:
    return content_of_files({str(path): path.read_bytes() for path in visible_files(lake)})


def content_of_files(files: Mapping[str, bytes]) -> Content:
    """Each item's states by version, since files have no order among themselves. Fails if they are out of order within
    one file."""
    states: dict[str, list[ItemState]] = {}
    for name, data in files.items():
        in_file: dict[str, str] = {}
        for row in rows_of(data):
            key, state = state_of_record(row)
            assert in_file.get(key, "") < state.version, f"{name}: an item's states are out of order"
            in_file[key] = state.version
            states.setdefault(key, []).append(state)
    return {key: sorted(of_key, key=lambda state: state.version) for key, of_key in states.items()}
