"""The operations of DynamoDB Streams."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from zlib import crc32

from cdc.testing.sim.behaviour import Behaviour
from cdc.testing.sim.change import ItemChange
from cdc.testing.sim.failures import ServiceError
from cdc.testing.sim.items import KeySchema
from cdc.testing.sim.iterators import Iterator, decode
from cdc.testing.sim.requests import (
    Request,
    Response,
    bounded,
    check_members,
    choice,
    invalid,
    not_found,
    required,
)
from cdc.testing.sim.shards import Record, Shard
from cdc.testing.sim.stream import Origin, Stream, label

MOST_RECORDS = 1000
MOST_SHARDS_LISTED = 100
MOST_STREAMS_LISTED = 100
_ITERATOR_TYPES = ("TRIM_HORIZON", "LATEST", "AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER", "AT_TIMESTAMP")
_BY_SEQUENCE = ("AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER")
_MOST_EMPTY_PAGES = 3
_ARN = re.compile(r"arn:[^:]+:dynamodb:[^:]+:[^:]+:table/[A-Za-z0-9_.-]+/stream/[0-9T:.-]+")
_SEQUENCE = re.compile(r"[0-9]{21,40}")
_CHANCES = 1 << 32


class Streams:
    """All streams of one region and account; `catalogue.StreamsOfTables` for the tables."""

    def __init__(self, *, now: Callable[[], float], seed: str, behaviour: Behaviour, region: str) -> None:
        self.now, self._seed, self._behaviour, self._region = now, seed, behaviour, region
        self._streams: dict[str, Stream] = {}
        self._slack = 0

    # For the tables

    def enable(self, table_name: str, table_arn: str, view_type: str, key: KeySchema) -> tuple[str, str]:
        now = labelled = self.now()
        while (arn := f"{table_arn}/stream/{label(labelled)}") in self._streams:
            labelled += 0.001  # ARNs tell milliseconds, and no two are the same
        stream = Stream(
            Origin(table_name, arn, view_type, key),
            seed=self._seed,
            number=len(self._streams),
            now=now,
            behaviour=self._behaviour,
            region=self._region,
        )
        self._streams[arn] = stream
        return stream.arn, stream.label

    def disable(self, stream_arn: str) -> None:
        now = self.now()
        stream = self._streams[stream_arn]
        stream.settle(now)
        stream.disable(now)

    def emit(self, stream_arn: str, changes: Sequence[ItemChange]) -> None:
        now = self.now()
        stream = self._streams[stream_arn]
        stream.settle(now)
        stream.append(changes, now)

    # For oracles and the control

    def settled(self, arn: str) -> Stream:
        """The stream as it is now, also if no call can find it any more.

        Raises:
            ValueError: there never was one.
        """
        stream = self._streams.get(arn)
        if stream is None:
            raise ValueError(f"there is no stream with the ARN {arn!r}")
        stream.settle(self.now())
        return stream

    def of_table(self, name: str) -> list[Stream]:
        """All that tables of this name ever had, the oldest first, as they are now."""
        return [self.settled(stream.arn) for stream in self._streams.values() if stream.table == name]

    # Operations

    def handlers(self) -> Mapping[str, Callable[[Request], Response]]:
        return {
            "ListStreams": self.list_streams,
            "DescribeStream": self.describe_stream,
            "GetShardIterator": self.get_shard_iterator,
            "GetRecords": self.get_records,
        }

    def list_streams(self, request: Request) -> Response:
        check_members(request, ("TableName", "Limit", "ExclusiveStartStreamArn"))
        limit = bounded(request, "Limit", 1, MOST_STREAMS_LISTED) or MOST_STREAMS_LISTED
        table, now = request.get("TableName"), self.now()
        after = request.get("ExclusiveStartStreamArn", "")
        if after:
            _check_arn(after)
        arns = sorted(
            arn
            for arn, stream in self._streams.items()
            if arn > after and (table is None or stream.table == table) and not stream.is_gone(now)
        )
        page: Response = {
            "Streams": [
                {"StreamArn": arn, "TableName": stream.table, "StreamLabel": stream.label}
                for arn in arns[:limit]
                for stream in (self._streams[arn],)
            ]
        }
        if len(arns) > limit:
            page["LastEvaluatedStreamArn"] = arns[limit - 1]
        return page

    def describe_stream(self, request: Request) -> Response:
        check_members(request, ("StreamArn", "Limit", "ExclusiveStartShardId", "ShardFilter"))
        limit = bounded(request, "Limit", 1, MOST_SHARDS_LISTED) or MOST_SHARDS_LISTED
        limit = min(limit, self._behaviour.listing_shards)
        parent = _children_of(request.get("ShardFilter")) if self._behaviour.filters_shards else None
        now = self.now()
        stream = self._find(required(request, "StreamArn"))
        shards = stream.listed(now)
        if parent is not None:
            shards = [shard for shard in shards if shard.parent is not None and shard.parent.id == parent]
        after = request.get("ExclusiveStartShardId")
        if after is not None:
            known = any(shard.id == after for shard in shards)
            shards = [shard for shard in shards if shard.id > after] if known else []
        description: Response = {
            "StreamArn": stream.arn,
            "StreamLabel": stream.label,
            "StreamStatus": stream.status(now),
            "StreamViewType": stream.view_type,
            "CreationRequestDateTime": int(stream.created_at),
            "TableName": stream.table,
            "KeySchema": stream.key.wire(),
            "Shards": [_described(shard, now) for shard in shards[:limit]],
        }
        if len(shards) > limit:
            description["LastEvaluatedShardId"] = shards[limit - 1].id
        return {"StreamDescription": description}

    def get_shard_iterator(self, request: Request) -> Response:
        check_members(request, ("StreamArn", "ShardId", "ShardIteratorType", "SequenceNumber", "Timestamp"))
        arn, shard_id = required(request, "StreamArn"), required(request, "ShardId")
        kind = choice(
            {"ShardIteratorType": required(request, "ShardIteratorType")},
            "ShardIteratorType",
            _ITERATOR_TYPES,
            "",
        )
        sequence, timestamp = request.get("SequenceNumber"), request.get("Timestamp")
        _check_place(kind, sequence, timestamp, self.now())
        stream = self._find(arn)
        shard = _shard(stream, shard_id)
        index = self._index(shard, kind, sequence, timestamp)
        return {"ShardIterator": Iterator(arn, shard_id, index, self.now()).encode()}

    def _index(self, shard: Shard, kind: str, sequence: str | None, timestamp: float | None) -> int:
        if kind == "LATEST":
            visible = shard.visible(self.now())
            self._slack += 1
            slack = self._chance(shard, visible, self._slack) * (self._behaviour.latest_slack_records + 1)
            return max(shard.trimmed, visible - int(slack))
        if timestamp is not None:
            # ApproximateCreationDateTime is rounded down, and so is what is asked for.
            earlier = sum(int(record.written_at) < int(timestamp) for record in shard.records)
            return max(shard.trimmed, earlier)
        if sequence is None:
            return shard.trimmed
        index = (
            shard.place_of(int(sequence))
            if kind == "AT_SEQUENCE_NUMBER"
            else shard.place_after(int(sequence))
        )
        if int(sequence) < shard.starting_sequence:
            raise invalid("Invalid SequenceNumber for the shard")
        if shard.trimmed and int(sequence) <= shard.records[shard.trimmed - 1].sequence:
            raise _trimmed()
        return index

    def get_records(self, request: Request) -> Response:
        bodies, following = self.read(request)
        answer: Response = {"Records": [json.loads(body) for body in bodies]}
        if following is not None:
            answer["NextShardIterator"] = following
        return answer

    def read(self, request: Request) -> tuple[Sequence[bytes], str | None]:
        """`GetRecords`: each record as JSON, and the next iterator; None at the end of the shard."""
        check_members(request, ("ShardIterator", "Limit"))
        limit = bounded(request, "Limit", 1, MOST_RECORDS) or MOST_RECORDS
        iterator = decode(required(request, "ShardIterator"))
        now = self.now()
        stream = self._find(iterator.stream)
        shard = _shard(stream, iterator.shard)
        if now - iterator.issued_at > self._behaviour.iterator_seconds:
            raise ServiceError("ExpiredIteratorException", "The shard iterator is expired")
        if iterator.index < shard.trimmed:
            raise _trimmed()
        records = self._page(shard, iterator, min(limit, self._behaviour.page_records), now)
        index = iterator.index + len(records)
        empty = not records and index < shard.visible(now)
        through = not shard.is_open and index == len(shard.records)
        bodies = [record.body for record in records]
        if through and (shard.ends_with_records or not records):
            return bodies, None
        empty_pages = iterator.empty_pages + 1 if empty else 0
        return bodies, Iterator(iterator.stream, iterator.shard, index, now, empty_pages).encode()

    def _page(self, shard: Shard, iterator: Iterator, limit: int, now: float) -> list[Record]:
        """Read twice with one iterator it is the same, but for what was published since."""
        if (
            iterator.empty_pages < _MOST_EMPTY_PAGES
            and self._behaviour.empty_page
            and self._chance(shard, iterator.index, iterator.empty_pages) < self._behaviour.empty_page
        ):
            return []
        page: list[Record] = []
        size = 0
        for record in shard.records[iterator.index : iterator.index + limit]:
            size += len(record.body)
            if record.visible_at > now or (page and size > self._behaviour.page_bytes):
                break
            page.append(record)
        return page

    def _chance(self, shard: Shard, *of: int) -> float:
        """From 0 to 1; of what is asked and not of how often."""
        return crc32(f"{self._seed} {shard.id} {of}".encode()) / _CHANCES

    def _find(self, arn: str) -> Stream:
        stream = self._streams.get(arn)
        if stream is None:
            _check_arn(arn)
        now = self.now()
        if stream is None or stream.is_gone(now):
            raise not_found(f"Requested resource not found: Stream: {arn} not found")
        stream.settle(now)
        return stream


def _check_arn(arn: str) -> None:
    if not _ARN.fullmatch(arn):
        raise invalid("Invalid StreamArn")


def _check_place(kind: str, sequence: str | None, timestamp: float | None, now: float) -> None:
    if kind in _BY_SEQUENCE and sequence is None:
        raise invalid("SequenceNumber must be given for this ShardIteratorType")
    if kind not in _BY_SEQUENCE and sequence is not None:
        raise invalid("SequenceNumber must not be given for this ShardIteratorType")
    if sequence is not None and not _SEQUENCE.fullmatch(sequence):
        raise invalid("Invalid SequenceNumber")
    if (kind == "AT_TIMESTAMP") != (timestamp is not None):
        raise invalid("Timestamp goes with AT_TIMESTAMP, and with no other ShardIteratorType")
    if timestamp is not None and timestamp > now:
        raise invalid("Timestamp must not be in the future")


def _shard(stream: Stream, shard_id: str) -> Shard:
    shard = stream.find(shard_id)
    if shard is None:
        raise not_found(f"Requested resource not found: Shard: {shard_id} in Stream: {stream.arn} not found")
    return shard


def _children_of(shard_filter: Mapping[str, Any] | None) -> str | None:
    """The parent that a `ShardFilter` names."""
    if shard_filter is None:
        return None
    choice({"Type": required(shard_filter, "Type")}, "Type", ("CHILD_SHARDS",), "")
    parent: str = required(shard_filter, "ShardId")
    if not parent:
        raise invalid("ShardFilter needs the id of a shard")
    return parent


def _described(shard: Shard, now: float) -> Response:
    numbers = {"StartingSequenceNumber": str(shard.starting_sequence)}
    if not shard.is_open and shard.closed_listed_at <= now:
        numbers["EndingSequenceNumber"] = str(shard.ending_sequence)
    described: Response = {"ShardId": shard.id, "SequenceNumberRange": numbers}
    if shard.parent is not None:
        described["ParentShardId"] = shard.parent.id
    return described


def _trimmed() -> ServiceError:
    return ServiceError(
        "TrimmedDataAccessException",
        "The operation attempted to read past the oldest stream record in a shard.",
    )
