"""The simulated streams and DynamoDB Local's, call for call: the same records and images, the same places for the same
iterators, the same ends, the same codes for what is refused.

What a service may name as it likes (shards, sequence numbers, iterators) is called by its number on both sides. Left out
is where DynamoDB Local is known to be another than the service: an iterator at the newest record of an empty stream (its
first read can end with a TrimmedDataAccessException that nothing explains), AT_TIMESTAMP and `ShardFilter` (it knows
neither), times (it has minutes), several shards (it has one), updates (it keeps numbers as they were written).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any
from uuid import uuid4

import pytest

from cdc.testing.sim.behaviour import Behaviour
from cdc.testing.sim.failures import ServiceError
from cdc.testing.sim.service import Sim
from tests.integration.sim.wire import Wire, wire_to

pytestmark = pytest.mark.integration

SESSIONS = range(12)
STEPS = 120
VIEW_TYPES = ("KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES")
NOWHERE = "arn:aws:dynamodb:ddblocal:000000000000:table/none/stream/2026-01-01T00:00:00.000"


@pytest.fixture(scope="module")
def local(dynamodb_endpoint: str) -> Iterator[Wire]:
    with wire_to(dynamodb_endpoint) as wire:
        yield wire


@dataclass
class Side:
    """One of the two, and what it calls the things that both have."""

    service: Sim | Wire
    table: str
    streams: list[str] = field(default_factory=list)
    shards: list[str] = field(default_factory=list)
    numbers: list[str] = field(default_factory=list)
    """Of the records that were read, each once, in order."""
    iterators: list[str | None] = field(default_factory=list)

    def call(self, operation: str, request: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
        """The code of the error, or none, and the answer."""
        try:
            return "", self.service.call(operation, request)
        except ServiceError as error:
            return error.code, {}

    def look(self) -> tuple[Any, ...]:
        """At the table's newest stream: what both have to agree in."""
        _, table = self.call("DescribeTable", {"TableName": self.table})
        arn = table["Table"]["LatestStreamArn"]
        if arn not in self.streams:
            self.streams.append(arn)
        shards = []
        for stream in self.streams:
            description = self.call("DescribeStream", {"StreamArn": stream})[1]["StreamDescription"]
            for shard in description["Shards"]:
                if shard["ShardId"] not in self.shards:
                    self.shards.append(shard["ShardId"])
            shards.append(
                (
                    description["StreamStatus"],
                    description["StreamViewType"],
                    description["KeySchema"],
                    [
                        "EndingSequenceNumber" in shard["SequenceNumberRange"]
                        for shard in description["Shards"]
                    ],
                )
            )
        return arn == self.streams[-1], "StreamSpecification" in table["Table"], shards

    def stream_of(self, shard: int) -> str:
        for stream in self.streams:
            described = self.call("DescribeStream", {"StreamArn": stream})[1]["StreamDescription"]["Shards"]
            if self.shards[shard] in [one["ShardId"] for one in described]:
                return stream
        raise AssertionError("every shard was listed")

    def iterator(self, shard: int, kind: str, number: int | None) -> str:
        request = {
            "StreamArn": self.stream_of(shard),
            "ShardId": self.shards[shard],
            "ShardIteratorType": kind,
        }
        if number is not None:
            request["SequenceNumber"] = self.numbers[number]
        code, answer = self.call("GetShardIterator", request)
        if not code:
            self.iterators.append(answer["ShardIterator"])
        return code

    def read(self, iterator: int, limit: int) -> tuple[Any, ...]:
        token = self.iterators[iterator]
        code, answer = self.call("GetRecords", {"ShardIterator": token, "Limit": limit})
        if code:
            return (code,)
        self.iterators.append(answer.get("NextShardIterator"))
        for record in answer["Records"]:
            number = record["dynamodb"]["SequenceNumber"]
            if number not in self.numbers:
                self.numbers.append(number)
        return [told(record) for record in answer["Records"]], "NextShardIterator" in answer


def told(record: Mapping[str, Any]) -> Any:
    change = record["dynamodb"]
    kept = {
        name: change.get(name) for name in ("Keys", "NewImage", "OldImage", "StreamViewType", "SizeBytes")
    }
    return record["eventName"], record["eventSource"], record.get("userIdentity"), kept


class Pair:
    def __init__(self, local: Wire, view_type: str) -> None:
        name = f"sim-{uuid4().hex}"
        self.now = 1_767_225_600.0
        sim = Sim(now=lambda: self.now, behaviour=Behaviour(rollover_seconds=0.0, ends_with_records=1.0))
        self.view_type, self.is_on = view_type, True
        self.sides = (Side(sim, name), Side(local, name))
        self.both(
            "CreateTable",
            TableName=name,
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": view_type},
        )
        self.look()

    def both(self, operation: str, **request: Any) -> str:
        """Makes one call to both; the code of the error, if there is one."""
        ours, theirs = (side.call(operation, request)[0] for side in self.sides)
        assert ours == theirs, operation
        return ours

    def look(self) -> None:
        ours, theirs = (side.look() for side in self.sides)
        assert ours == theirs

    def switch(self, *, on: bool) -> str:
        self.now += 1.0
        specification = {"StreamEnabled": on, **({"StreamViewType": self.view_type} if on else {})}
        code = self.both("UpdateTable", TableName=self.sides[0].table, StreamSpecification=specification)
        self.is_on = self.is_on if code else on
        self.look()
        return code

    def put(self, key: str, value: int) -> None:
        item = {"pk": {"S": key}, "n": {"N": str(value)}, "s": {"SS": ["x", "y"]}}
        self.both("PutItem", TableName=self.sides[0].table, Item=item)

    def delete(self, key: str) -> None:
        self.both("DeleteItem", TableName=self.sides[0].table, Key={"pk": {"S": key}})

    def transact(self, rng: Random) -> None:
        keys = rng.sample("abcde", 3)
        actions = [
            {
                "Put": {
                    "TableName": self.sides[0].table,
                    "Item": {"pk": {"S": key}, "n": {"N": str(rng.randrange(4))}},
                }
            }
            for key in keys
        ]
        self.both("TransactWriteItems", TransactItems=actions)

    def iterator(self, shard: int, kind: str, number: int | None = None) -> str:
        ours, theirs = (side.iterator(shard, kind, number) for side in self.sides)
        assert ours == theirs, (kind, number)
        return ours

    def read(self, iterator: int, limit: int = 1000) -> Any:
        ours, theirs = (side.read(iterator, limit) for side in self.sides)
        assert ours == theirs
        return ours

    def drain(self, shard: int) -> int:
        """From the oldest record on; how many there were."""
        self.iterator(shard, "TRIM_HORIZON")
        count = 0
        while True:
            records, more = self.read(len(self.sides[0].iterators) - 1)
            count += len(records)
            if not records or not more:
                return count


def step(pair: Pair, rng: Random) -> None:
    ours = pair.sides[0]
    match rng.choice("pppddtirrrrsl"):
        case "p":
            pair.put(rng.choice("abcde"), rng.randrange(3))
        case "d":
            pair.delete(rng.choice("abcde"))
        case "t":
            pair.transact(rng)
        case "i":
            place(pair, rng)
        case "r" if ours.iterators:
            iterator = rng.randrange(len(ours.iterators))
            if ours.iterators[iterator] is not None:
                pair.read(iterator, rng.choice([1, 2, 1000]))
        case "s" if rng.random() < 0.3:
            if pair.switch(on=not pair.is_on) == "" and pair.is_on:
                pair.put("a", rng.randrange(100, 10**6))
        case _:
            pair.look()


def place(pair: Pair, rng: Random) -> None:
    ours = pair.sides[0]
    shard = rng.randrange(len(ours.shards))
    if not ours.numbers or len(ours.streams) > 1 or rng.random() < 0.3:
        pair.iterator(shard, "TRIM_HORIZON")
    else:
        kind = rng.choice(["AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"])
        pair.iterator(shard, kind, rng.randrange(len(ours.numbers)))


@pytest.mark.parametrize("session", SESSIONS)
def test_a_session_of_writes_and_reads(local: Wire, session: int) -> None:
    rng = Random(session)
    pair = Pair(local, VIEW_TYPES[session % len(VIEW_TYPES)])
    pair.put("a", 0)
    for _ in range(STEPS):
        step(pair, rng)
    read = sum(pair.drain(shard) for shard in range(len(pair.sides[0].shards)))
    assert read > 10
    pair.both("DeleteTable", TableName=pair.sides[0].table)


def test_the_newest_record_of_a_stream_that_has_some(local: Wire) -> None:
    pair = Pair(local, "NEW_IMAGE")
    pair.put("a", 1)
    pair.iterator(0, "LATEST")
    assert pair.read(0) == ([], True)
    pair.put("b", 2)
    assert len(pair.read(1)[0]) == 1


def test_a_stream_that_was_switched_off_ends_and_can_still_be_read(local: Wire) -> None:
    pair = Pair(local, "NEW_AND_OLD_IMAGES")
    pair.put("a", 1)
    pair.iterator(0, "TRIM_HORIZON")
    assert pair.switch(on=False) == ""
    assert pair.switch(on=False) == "ValidationException"
    pair.put("a", 2)
    records, more = pair.read(0)
    assert (len(records), more) == (1, False)
    assert pair.switch(on=True) == ""
    pair.put("a", 3)
    assert len(pair.sides[0].streams) == 2
    assert [pair.drain(shard) for shard in range(2)] == [1, 1]


REFUSED: list[tuple[str, str, dict[str, Any]]] = [
    ("a stream that is not there", "DescribeStream", {"StreamArn": NOWHERE}),
    ("no stream at all", "DescribeStream", {}),
    ("a page that is too large", "DescribeStream", {"StreamArn": "$", "Limit": 101}),
    ("a page of nothing", "DescribeStream", {"StreamArn": "$", "Limit": 0}),
    ("a list that is too long", "ListStreams", {"Limit": 101}),
    (
        "a shard that is not there",
        "GetShardIterator",
        {
            "StreamArn": "$",
            "ShardId": "shardId-00000001767225600000-00000000",
            "ShardIteratorType": "TRIM_HORIZON",
        },
    ),
    (
        "a shard of no stream",
        "GetShardIterator",
        {"StreamArn": NOWHERE, "ShardId": "$", "ShardIteratorType": "TRIM_HORIZON"},
    ),
    (
        "no number where one is needed",
        "GetShardIterator",
        {"StreamArn": "$", "ShardId": "$", "ShardIteratorType": "AT_SEQUENCE_NUMBER"},
    ),
    (
        "a number where none is",
        "GetShardIterator",
        {"StreamArn": "$", "ShardId": "$", "ShardIteratorType": "LATEST", "SequenceNumber": "1" * 21},
    ),
    ("no iterator", "GetRecords", {"ShardIterator": "x"}),
    ("none at all", "GetRecords", {}),
]


@pytest.mark.parametrize(
    ("operation", "request_"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_what_is_refused(local: Wire, operation: str, request_: dict[str, Any]) -> None:
    pair = Pair(local, "KEYS_ONLY")
    codes = []
    for side in pair.sides:
        known = {"StreamArn": side.streams[0], "ShardId": side.shards[0]}
        asked = {name: known[name] if value == "$" else value for name, value in request_.items()}
        codes.append(side.call(operation, asked)[0])
    assert codes[0] == codes[1] != ""


@pytest.mark.parametrize("limit", [0, 1001])
def test_a_page_of_records_that_is_too_large_or_of_nothing(local: Wire, limit: int) -> None:
    pair = Pair(local, "KEYS_ONLY")
    pair.iterator(0, "TRIM_HORIZON")
    assert pair.read(0, limit) == ("ValidationException",)
