"""What an encoder writes in mode `document`, an ordinary Avro reader and `schemas.decode` read back, unchanged."""

import base64
import io
import json
from typing import Any

import fastavro
import pytest
from hypothesis import given

from cdc.model import Batch, Change, Encoding, ViewType, version
from schemas.attribute_value import canonical_number, key_text, same_item
from schemas.decode import decode_key, decode_value, to_item
from schemas.document import DocumentEncoder
from schemas.envelope import EnvelopeName
from tests.registries import MemoryRegistry
from tests.strategies import VIEW_TYPES, batches

WITH_NEW_IMAGE: tuple[ViewType, ...] = ("NEW_IMAGE", "NEW_AND_OLD_IMAGES")


def encoded(batch: Batch, envelope: EnvelopeName) -> Encoding | None:
    registry = MemoryRegistry()
    result = DocumentEncoder(registry, envelope, pipeline="orders", release="1.2.3").encode(batch)
    assert result.batch is batch
    assert not result.rejects
    if result.avro is not None:
        assert list(result.avro.changes) == list(batch.changes)
        assert len(result.avro.keys) == len(result.avro.values) == len(batch.changes)
        for schema in (result.avro.key_schema, result.avro.value_schema):
            assert registry.schema(schema.id).text == schema.text
    return result.avro


def read(schema: str, data: bytes) -> Any:
    """By the oracle, which must also write the very same bytes."""
    parsed = fastavro.parse_schema(json.loads(schema))
    record = fastavro.schemaless_reader(io.BytesIO(data), parsed, None)
    again = io.BytesIO()
    fastavro.schemaless_writer(again, parsed, record)
    assert again.getvalue() == data
    return record


def plain(raw: bytes) -> dict[str, Any]:
    """An image by the standard library's parser: an item with its binaries decoded."""

    def unwire(value: dict[str, Any]) -> dict[str, Any]:
        ((kind, content),) = value.items()
        match kind:
            case "B":
                return {"B": base64.b64decode(content)}
            case "BS":
                return {"BS": [base64.b64decode(element) for element in content]}
            case "L":
                return {"L": [unwire(element) for element in content]}
            case "M":
                return {"M": {name: unwire(member) for name, member in content.items()}}
            case _:
                return value

    return {name: unwire(value) for name, value in json.loads(raw).items()}


def image(raw: Any) -> dict[str, Any] | None:
    return plain(bytes(raw)) if raw else None


def in_order(item: Any) -> str:
    """A text in which the order of attributes and elements counts, and numbers by their digits."""
    return repr(item)


def canonical_key(change: Change) -> dict[str, Any]:
    return {
        name: {"N": canonical_number(value["N"])} if "N" in value else value
        for name, value in plain(bytes(change.dynamodb.keys)).items()
    }


@given(batches(views=WITH_NEW_IMAGE))
def test_flat_rows_are_read_back_as_the_items_that_were_written(batch: Batch) -> None:
    avro = encoded(batch, "flat")
    if avro is None:
        assert not batch.changes
        return
    for change, value in zip(avro.changes, avro.values, strict=True):
        row = read(avro.value_schema.text, value)
        deleted = change.event_name == "REMOVE"
        decoded = decode_value(avro.value_schema.text, value)

        assert row["__deleted"] is decoded.deleted is deleted
        assert row["__op"] == decoded.op == {"INSERT": "c", "MODIFY": "u", "REMOVE": "d"}[change.event_name]
        assert row["__ts_ms"] == decoded.changed_ms == round(change.created * 1000)
        assert row["__version"] == decoded.version == version(batch.stream.created_ms, change.sequence)
        assert row["__ttl"] is decoded.by_ttl is change.by_ttl
        assert len(row) == len(batch.stream.key) + 6
        assert decoded.key == canonical_key(change)
        assert decoded.before is None
        if deleted:
            assert row["item"] is decoded.after is to_item(avro.value_schema.text, value) is None
        else:
            assert row["item"].encode() == bytes(change.dynamodb.new_image)
            assert in_order(to_item(avro.value_schema.text, value)) == in_order(
                image(change.dynamodb.new_image)
            )


@given(batches(views=VIEW_TYPES))
def test_debezium_envelopes_are_read_back_as_the_items_that_were_written(batch: Batch) -> None:
    avro = encoded(batch, "debezium")
    if avro is None:
        assert not batch.changes
        return
    for change, value in zip(avro.changes, avro.values, strict=True):
        record = read(avro.value_schema.text, value)
        removed = change.event_name == "REMOVE"
        old, new = image(change.dynamodb.old_image), image(change.dynamodb.new_image)
        decoded = decode_value(avro.value_schema.text, value)

        assert decoded.op == record["op"] == {"INSERT": "c", "MODIFY": "u", "REMOVE": "d"}[change.event_name]
        assert decoded.deleted is removed
        assert decoded.by_ttl is change.by_ttl
        assert decoded.key == canonical_key(change)
        assert in_order(decoded.before) == in_order(old)
        assert in_order(decoded.after) == in_order(new)
        assert (record["after"] is None) == removed
        assert (record["before"] is None) == (old is None and not removed)
        for row, raw in (
            (record["before"], change.dynamodb.old_image),
            (record["after"], change.dynamodb.new_image),
        ):
            assert row is None or row["item"] == (bytes(raw).decode() if raw else None)
        if new is None and not removed:
            with pytest.raises(LookupError):
                to_item(avro.value_schema.text, value)
        else:
            assert in_order(to_item(avro.value_schema.text, value)) == in_order(new)
        assert record["ts_ms"] == round(batch.read_at * 1000)
        assert record["source"] == {
            "version": "1.2.3",
            "connector": "dynamodb",
            "name": "orders",
            "ts_ms": round(change.created * 1000),
            "snapshot": "false",
            "db": f"{batch.stream.account}.{batch.stream.region}",
            "sequence": change.sequence,
            "table": batch.stream.table,
            "stream": batch.stream.arn,
            "shard": batch.shard.shard,
            "item_version": version(batch.stream.created_ms, change.sequence),
            "ttl": change.by_ttl,
        }


@given(batches(min_size=2, max_size=6))
def test_key_records_are_equal_exactly_for_equal_keys(batch: Batch) -> None:
    avro = encoded(batch, "debezium")
    assert avro is not None
    decoded = [decode_key(avro.key_schema.text, data) for data in avro.keys]
    for change, key, data in zip(avro.changes, decoded, avro.keys, strict=True):
        read(avro.key_schema.text, data)
        assert list(key) == [name for name, _ in batch.stream.key]
        assert key == canonical_key(change)
    for one, data in zip(decoded, avro.keys, strict=True):
        for other, other_data in zip(decoded, avro.keys, strict=True):
            same = data == other_data
            assert same == same_item(one, other)
            assert same == (key_text(one, batch.stream.key) == key_text(other, batch.stream.key))
