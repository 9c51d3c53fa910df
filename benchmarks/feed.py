"""What the canned server answers for one table: its description, its shards, its pages. Everything is rendered before it
is asked for, but in a table that fills up while it is read."""

import json
import time
from bisect import bisect_right
from itertools import accumulate
from typing import Any, NamedTuple
from zlib import crc32

from benchmarks.records import (
    SHAPES,
    VIEW_TYPE,
    Record,
    Shape,
    index_of,
    records,
    rendered,
    sequence_number,
)

REGION = "eu-west-1"
ACCOUNT = "000000000000"
LABEL = "2026-01-02T03:04:05.678"
PAGE_RECORDS = 1000
PAGE_BYTES = 1_000_000
"""The most that `GetRecords` gives at once (API reference, GetRecords)."""
LISTED_SHARDS = 100
"""The most that a page of `DescribeStream` has (API reference, DescribeStream, Limit)."""

KEY = {
    "KeySchema": [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ],
    "AttributeDefinitions": [
        {"AttributeName": "pk", "AttributeType": "S"},
        {"AttributeName": "sk", "AttributeType": "S"},
    ],
}


class Spec(NamedTuple):
    """A table by its name: `{shape}-{shards}-{count}`, or `live-{shape}-{shards}-{rate}`."""

    shape: Shape
    shards: int
    records: int
    """Records in all, `shards` times a whole number; in a live table those that appear in a second, 0 for none."""
    live: bool = False
    """Its shards are open, and fill up from `Feed.go` on; those of other tables are closed and full."""

    @classmethod
    def parse(cls, name: str) -> "Spec":
        live = name.startswith("live-")
        shape, shards, count = name.removeprefix("live-").split("-")
        if shape not in SHAPES:
            raise ValueError(f"{name}: no such shape; {', '.join(SHAPES)} are")
        spec = cls(shape, int(shards), int(count), live)
        if spec.records % spec.shards:
            raise ValueError(f"{name}: {spec.records} records do not divide into {spec.shards} shards")
        return spec

    @property
    def name(self) -> str:
        return f"{'live-' if self.live else ''}{self.shape}-{self.shards}-{self.records}"

    @property
    def arn(self) -> str:
        return f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{self.name}/stream/{LABEL}"


class Body(NamedTuple):
    """An answer's body in parts, so that a large one is not copied."""

    parts: tuple[bytes | memoryview, ...]
    records: int = 0

    @property
    def size(self) -> int:
        return sum(map(len, self.parts))

    @property
    def checksum(self) -> int:
        value = 0
        for part in self.parts:
            value = crc32(part, value)
        return value


class _Rendered:
    """The records of one full shard, one after the other, and the pages they are given in."""

    def __init__(self, shape: Shape, shard: int, count: int, base: float) -> None:
        texts = [rendered(record) for record in records(shape, shard, count, base=base)]
        self.data = memoryview(b",".join(texts))
        # With the comma after it: record i lies from starts[i] to starts[i + 1] - 1.
        self.starts = [0, *accumulate(len(text) + 1 for text in texts)]
        self.pages = [0]
        while self.pages[-1] < count:
            first = self.pages[-1]
            fitting = bisect_right(self.starts, self.starts[first] + PAGE_BYTES) - 1
            self.pages.append(max(first + 1, min(first + PAGE_RECORDS, fitting)))

    def page(self, first: int) -> tuple[memoryview, int]:
        """The records from `first` to the end of its page, and where the next one begins."""
        after = self.pages[bisect_right(self.pages, first)]
        return self.data[self.starts[first] : self.starts[after] - 1], after


class Feed:
    """One table. Iterators are `{table}/{shard}/{index}`: the index of the next record in its shard.

    Args:
        base: creation time of the first records, epoch seconds.
    """

    def __init__(self, spec: Spec, *, base: float) -> None:
        self.spec = spec
        self._each = spec.records // spec.shards
        self._went: float | None = None
        self._shards: list[_Rendered] = []
        self._live: list[list[Record]] = []
        if not spec.live:
            self._shards = [_Rendered(spec.shape, shard, self._each, base) for shard in range(spec.shards)]
        self._bodies: dict[tuple[int, int], Body] = {}

    def go(self, seconds: float) -> None:
        """A live table fills up from now on, for so long."""
        count = int(self._each * seconds)
        self._live = [
            list(records(self.spec.shape, shard, count, base=0.0)) for shard in range(self.spec.shards)
        ]
        self._went = time.time()

    def table(self) -> dict[str, Any]:
        """API reference, TableDescription."""
        return {
            "TableName": self.spec.name,
            "TableStatus": "ACTIVE",
            "TableId": f"id-{self.spec.name}",
            "TableArn": self.spec.arn.partition("/stream/")[0],
            "CreationDateTime": 1767323045.678,
            "LatestStreamArn": self.spec.arn,
            "LatestStreamLabel": LABEL,
            "StreamSpecification": {"StreamEnabled": True, "StreamViewType": VIEW_TYPE},
            **KEY,
        }

    def description(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """API reference, StreamDescription. No shard has children."""
        first = 0
        if (start := arguments.get("ExclusiveStartShardId")) is not None:
            first = _number(start) + 1
        last = min(first + min(LISTED_SHARDS, arguments.get("Limit", LISTED_SHARDS)), self.spec.shards)
        listed = [] if "ShardFilter" in arguments else [self._listed(shard) for shard in range(first, last)]
        more = {"LastEvaluatedShardId": shard_id(last - 1)} if listed and last < self.spec.shards else {}
        return {
            "StreamArn": self.spec.arn,
            "StreamLabel": LABEL,
            "StreamStatus": "ENABLED",
            "StreamViewType": VIEW_TYPE,
            "CreationRequestDateTime": 1767323045.0,
            "TableName": self.spec.name,
            "KeySchema": KEY["KeySchema"],
            "Shards": listed,
            **more,
        }

    def iterator(self, arguments: dict[str, Any]) -> str:
        shard = _number(arguments["ShardId"])
        match arguments["ShardIteratorType"]:
            case "TRIM_HORIZON":
                index = 0
            case "AFTER_SEQUENCE_NUMBER":
                index = index_of(arguments["SequenceNumber"]) + 1
            case "AT_SEQUENCE_NUMBER":
                index = index_of(arguments["SequenceNumber"])
            case "LATEST":
                index = self._visible() if self.spec.live else self._each
            case other:
                raise ValueError(f"no such type of iterator: {other}")
        return f"{self.spec.name}/{shard}/{index}"

    def body(self, shard: int, index: int) -> Body:
        """Of `GetRecords`."""
        if self.spec.live:
            return self._live_body(shard, index)
        known = self._bodies.get((shard, index))
        if known is None:
            known = self._bodies[shard, index] = self._full_body(shard, index)
        return known

    def prepare(self) -> None:
        """Renders what is asked for in the ordinary way."""
        for number, shard in enumerate(self._shards):
            for first in shard.pages[:-1] or [0]:
                self.body(number, first)

    def _full_body(self, shard: int, index: int) -> Body:
        if index >= self._each:
            return Body((b'{"Records":[]}',))
        data, after = self._shards[shard].page(index)
        following = f',"NextShardIterator":"{self.spec.name}/{shard}/{after}"' if after < self._each else ""
        return Body((b'{"Records":[', data, b"]%b}" % following.encode()), after - index)

    def _live_body(self, shard: int, index: int) -> Body:
        after = min(self._visible(), index + PAGE_RECORDS)
        found: list[bytes] = []
        if self._went is not None and after > index:
            began, each = self._went, self._each
            found = [
                rendered(record._replace(created=round(began + number / each, 6)))
                for number, record in enumerate(self._live[shard][index:after], start=index)
            ]
        following = f'"{self.spec.name}/{shard}/{index + len(found)}"'
        text = b'{"Records":[%b],"NextShardIterator":%b}' % (b",".join(found), following.encode())
        return Body((text,), len(found))

    def _visible(self) -> int:
        """Records of each shard that are there by now."""
        if self._went is None:
            return 0
        # The first is there at once.
        return min(int((time.time() - self._went) * self._each) + 1, len(self._live[0]))

    def _listed(self, shard: int) -> dict[str, Any]:
        numbers = {"StartingSequenceNumber": sequence_number(shard, 0)}
        if not self.spec.live:
            numbers["EndingSequenceNumber"] = sequence_number(shard, max(0, self._each - 1))
        return {"ShardId": shard_id(shard), "SequenceNumberRange": numbers}


def shard_id(number: int) -> str:
    return f"shardId-00000001767323045678-{number:08x}"


def _number(shard: str) -> int:
    return int(shard.rpartition("-")[2], 16)


def place_of(iterator: str) -> tuple[str, int, int]:
    """Table, number of the shard, index."""
    name, shard, index = iterator.rsplit("/", 2)
    return name, int(shard), int(index)


def described(answer: Any) -> bytes:
    return json.dumps(answer, separators=(",", ":")).encode()
