"""Whether a design delivered what the stream had: before that, its time says nothing."""

import json
from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import fastavro
from confluent_kafka import Message

from benchmarks.designs import LAKE, SCHEMAS, Cdc, Design, Naive, Place
from benchmarks.feed import Spec
from benchmarks.naive import KEY_SCHEMA, OPERATIONS, plain, typed_schema
from benchmarks.processes import BenchmarkError
from benchmarks.records import Record, index_of, records

SHOWN = 3
_FRAME_BYTES = 5


class Delivered(NamedTuple):
    """One change as a destination has it. Images: parsed, None for none."""

    sequence: str
    op: str
    key: tuple[str, str]
    before: Any
    after: Any


def check(design: Design, place: Place, source: Iterable[Record]) -> None:
    """Compares what is at the design's sinks with the source's records.

    Raises:
        BenchmarkError: something is missing, there twice, or different.
    """
    wanted = list(source)
    for sink in design.sinks:
        wrong: list[str] = []
        match sink, design:
            case "null", _:
                pass  # it was counted
            case "kafka", Naive(values="typed"):
                found = list(_typed_messages(_messages(place)))
                wrong = differences(map(_as_typed, wanted), found) + disorder(found)
            case "kafka", Naive():
                found = list(_document_messages(_messages(place), place.spec.name))
                wrong = differences(map(_as_document, wanted), found) + disorder(found)
            case "kafka", _:
                found = list(_framed_messages(_messages(place), place.folder))
                wrong = differences(map(_as_document, wanted), found) + disorder(found)
            case "lake", Cdc():
                rows = map(_without_before, map(_as_document, wanted))
                wrong = differences(rows, _lake_rows(place.folder / LAKE))
            case "replica", Cdc():
                wrong = item_differences(wanted, place.replica.ask("items"), place.spec)
            case _:
                raise BenchmarkError(f"{design.name}: nobody knows how to look at {sink}")
        if wrong:
            raise BenchmarkError(f"{design.name}: its output at {sink} is wrong: {'; '.join(wrong[:SHOWN])}")


def differences(wanted: Iterable[Delivered], delivered: Iterable[Delivered]) -> list[str]:
    """What is missing, there twice, unasked for, or other than it should be; empty: it is the same."""
    left = {change.sequence: change for change in wanted}
    wrong: list[str] = []
    seen: set[str] = set()
    for change in delivered:
        expected = left.pop(change.sequence, None)
        if expected is None:
            why = "is there twice" if change.sequence in seen else "is none of the source's"
            wrong.append(f"{change.sequence} {why}")
        elif expected != change:
            names = [
                name
                for name, one, other in zip(change._fields, change, expected, strict=True)
                if one != other
            ]
            wrong.append(f"{change.sequence} differs in {', '.join(names)}")
        seen.add(change.sequence)
    return wrong + [f"{sequence} is missing" for sequence in left]


def disorder(delivered: Iterable[Delivered]) -> list[str]:
    """Changes that come after a later one of their item."""
    last: dict[tuple[str, str], int] = {}
    wrong = []
    for change in delivered:
        index = index_of(change.sequence)
        if last.get(change.key, -1) > index:
            wrong.append(f"{change.sequence} comes after a later change of its item")
        last[change.key] = index
    return wrong


def item_differences(
    wanted: Iterable[Record], tables: Mapping[str, list[dict[str, Any]]], spec: Spec
) -> list[str]:
    """Between the items that the records leave and those of the replica, version aside; and the deletes' tombstones."""
    items: dict[str, Any] = {}
    gone: set[str] = set()
    for record in wanted:
        if record.new is None:
            items.pop(record.keys, None)
            gone.add(record.keys)
        else:
            items[record.keys] = json.loads(record.new)
    found: dict[str, Any] = {}
    for item in tables.get(f"replica-of-{spec.name}", []):
        bare = {name: value for name, value in item.items() if name != "_cdc_version"}
        found[json.dumps({name: item[name] for name in ("pk", "sk")}, separators=(",", ":"))] = bare
    wrong = [
        f"the item {key} {'differs' if key in found else 'is missing'}"
        for key in items
        if found.get(key) != items[key]
    ]
    wrong += [f"the item {key} should not be there" for key in found.keys() - items.keys()]
    tombstones = sum(len(kept) for name, kept in tables.items() if name.endswith("_tombstones"))
    if tombstones != len(gone):
        wrong.append(f"{tombstones} tombstones for {len(gone)} deleted items")
    return wrong


def source_of(spec: Spec) -> Iterator[Record]:
    for shard in range(spec.shards):
        yield from records(spec.shape, shard, spec.records // spec.shards, base=0.0)


def _key(record: Record) -> tuple[str, str]:
    keys = json.loads(record.keys)
    return keys["pk"]["S"], keys["sk"]["S"]


def _as_document(record: Record) -> Delivered:
    old, new = (json.loads(text) if text else None for text in (record.old, record.new))
    return Delivered(record.sequence, OPERATIONS[record.name], _key(record), old, new)


def _without_before(change: Delivered) -> Delivered:
    return change._replace(before=None)


def _as_typed(record: Record) -> Delivered:
    """By a way of its own, not by the loop's."""
    change = _as_document(record)
    return change._replace(before=_untyped(change.before), after=_untyped(change.after))


def _untyped(image: dict[str, dict[str, Any]] | None) -> Any:
    return None if image is None else {name: _value(value) for name, value in image.items()}


def _value(value: dict[str, Any]) -> Any:
    (kind, content), *_ = value.items()
    match kind:
        case "N":
            return plain(Decimal(content))
        case "SS":
            return sorted(content)
        case "L":
            return [_value(one) for one in content]
        case "M":
            return _untyped(content)
        case "B":
            return b64decode(content)
        case _:
            return content


def _messages(place: Place) -> list[Message]:
    if place.kafka is None:
        raise BenchmarkError("no Kafka was started")
    return place.kafka.messages(place.topic)


def _pair(message: Message) -> tuple[bytes, bytes | None]:
    key, value = message.key(), message.value()
    if not isinstance(key, bytes) or not (value is None or isinstance(value, bytes)):
        raise BenchmarkError("a message without a key")
    return key, value


def _typed_messages(messages: Iterable[Message]) -> Iterator[Delivered]:
    schema = typed_schema()
    for key, value in map(_pair, messages):
        if value is None:
            raise BenchmarkError("a message without a value")
        read = _read(schema, value)
        yield _delivered(_read(KEY_SCHEMA, key), read, _present(read["before"]), _present(read["after"]))


def _document_messages(messages: Iterable[Message], table: str) -> Iterator[Delivered]:
    from benchmarks.naive import document_schema

    schema = document_schema(table)
    for key, value in map(_pair, messages):
        if value is None:
            raise BenchmarkError("a message without a value")
        read = _read(schema, value)
        yield _delivered(_read(KEY_SCHEMA, key), read, _item(read["before"]), _item(read["after"]))


def _framed_messages(messages: Iterable[Message], folder: Path) -> Iterator[Delivered]:
    """A byte 0 and the id of the schema before each key and value; a tombstone after each delete."""
    schemas: dict[int, Any] = {}
    for path in (folder / SCHEMAS).glob("*.avsc"):
        schemas[int(path.stem)] = fastavro.parse_schema(json.loads(path.read_text()))
    deletes = tombstones = 0
    for key, value in map(_pair, messages):
        if value is None:
            tombstones += 1
            continue
        read = _read(schemas[int.from_bytes(value[1:_FRAME_BYTES])], value[_FRAME_BYTES:])
        deletes += read["op"] == "d"
        keys = _read(schemas[int.from_bytes(key[1:_FRAME_BYTES])], key[_FRAME_BYTES:])
        yield _delivered(keys, read, _item(read["before"]), _item(read["after"]))
    if deletes != tombstones:
        raise BenchmarkError(f"{tombstones} tombstones for {deletes} deletes")


def _lake_rows(folder: Path) -> Iterator[Delivered]:
    for path in folder.glob("*/dt=*/hour=*/*.avro"):
        with path.open("rb") as file:
            for row in fastavro.reader(file):
                assert isinstance(row, dict)
                sequence = str(int(row["__version"].rpartition("-")[2]))
                yield Delivered(sequence, row["__op"], (row["pk"], row["sk"]), None, _item(row))


def _delivered(key: Any, value: Any, before: Any, after: Any) -> Delivered:
    return Delivered(value["source"]["sequence"], value["op"], (key["pk"], key["sk"]), before, after)


def _read(schema: Any, data: bytes) -> Any:
    return fastavro.schemaless_reader(BytesIO(data), schema, None)


def _item(value: Any) -> Any:
    return None if value is None or value["item"] is None else json.loads(value["item"])


def _present(value: Any) -> Any:
    """Without the attributes that are not there."""
    match value:
        case dict():
            return {name: _present(one) for name, one in value.items() if one is not None}
        case list():
            return [_present(one) for one in value]
        case _:
            return value
