"""From Avro back to DynamoDB: the inverse of what an encoder of `schemas` writes.

It reads by the writer's schema alone, which says which envelope it is and what the attributes were called. Meant for
replay, for tools and for tests: an ordinary Avro reader does the work.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from typing import Any, Literal

from fastavro import parse_schema, schemaless_reader

from schemas.attribute_value import AttributeValue, Item, parse_item
from schemas.envelope import ENVELOPE_PROPERTY, NAME_PROPERTY, TYPE_PROPERTY
from schemas.names import IMAGE_FIELD


@dataclass(frozen=True, slots=True)
class DecodedChange:
    """One change as its value record tells it."""

    op: Literal["c", "u", "d", "r"]
    key: Item
    before: Item | None
    """The whole item before the change; None where the value does not have it."""
    after: Item | None
    """The whole item after the change; None where it is gone, or where the value does not have it (see `deleted`)."""
    version: str
    """`cdc.model.version`."""
    deleted: bool
    changed_ms: int
    """When the change was made, epoch milliseconds, as precise as the service tells it."""
    by_ttl: bool | None
    """Deleted by Time to Live; None: the value was written by a version that did not say."""


def decode_key(schema: str, data: bytes) -> Item:
    """The key attributes of a key record.

    Args:
        schema: the writer's schema, Avro schema JSON.
        data: Avro binary, without framing.
    """
    return _key(_parsed(schema), _read(schema, data))


def decode_value(schema: str, data: bytes) -> DecodedChange:
    """The change of a value record; arguments as `decode_key`.

    Raises:
        ValueError: the schema is not one of a value.
    """
    parsed = _parsed(schema)
    match parsed.get(ENVELOPE_PROPERTY):
        case "debezium":
            return _debezium(parsed, _read(schema, data))
        case "flat":
            return _flat(parsed, _read(schema, data))
        case _:
            raise ValueError(f"not the schema of a value: it has no property {ENVELOPE_PROPERTY}")


def to_item(schema: str, data: bytes) -> Item | None:
    """The item as a value record leaves it: None if that is a delete.

    Raises:
        LookupError: the item is there, but the stream had no new image of it (KEYS_ONLY, OLD_IMAGE).
    """
    change = decode_value(schema, data)
    if change.after is None and not change.deleted:
        raise LookupError("the value holds the key alone: the stream had no new image")
    return change.after


@lru_cache(maxsize=256)
def _parsed(schema: str) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(schema)
    return parsed


@lru_cache(maxsize=256)
def _compiled(schema: str) -> Any:
    return parse_schema(json.loads(schema))


def _read(schema: str, data: bytes) -> Any:
    stream = BytesIO(data)
    record: Any = schemaless_reader(stream, _compiled(schema), None)
    if stream.read(1):
        raise ValueError("bytes are left over: this is not the schema that the value was written with")
    return record


def _debezium(schema: dict[str, Any], record: dict[str, Any]) -> DecodedChange:
    before, after, source = record["before"], record["after"], record["source"]
    value_schema = schema["fields"][0]["type"][1]
    return DecodedChange(
        op=record["op"],
        key=_key(value_schema, after or before),
        before=_image(before),
        after=_image(after),
        version=source["item_version"],
        deleted=after is None,
        changed_ms=source["ts_ms"],
        by_ttl=source["ttl"],
    )


def _flat(schema: dict[str, Any], record: dict[str, Any]) -> DecodedChange:
    return DecodedChange(
        op=record["__op"],
        key=_key(schema, record),
        before=None,
        after=_image(record),
        version=record["__version"],
        deleted=record["__deleted"],
        changed_ms=record["__ts_ms"],
        by_ttl=record.get("__ttl"),
    )


def _key(schema: dict[str, Any], record: dict[str, Any]) -> Item:
    item: Item = {}
    for field in schema["fields"]:
        if NAME_PROPERTY in field:
            value: AttributeValue = {field[TYPE_PROPERTY]: record[field["name"]]}  # type: ignore[misc]
            item[field[NAME_PROPERTY]] = value
    return item


def _image(row: dict[str, Any] | None) -> Item | None:
    text = row[IMAGE_FIELD] if row else None
    return None if text is None else parse_item(text.encode())
