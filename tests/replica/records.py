"""Batches record by record, for what no table would send in this order."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from cdc.model import BEGINNING, Answer, Batch, EncodedBatch, KeyAttribute, ShardKey, Stream, after
from cdc.testing.batches import CREATED_MS, stream_of

PK = KeyAttribute("pk", "S")


def change(
    event: str,
    sequence: int,
    keys: Mapping[str, Any] | None,
    new: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A stream record; `new` are the attributes beside the key."""
    images: dict[str, Any] = {"SequenceNumber": str(sequence), "ApproximateCreationDateTime": 1_767_225_600}
    if keys is not None:
        images["Keys"] = keys
    if event != "REMOVE" and new is not None:
        images["NewImage"] = {**(keys or {}), **new}
    return {"eventID": f"{sequence:032x}", "eventName": event, "dynamodb": images}


def batch_of(
    records: Sequence[Mapping[str, Any]],
    *,
    stream: Stream | None = None,
    key: tuple[KeyAttribute, ...] = (PK,),
    shard: str = "shardId-00000001",
    table: str = "orders",
) -> Batch:
    if stream is None:
        stream = stream_of(table, key=key)
    body = msgspec.json.encode({"Records": records})
    changes = msgspec.json.decode(body, type=Answer).records
    end = after(changes[-1].sequence) if changes else BEGINNING
    start = after(str(int(changes[0].sequence) - 1)) if changes else BEGINNING
    return Batch(stream, ShardKey(stream.arn, shard), start, end, changes, CREATED_MS / 1000, body)


def encoded(records: Sequence[Mapping[str, Any]], **more: Any) -> EncodedBatch:
    return EncodedBatch(batch_of(records, **more))
