"""What really happened at the source: what was written, held against its table and stream."""

from collections.abc import Iterator, Sequence
from typing import Any

from cdc.demo.dynamodb import TABLE
from cdc.demo.orders import Request
from cdc.demo.proof import Written, folded
from cdc.demo.values import Item, Key, item, key_of

_OPS = {"INSERT": "c", "MODIFY": "u", "REMOVE": "d"}


class SourceError(Exception):
    """The embedded DynamoDB's stream is not what was written: nothing could be proven with it."""


def history(dynamodb: Any, streams: Any, requests: Sequence[Request]) -> list[Written]:
    """Every change, oldest first, with the sequence number that its stream record has.

    moto numbers a stream's records one by one, and takes five milliseconds to answer one; so its first and its last are
    read, and there is none behind it: then each write made one record.

    Args:
        dynamodb: client of the source's region.
        streams: client of its streams.
        requests: what was written, one after the other, each acknowledged.

    Raises:
        SourceError: the stream or the table says something else.
    """
    arn = dynamodb.describe_table(TableName=TABLE)["Table"]["LatestStreamArn"]
    (shard,) = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    first = int(shard["SequenceNumberRange"]["StartingSequenceNumber"])
    written = list(_changes(first, requests))
    ends = [written[0], written[-1]]
    if [_record(streams, arn, shard["ShardId"], change.sequence) for change in ends] != ends:
        raise SourceError("the stream's first or last record is not the first or last write")
    if _record(streams, arn, shard["ShardId"], written[-1].sequence + 1) is not None:
        raise SourceError("the stream has more records than writes were made")
    if scan(dynamodb) != folded(written):
        raise SourceError("the table is not what was written")
    return written


def scan(dynamodb: Any) -> dict[Key, Item]:
    """All items of the table in the client's region."""
    items = [item(found) for found in scan_raw(dynamodb)]
    return {key_of(found): found for found in items}


def scan_raw(dynamodb: Any) -> list[dict[str, Any]]:
    pages = dynamodb.get_paginator("scan").paginate(TableName=TABLE, ConsistentRead=True)
    return [found for page in pages for found in page["Items"]]


def _changes(first: int, requests: Sequence[Request]) -> Iterator[Written]:
    states: dict[Key, Item | None] = {}
    for sequence, request in enumerate(requests, start=first):
        after = None if request.after is None else item(request.after)
        yield Written(sequence, request.key, request.op, states.get(request.key), after)
        states[request.key] = after


def _record(streams: Any, arn: str, shard: str, sequence: int) -> Written | None:
    """The record with this number, if there is one."""
    iterator = streams.get_shard_iterator(
        StreamArn=arn, ShardId=shard, ShardIteratorType="AT_SEQUENCE_NUMBER", SequenceNumber=str(sequence)
    )["ShardIterator"]
    records = streams.get_records(ShardIterator=iterator, Limit=1)["Records"]
    if not records:
        return None
    change = records[0]["dynamodb"]
    before, after = (item(change[image]) if image in change else None for image in ("OldImage", "NewImage"))
    key = key_of(item(change["Keys"]))
    return Written(int(change["SequenceNumber"]), key, _OPS[records[0]["eventName"]], before, after)
