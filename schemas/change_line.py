"""A change as one line of JSON: what the `file` sink appends and `console` prints. `file-line.schema.json` is its shape."""

from typing import Literal

import msgspec

from cdc.errors import ErrorKind
from cdc.model import Batch, Change, Reject, version

FORMAT = 1
"""The version of the shape; a line says it first."""

PREFIX = b'{"format":'
"""How every line of every version begins."""

OPS: dict[str, Literal["c", "u", "d"]] = {"INSERT": "c", "MODIFY": "u", "REMOVE": "d"}


class ChangeLine(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One change. The order of the fields is their order in the line."""

    format: int
    table: str
    op: Literal["c", "u", "d"]
    key: msgspec.Raw
    before: msgspec.Raw | None
    """DynamoDB JSON, as the service sent it; None where the stream has no old image, or there was no item."""
    after: msgspec.Raw | None
    sequence: str
    shard: str
    stream: str
    version: str
    """`cdc.model.version`: orders all states of an item."""
    time_ms: int
    """Epoch milliseconds; the service rounds it down to seconds."""
    ttl: bool
    """DynamoDB deleted the item because its time to live was over."""
    replayed: bool = False
    """A dead letter that was sent again, by hand: newer changes of the item may stand above."""


_encoder = msgspec.json.Encoder()


def encode_lines(batch: Batch) -> bytes:
    """The batch's changes, a line each, every line ended by a newline; nothing for an empty batch, and for `rejects`."""
    return _encoder.encode_lines(
        [change_line(batch, change) for change in batch.changes if change.dynamodb.keys]
    )


def rejects(batch: Batch) -> list[Reject]:
    """Changes that have no line: a record without its keys is of no item."""
    return [
        batch.reject(change, ErrorKind.UNENCODABLE, "the record has no keys")
        for change in batch.changes
        if not change.dynamodb.keys
    ]


def change_line(batch: Batch, change: Change) -> ChangeLine:
    images = change.dynamodb
    return ChangeLine(
        format=FORMAT,
        table=batch.stream.table,
        op=OPS[change.event_name],
        key=_on_one_line(images.keys),
        before=_on_one_line(images.old_image) if images.old_image else None,
        after=_on_one_line(images.new_image) if images.new_image else None,
        sequence=change.sequence,
        shard=batch.shard.shard,
        stream=batch.shard.stream,
        version=version(batch.stream.created_ms, change.sequence),
        time_ms=round(change.created * 1000),
        ttl=change.by_ttl,
        replayed=batch.replayed,
    )


def _on_one_line(raw: msgspec.Raw) -> msgspec.Raw:
    """JSON may be laid out on many lines; in JSON text a line break can only be such layout."""
    text = bytes(raw)
    if b"\n" in text or b"\r" in text:
        return msgspec.Raw(msgspec.json.format(text, indent=-1))
    return raw
