"""What really happened at the source: its stream, read with the SDK's client and held against what was written."""

from collections.abc import Sequence
from typing import Any

from cdc.demo.dynamodb import TABLE
from cdc.demo.orders import Request
from cdc.demo.proof import Written, folded
from cdc.demo.values import Item, Key, item, key_of

_OPS = {"INSERT": "c", "MODIFY": "u", "REMOVE": "d"}


class SourceError(Exception):
    """The embedded DynamoDB's stream is not what was written: nothing could be proven with it."""


def history(dynamodb: Any, streams: Any, requests: Sequence[Request]) -> list[Written]:
    """Every change, oldest first.

    Args:
        dynamodb: client of the source's region.
        streams: client of its streams.
        requests: what was written, one after the other, each acknowledged.

    Raises:
        SourceError: the stream or the table says something else.
    """
    written = [_written(record) for record in _records(dynamodb, streams)]
    if len(written) != len(requests):
        raise SourceError(f"{len(requests)} writes made {len(written)} stream records")
    states: dict[Key, Item] = {}
    for change, request in zip(written, requests, strict=True):
        after = None if request.after is None else item(request.after)
        expected = (request.op, request.key, states.get(request.key), after)
        if (change.op, change.key, change.before, change.after) != expected:
            raise SourceError(f"stream record {change.sequence} is not the write that made it")
        if after is None:
            del states[request.key]
        else:
            states[request.key] = after
    if scan(dynamodb) != folded(written):
        raise SourceError("the table is not what its stream says")
    return written


def scan(dynamodb: Any) -> dict[Key, Item]:
    """All items of the table in the client's region."""
    items = [item(found) for found in scan_raw(dynamodb)]
    return {key_of(found): found for found in items}


def scan_raw(dynamodb: Any) -> list[dict[str, Any]]:
    pages = dynamodb.get_paginator("scan").paginate(TableName=TABLE, ConsistentRead=True)
    return [found for page in pages for found in page["Items"]]


def _records(dynamodb: Any, streams: Any) -> list[dict[str, Any]]:
    arn = dynamodb.describe_table(TableName=TABLE)["Table"]["LatestStreamArn"]
    (shard,) = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    iterator = streams.get_shard_iterator(
        StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    records: list[dict[str, Any]] = []
    while True:
        page = streams.get_records(ShardIterator=iterator)
        if not page["Records"]:  # the writer is done, and the only shard has no holes
            return records
        records += page["Records"]
        iterator = page["NextShardIterator"]


def _written(record: dict[str, Any]) -> Written:
    change = record["dynamodb"]
    before, after = (item(change[image]) if image in change else None for image in ("OldImage", "NewImage"))
    key = key_of(item(change["Keys"]))
    return Written(int(change["SequenceNumber"]), key, _OPS[record["eventName"]], before, after)
