"""The records around an image, in mode `document`: their Avro schemas, and how one change is written as one.

Every schema of a table depends on nothing but the table's name and its key schema, so it never changes. The names:

- `cdc.{table}.Key`: the key attributes, typed.
- `cdc.{table}.Value`: the key attributes and `item`, the image as DynamoDB JSON text; `item` is null where the stream
  has no image: then the row says that the item is there, and nothing else about it.
- `cdc.{table}.Envelope`: Debezium's envelope around two of them; the record of the envelope `debezium`.
- `cdc.{table}.Row`: the record of the envelope `flat`: key attributes, `item`, and five fields of metadata.

`schemas.subjects` says under which subjects they stand in a registry.

A number of a key is a string in canonical plain decimal: no fixed scale holds 1E-130 … 1E125, and a key's type must
never move. Names are `schemas.names`'s; `dynamodb.name` and `dynamodb.type` keep what they were.
"""

import json
from collections.abc import Callable
from typing import Any, Literal

from cdc.model import Batch, Change, KeyAttribute, ViewType, version
from schemas import avro
from schemas.names import IMAGE_FIELD, avro_name, field_name

EnvelopeName = Literal["debezium", "flat"]

_ROOT = "cdc"
_SOURCE = "dynamodb_cdc.Source"
_CONNECTOR = "dynamodb"
_AVRO_TYPES = {"S": "string", "N": "string", "B": "bytes"}

NAME_PROPERTY = "dynamodb.name"
TYPE_PROPERTY = "dynamodb.type"
TABLE_PROPERTY = "dynamodb.table"
ENVELOPE_PROPERTY = "dynamodb.envelope"

OPERATIONS = {"INSERT": "c", "MODIFY": "u", "REMOVE": "d"}
"""Debezium's letters; `r` is a row that a snapshot read."""

WriteValue = Callable[[Change, bytes, bytes | None, bytes | None], bytes]
"""(change, its key attributes in Avro binary, old image, new image) to the value in Avro binary."""


def has_new_image(view: ViewType) -> bool:
    return view in ("NEW_IMAGE", "NEW_AND_OLD_IMAGES")


def full_name(table: str, record: str) -> str:
    return f"{_ROOT}.{avro_name(table)}.{record}"


def key_record(table: str) -> str:
    return full_name(table, "Key")


def value_record(table: str, envelope: EnvelopeName) -> str:
    return full_name(table, "Envelope" if envelope == "debezium" else "Row")


def key_schema(table: str, key: tuple[KeyAttribute, ...]) -> str:
    """Avro schema JSON of the key record."""
    return _text(_record(table, "Key", _key_fields(key)))


def value_schema(table: str, key: tuple[KeyAttribute, ...], envelope: EnvelopeName) -> str:
    """Avro schema JSON of the value record."""
    if envelope == "flat":
        fields = [
            *_key_fields(key),
            _image_field(),
            _field("__op", "string", "c, u or d; r for a row that a snapshot read"),
            _field("__deleted", "boolean", "the item is gone: only its key is known"),
            _field("__ts_ms", "long", "when the change was made, epoch milliseconds"),
            _field("__version", "string", "orders all states of an item, by comparing as text"),
            _field("__ttl", "boolean", "deleted by Time to Live, not by a client") | {"default": False},
        ]
        return _text(_record(table, "Row", fields, envelope))
    value = _record(table, "Value", [*_key_fields(key), _image_field()])
    fields = [
        {"name": "before", "type": ["null", value], "default": None},
        {"name": "after", "type": ["null", full_name(table, "Value")], "default": None},
        {"name": "source", "type": _source()},
        _field("op", "string", "c, u or d; r for a row that a snapshot read"),
        _field("ts_ms", ["null", "long"], "when the change was read, epoch milliseconds") | {"default": None},
    ]
    return _text(_record(table, "Envelope", fields, envelope))


def debezium_writer(batch: Batch, *, pipeline: str, release: str) -> WriteValue:
    """`after` of `c` and `u` and `before` of `d` are always there, by the key alone where the stream has no image:
    to Debezium's consumers an absent `after` is a delete."""
    stream = batch.stream
    head = avro.string(release) + avro.string(_CONNECTOR) + avro.string(pipeline)
    middle = (
        avro.FIRST + avro.string("false") + avro.string(f"{stream.account}.{stream.region}") + avro.SECOND
    )
    place = avro.string(stream.table) + avro.string(batch.shard.stream) + avro.string(batch.shard.shard)
    read_ms = avro.SECOND + avro.long(round(batch.read_at * 1000))
    tails = {
        (name, ttl): (avro.TRUE if ttl else avro.FALSE) + avro.string(operation) + read_ms
        for name, operation in OPERATIONS.items()
        for ttl in (False, True)
    }
    created_ms = stream.created_ms

    def write(change: Change, key: bytes, old: bytes | None, new: bytes | None) -> bytes:
        name = change.event_name
        removed = name == "REMOVE"
        sequence = change.dynamodb.sequence_number
        return b"".join(
            (
                _nullable_value(key, old) if removed or old is not None else avro.FIRST,
                avro.FIRST if removed else _nullable_value(key, new),
                head,
                avro.long(round(change.dynamodb.approximate_creation_date_time * 1000)),
                middle,
                avro.string(sequence),
                place,
                avro.string(version(created_ms, sequence)),
                tails[name, change.user_identity is not None and change.by_ttl],
            )
        )

    return write


def flat_writer(batch: Batch) -> WriteValue:
    tails = {
        name: avro.string(operation) + (avro.TRUE if operation == "d" else avro.FALSE)
        for name, operation in OPERATIONS.items()
    }
    created_ms = batch.stream.created_ms

    def write(change: Change, key: bytes, _old: bytes | None, new: bytes | None) -> bytes:
        name = change.event_name
        return b"".join(
            (
                key,
                avro.FIRST if name == "REMOVE" else _nullable_text(new),
                tails[name],
                avro.long(round(change.dynamodb.approximate_creation_date_time * 1000)),
                avro.string(version(created_ms, change.dynamodb.sequence_number)),
                avro.TRUE if change.user_identity is not None and change.by_ttl else avro.FALSE,
            )
        )

    return write


def _nullable_text(text: bytes | None) -> bytes:
    return avro.FIRST if text is None else avro.SECOND + avro.binary(text)


def _nullable_value(key: bytes, image: bytes | None) -> bytes:
    return avro.SECOND + key + _nullable_text(image)


def _text(schema: dict[str, Any]) -> str:
    return json.dumps(schema, ensure_ascii=False, separators=(",", ":"))


def _record(
    table: str, name: str, fields: list[dict[str, Any]], envelope: EnvelopeName | None = None
) -> dict[str, Any]:
    namespace, _, short = full_name(table, name).rpartition(".")
    properties = {TABLE_PROPERTY: table} | ({ENVELOPE_PROPERTY: envelope} if envelope else {})
    return {"type": "record", "name": short, "namespace": namespace, **properties, "fields": fields}


def _field(name: str, kind: object, doc: str = "") -> dict[str, Any]:
    return {"name": name, "type": kind} | ({"doc": doc} if doc else {})


def _key_fields(key: tuple[KeyAttribute, ...]) -> list[dict[str, Any]]:
    return [
        {
            "name": field_name(attribute.name),
            "type": _AVRO_TYPES[attribute.type],
            NAME_PROPERTY: attribute.name,
            TYPE_PROPERTY: attribute.type,
        }
        for attribute in key
    ]


def _image_field() -> dict[str, Any]:
    # The name by which Connect's sinks know a text for JSON.
    text = {"type": "string", "connect.version": 1, "connect.name": "io.debezium.data.Json"}
    doc = "the item as DynamoDB JSON; null: gone, or the stream does not say"
    return {"name": IMAGE_FIELD, "type": ["null", text], "default": None, "doc": doc}


def _source() -> dict[str, Any]:
    snapshot = {
        "type": "string",
        "connect.version": 1,
        "connect.parameters": {"allowed": "true,last,false,incremental"},
        "connect.default": "false",
        "connect.name": "io.debezium.data.Enum",
    }
    namespace, _, name = _SOURCE.rpartition(".")
    return {
        "type": "record",
        "name": name,
        "namespace": namespace,
        "fields": [
            _field("version", "string", "the release that wrote this"),
            _field("connector", "string"),
            _field("name", "string", "the pipeline"),
            _field("ts_ms", "long", "when the change was made, epoch milliseconds, to the second"),
            {"name": "snapshot", "type": [snapshot, "null"], "default": "false"},
            _field("db", "string", "account and region, joined by a dot"),
            _field("sequence", ["null", "string"], "the stream record's sequence number") | {"default": None},
            _field("table", "string"),
            _field("stream", "string", "the stream's ARN"),
            _field("shard", "string"),
            _field("item_version", "string", "orders all states of an item, by comparing as text"),
            _field("ttl", "boolean", "deleted by Time to Live, not by a client"),
        ],
    }
