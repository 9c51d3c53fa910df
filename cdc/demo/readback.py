"""Reads every sink back as its users would: plain clients, and the formats as they are documented."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro
from confluent_kafka import Message

from cdc.demo.dynamodb import TABLE
from cdc.demo.history import scan_raw
from cdc.demo.proof import Delivered, Found, Tombstone, Unreadable, Written
from cdc.demo.values import Item, Key, item, item_of_text, key_of

VERSION_ATTRIBUTE = "_cdc_version"

_VERSION = re.compile(r"[0-9]{13}-[0-9]{6}-([0-9]{40})")


class SchemaFolder:
    """The schemas of the registry `files`: one `{id}.avsc` each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._parsed: dict[int, Any] = {}

    def decode(self, framed: bytes) -> Any:
        """0x00, the schema's id in four bytes, Avro binary. Raises whatever a broken value leads to."""
        if framed[0] != 0:
            raise ValueError("its first byte is not 0x00")
        number = int.from_bytes(framed[1:5], "big")
        if number not in self._parsed:
            schema = json.loads((self._folder / f"{number}.avsc").read_text(encoding="utf-8"))
            self._parsed[number] = fastavro.parse_schema(schema)
        data = BytesIO(framed[5:])
        decoded = fastavro.schemaless_reader(data, self._parsed[number], None)
        if data.read(1):
            raise ValueError("there is more in it than its schema says")
        return decoded


def topic(partitions: Sequence[Sequence[Message]], schemas: SchemaFolder) -> list[list[Found]]:
    """Each partition's messages, in order."""
    return [[_found(message, schemas) for message in messages] for messages in partitions]


def lake_files(lake: Path) -> list[Path]:
    """What Hive, Spark and Trino read: no part of the path begins with `_` or `.`."""
    return sorted(
        path
        for path in lake.rglob("*.avro")
        if not any(part.startswith(("_", ".")) for part in path.relative_to(lake).parts)
    )


def lake(folder: Path) -> list[list[Found]]:
    """Each file's rows, in order."""
    return [list(_of_file(path, path.relative_to(folder).as_posix())) for path in lake_files(folder)]


def replica(dynamodb: Any) -> dict[Key, tuple[int, Item]]:
    """The replica's items without `_cdc_version`, and the sequence number that is in it."""
    found = {}
    for raw in scan_raw(dynamodb):
        sequence = _sequence(raw.pop(VERSION_ATTRIBUTE)["S"])
        attributes = item(raw)
        found[key_of(attributes)] = (sequence, attributes)
    return found


def _found(message: Message, schemas: SchemaFolder) -> Found:
    place = f"partition {message.partition()}, offset {message.offset()}"
    try:
        return _of_message(message, schemas, place)
    except Exception as error:  # noqa: BLE001 - a broken value may raise anything: that it is broken is what is found
        return Unreadable(place, _cannot_be_read(error))


def _of_message(message: Message, schemas: SchemaFolder, place: str) -> Found:
    framed_key, framed_value = message.key(), message.value()
    if framed_key is None:
        raise ValueError("it has no key")
    key = _key(schemas.decode(framed_key))
    if framed_value is None:
        return Tombstone(key, place)
    value = schemas.decode(framed_value)
    version = value["source"]["item_version"]
    if dict(message.headers() or []).get("cdc.version") != version.encode():
        raise ValueError("its header has another version")
    before, after = (_image(value[name]) for name in ("before", "after"))
    return Delivered(Written(_sequence(version), key, value["op"], before, after), place)


def _of_file(path: Path, file: str) -> Iterator[Found]:
    rows = _rows(path, file)
    if isinstance(rows, Unreadable):
        yield rows
        return
    for number, row in enumerate(rows):
        place = f"{file}, row {number}"
        try:
            yield _of_row(row, path, place)
        except Exception as error:  # noqa: BLE001 - as for messages
            yield Unreadable(place, _cannot_be_read(error))


def _rows(path: Path, place: str) -> list[dict[str, Any]] | Unreadable:
    try:
        with path.open("rb") as file:
            return [row for row in fastavro.reader(file) if isinstance(row, dict)]
    except Exception as error:  # noqa: BLE001 - as for messages
        return Unreadable(place, f"no whole Avro file ({type(error).__name__})")


def _of_row(row: Mapping[str, Any], path: Path, place: str) -> Found:
    made = datetime.fromtimestamp(row["__ts_ms"] / 1000, UTC)
    if path.parent.parts[-3:] != (TABLE, f"dt={made:%Y-%m-%d}", f"hour={made:%H}"):
        raise ValueError("it is in the partition of another hour")
    after = item_of_text(row["item"])
    if row["__deleted"] != (row["__op"] == "d"):
        raise ValueError("__deleted and __op contradict each other")
    change = Written(_sequence(row["__version"]), _key(row), row["__op"], None, after)
    return Delivered(change, place, tells_before=False)


def _cannot_be_read(error: Exception) -> str:
    return f"cannot be read: {type(error).__name__}: {error}"[:200]


def _key(row: Mapping[str, Any]) -> Key:
    return key_of(item({"customer": {"S": row["customer"]}, "order": {"N": row["order"]}}))


def _image(row: Mapping[str, Any] | None) -> Item | None:
    return None if row is None else item_of_text(row["item"])


def _sequence(version: str) -> int:
    match = _VERSION.fullmatch(version)
    if match is None:
        raise ValueError("its version is none")
    return int(match[1])
