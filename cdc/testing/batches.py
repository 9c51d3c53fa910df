"""Builders of streams and batches, cut from real `GetRecords` answers.

A `Table` remembers its items, so that event names and old images are those that the service would send:

    orders = Table("orders")
    shard = orders.shard()
    shard.put("a", total={"N": "1"})
    shard.delete("a")
    batch = shard.batch()
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from cdc.model import (
    BEGINNING,
    Answer,
    Batch,
    KeyAttribute,
    Position,
    ShardKey,
    Stream,
    ViewType,
    after,
    end_of_shard,
)
from cdc.testing.content import SourceKey, source_key

CREATED_MS = 1_767_225_600_000
"""When a `Table`'s stream was created, unless it says otherwise: 2026-01-01T00:00:00Z."""

_FIRST_SEQUENCE = 999_999_999_999_999_999_970
_SEQUENCE_STEP = 3
"""The first sequence numbers have 21 digits, those after ten changes 22: text order is not their order."""

TTL_IDENTITY = {"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"}

EVERY_TYPE: Mapping[str, Any] = {
    "text": {"S": 'Zoë "quoted"\n\u2028 \U0001f600'},
    "empty": {"S": ""},
    "precise": {"N": "12345678901234567890.123456789012345678"},
    "tiny": {"N": "0.000000000000000000000000000000000000001"},
    "bytes": {"B": "AP8B/w=="},
    "yes": {"BOOL": True},
    "nothing": {"NULL": True},
    "list": {"L": [{"N": "1"}, {"S": "x"}, {"L": []}, {"M": {}}]},
    "map": {"M": {"deep": {"M": {"er": {"S": "v"}}}, "a.b": {"N": "-7"}}},
    "strings": {"SS": ["x", "y"]},
    "numbers": {"NS": ["1", "2.5"]},
    "binaries": {"BS": ["AA==", "AQ=="]},
}
"""One attribute of each type, with values that a careless conversion changes."""


def stream_of(
    table: str = "orders",
    *,
    created_ms: int = CREATED_MS,
    view_type: ViewType = "NEW_AND_OLD_IMAGES",
    key: tuple[KeyAttribute, ...] = (KeyAttribute("pk", "S"),),
) -> Stream:
    """A stream of `table`, with an ARN that its creation time is part of."""
    account, region = "000000000000", "eu-west-1"
    return Stream(
        arn=f"arn:aws:dynamodb:{region}:{account}:table/{table}/stream/{created_ms}",
        table=table,
        table_id=f"id-of-{table}",
        account=account,
        region=region,
        created_ms=created_ms,
        view_type=view_type,
        key=key,
    )


class Table:
    """A table and its stream. Items are named by one string each, the value of the partition key.

    Args:
        stream: what the changes belong to; its key is one attribute of type S.
    """

    def __init__(self, name: str = "orders", *, stream: Stream | None = None) -> None:
        self.stream = stream if stream is not None else stream_of(name)
        self.items: dict[SourceKey, Mapping[str, Any]] = {}
        self._sequence = _FIRST_SEQUENCE

    def shard(self, number: int = 0) -> "ShardFeed":
        """A new shard of the stream, without changes yet."""
        return ShardFeed(self, ShardKey(self.stream.arn, f"shardId-{CREATED_MS:020d}-{number:08x}"))

    def next_sequence(self) -> str:
        self._sequence += _SEQUENCE_STEP
        return str(self._sequence)


class ShardFeed:
    """The changes of one shard, in order; `batch` cuts off those that came since the last cut."""

    def __init__(self, table: Table, key: ShardKey) -> None:
        self.table = table
        self.key = key
        self.position: Position = BEGINNING
        self._records: list[dict[str, Any]] = []
        self._last = ""

    def put(self, name: str, /, **attributes: Any) -> None:
        """Writes an item; attributes are DynamoDB JSON."""
        key = self._key(name)
        old = self.table.items.get(source_key(key))
        new = {**key, **attributes}
        self.table.items[source_key(key)] = new
        self._record("INSERT" if old is None else "MODIFY", key, new=new, old=old)

    def delete(self, name: str, *, by_ttl: bool = False) -> None:
        """Deletes an item, which must be there: deleting nothing is no change."""
        key = self._key(name)
        self._record("REMOVE", key, new=None, old=self.table.items.pop(source_key(key)), by_ttl=by_ttl)

    def batch(self, *, end: bool = False, read_at: float = CREATED_MS / 1000 + 60) -> Batch:
        """What came since the last batch, which may be nothing. `end`: the shard ends with it."""
        answer: dict[str, Any] = {"Records": self._records}
        if not end:
            answer["NextShardIterator"] = f"{self.key.shard}|{self._last}"
        body = msgspec.json.encode(answer)
        self._records = []
        start = self.position
        if end:
            self.position = end_of_shard(self._last)
        elif self._last:
            self.position = after(self._last)
        changes = msgspec.json.decode(body, type=Answer).records
        return Batch(self.table.stream, self.key, start, self.position, changes, read_at, body)

    def _key(self, name: str) -> dict[str, Any]:
        return {self.table.stream.key[0].name: {"S": name}}

    def _record(
        self,
        event: str,
        key: Mapping[str, Any],
        *,
        new: Mapping[str, Any] | None,
        old: Mapping[str, Any] | None,
        by_ttl: bool = False,
    ) -> None:
        self._last = self.table.next_sequence()
        view = self.table.stream.view_type
        images: dict[str, Any] = {
            "ApproximateCreationDateTime": CREATED_MS // 1000 + len(self._records),
            "Keys": key,
            "SequenceNumber": self._last,
            "SizeBytes": len(msgspec.json.encode([key, new, old])),
            "StreamViewType": view,
        }
        if new is not None and view in {"NEW_IMAGE", "NEW_AND_OLD_IMAGES"}:
            images["NewImage"] = new
        if old is not None and view in {"OLD_IMAGE", "NEW_AND_OLD_IMAGES"}:
            images["OldImage"] = old
        record: dict[str, Any] = {
            "eventID": f"{int(self._last):032x}",
            "eventName": event,
            "eventVersion": "1.1",
            "eventSource": "aws:dynamodb",
            "awsRegion": self.table.stream.region,
            "dynamodb": images,
        }
        if by_ttl:
            record["userIdentity"] = TTL_IDENTITY
        self._records.append(record)
