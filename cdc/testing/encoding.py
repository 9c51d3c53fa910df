"""A fixed Avro form of a batch, for the tests of sinks that take Avro: small, lossless, and read back by `decode_value`.

It stands for what `schemas` produces: the fields that begin with `__` are named as those of the `flat` envelope.
"""

import io
import json
from collections.abc import Mapping
from typing import Any, cast

import fastavro
import msgspec

from cdc.model import Batch, EncodedBatch, Encoding, RegisteredSchema
from cdc.testing.content import ItemState, SourceKey, state_of

_KEY: dict[str, Any] = {
    "type": "record",
    "name": "Key",
    "namespace": "cdc.testing",
    "fields": [{"name": "key", "type": "string"}],
}
_VALUE: dict[str, Any] = {
    "type": "record",
    "name": "Value",
    "namespace": "cdc.testing",
    "fields": [
        {"name": "key", "type": "string"},
        {"name": "image", "type": ["null", "string"], "default": None},
        {"name": "__op", "type": "string"},
        {"name": "__deleted", "type": "boolean"},
        {"name": "__ts_ms", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "__version", "type": "string"},
    ],
}

KEY_SCHEMA = RegisteredSchema(1, "cdc.testing-key", json.dumps(_KEY))
VALUE_SCHEMA = RegisteredSchema(2, "cdc.testing-value", json.dumps(_VALUE))

_PARSED_KEY = fastavro.parse_schema(_KEY)
_PARSED_VALUE = fastavro.parse_schema(_VALUE)


def encode(batch: Batch) -> EncodedBatch:
    """As an `Encoder` does it: `avro` is None for a batch without changes."""
    if not batch.changes:
        return EncodedBatch(batch)
    keys, values = [], []
    for change in batch.changes:
        key, state = state_of(batch.stream, change)
        keys.append(_binary(_PARSED_KEY, {"key": key}))
        values.append(
            _binary(
                _PARSED_VALUE,
                {
                    "key": key,
                    "image": None if state.image is None else msgspec.json.encode(state.image).decode(),
                    "__op": state.op,
                    "__deleted": state.image is None,
                    "__ts_ms": int(change.created * 1000),
                    "__version": state.version,
                },
            )
        )
    return EncodedBatch(batch, Encoding(batch.changes, keys, values, KEY_SCHEMA, VALUE_SCHEMA))


def decode_value(value: bytes) -> tuple[SourceKey, ItemState]:
    """What `encode` made of one change; `value` is Avro binary without framing."""
    return state_of_record(
        cast("Mapping[str, Any]", fastavro.schemaless_reader(io.BytesIO(value), _PARSED_VALUE, None))
    )


def decode_key(key: bytes) -> SourceKey:
    """The source key that `encode` put into a key; `key` is Avro binary without framing."""
    record = cast("Mapping[str, Any]", fastavro.schemaless_reader(io.BytesIO(key), _PARSED_KEY, None))
    return str(record["key"])


def state_of_record(record: Mapping[str, Any]) -> tuple[SourceKey, ItemState]:
    """As `decode_value`, of a record that a file's reader has decoded already."""
    image = record["image"]
    return (
        record["key"],
        ItemState(record["__version"], record["__op"], None if image is None else msgspec.json.decode(image)),
    )


def _binary(schema: Any, record: Mapping[str, Any]) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, record)
    return out.getvalue()
