"""The simulated tables and DynamoDB Local, call for call: the same answers, the same errors, the same items at the end,
the same changes told to the stream."""

from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Any
from uuid import uuid4

import pytest

from cdc.testing.sim.failures import ServiceError
from tests.integration.sim.comparison import (
    Call,
    comparable,
    explanation,
    image,
    makes_an_item_of_nothing,
    text,
    unordered,
)
from tests.integration.sim.edges import (
    batch_edges,
    expression_edges,
    item_edges,
    page_edges,
    settings_edges,
    transaction_edges,
)
from tests.integration.sim.wire import Wire, wire_to
from tests.services.dynamodb_local import DynamoDB
from tests.sim_tables.random_requests import RandomRequests
from tests.sim_tables.world import STREAM, World, table_of

pytestmark = pytest.mark.integration

SEEDS = range(10)
CALLS = 120
KEYS: tuple[tuple[str, str | None], ...] = (("S", None), ("S", "N"), ("N", "S"), ("B", "B"), ("S", "S"))
TABLES = ("CreateTable", "UpdateTable", "DescribeTable", "DeleteTable")
SETTINGS = ("code", "TableName", "KeySchema", "StreamSpecification", "DeletionProtectionEnabled", "ItemCount")
ORDERLESS = ("Scan", "BatchGetItem")


@pytest.fixture(scope="module")
def local(dynamodb_of_module: DynamoDB) -> Iterator[Wire]:
    with wire_to(dynamodb_of_module.endpoint) as wire:
        yield wire


class Pair:
    """The simulation and DynamoDB Local, each with a table of the same name."""

    def __init__(self, local: Wire, key: tuple[str, str | None]) -> None:
        self.local, self.world = local, World()
        self.table = f"sim-{uuid4().hex}"
        self.request = {**table_of(self.table, *key), "StreamSpecification": STREAM}
        self.world.call("CreateTable", self.request)
        self._stream = local.call("CreateTable", self.request)["TableDescription"]["LatestStreamArn"]
        self.explained: set[str] = set()

    def call(self, operation: str, request: Mapping[str, Any]) -> None:
        """Makes it to both."""
        if makes_an_item_of_nothing(operation, request, self._exists):
            return
        ours, theirs = (outcome(call, operation, request) for call in (self.world.call, self.local.call))
        if operation in ORDERLESS:
            ours, theirs = unordered(ours), unordered(theirs)
        if ours != theirs:
            found = explanation(Call(operation, request, ours, theirs))
            assert found is not None, (
                f"{operation} {text(request)}\n ours {text(ours)}\n theirs {text(theirs)}"
            )
            self.explained.add(found)

    def _exists(self, key: Mapping[str, Any]) -> bool:
        request = {"TableName": self.table, "Key": key, "ConsistentRead": True}
        return "Item" in outcome(self.world.call, "GetItem", request)

    def same_items(self) -> None:
        ours, theirs = (self._items(call) for call in (self.world.call, self.local.call))
        assert ours == theirs

    def _items(self, call: Callable[[str, Mapping[str, Any]], dict[str, Any]]) -> Any:
        return unordered(comparable(call("Scan", {"TableName": self.table, "ConsistentRead": True})))["Items"]

    def same_changes(self) -> None:
        """Of each item; between items nobody promises an order."""
        ours: dict[str, list[Any]] = {}
        for change in self.world.streams.changes:
            told = (change.event_name, image(change.old), image(change.new))
            ours.setdefault(text(comparable(change.keys)), []).append(told)
        theirs: dict[str, list[Any]] = {}
        for record in self.local.records(self._stream):
            inner = record["dynamodb"]
            told = (record["eventName"], image(inner.get("OldImage")), image(inner.get("NewImage")))
            theirs.setdefault(text(comparable(inner["Keys"])), []).append(told)
        assert ours == theirs


def outcome(
    call: Callable[[str, Mapping[str, Any]], dict[str, Any]], operation: str, request: Mapping[str, Any]
) -> dict[str, Any]:
    """The answer; of an error its code, and what else a program reads. Texts are each side's own."""
    try:
        answer = call(operation, request)
    except ServiceError as error:
        answer = {**error.members, "code": error.code}
        answer.pop("Message", None)
        if "CancellationReasons" in answer:
            answer["CancellationReasons"] = [
                {name: one for name, one in reason.items() if name != "Message"}
                for reason in answer["CancellationReasons"]
            ]
    found: dict[str, Any] = comparable(answer)
    return settings(found) if operation in TABLES else found


def settings(answer: dict[str, Any]) -> dict[str, Any]:
    """What both say of a table, but for what is each one's own: times, ARNs, the status it is in for a moment."""
    found = answer.get("Table") or answer.get("TableDescription") or {"code": answer.get("code")}
    return {name: found[name] for name in SETTINGS if name in found} | {"stream": "LatestStreamArn" in found}


@pytest.mark.parametrize("seed", SEEDS)
def test_random_calls(local: Wire, seed: int) -> None:
    rng = Random(seed)
    key = KEYS[seed % len(KEYS)]
    pair = Pair(local, key)
    requests = RandomRequests(rng, pair.table, key)
    for _ in range(CALLS):
        pair.call(*requests.next())
    pair.same_items()
    pair.same_changes()


@pytest.mark.parametrize(
    "edges",
    [batch_edges, expression_edges, item_edges, page_edges, settings_edges, transaction_edges],
    ids=lambda edges: str(edges.__name__),
)
def test_calls_at_the_edges(
    local: Wire, edges: Callable[[str], Iterator[tuple[str, dict[str, Any]]]]
) -> None:
    pair = Pair(local, ("S", "N"))
    for operation, request in edges(pair.table):
        pair.call(operation, request)
    pair.same_items()
    pair.same_changes()


@pytest.mark.parametrize("key", KEYS)
def test_pages_come_to_the_same_items(local: Wire, key: tuple[str, str | None]) -> None:
    pair = Pair(local, key)
    requests = RandomRequests(Random(0), pair.table, key)
    for _ in range(12):
        pair.call("PutItem", {"TableName": pair.table, "Item": requests.item()})
    walks: list[dict[str, Any]] = [{"Segment": segment, "TotalSegments": 3} for segment in range(3)]
    for call in (pair.world.call, pair.local.call):
        scanned = [item for walk in walks for item in pages(call, "Scan", {"TableName": pair.table, **walk})]
        assert unordered(comparable({"Items": scanned}))["Items"] == pair._items(call)
    for partition in {text(item["pk"]): item["pk"] for item in pair._items(pair.world.call)}.values():
        for forward in (True, False):
            query = {
                "TableName": pair.table,
                "KeyConditionExpression": "pk = :pk",
                "ExpressionAttributeValues": {":pk": partition},
                "ScanIndexForward": forward,
            }
            ours, theirs = (
                comparable(pages(call, "Query", query)) for call in (pair.world.call, pair.local.call)
            )
            assert ours == theirs


def pages(
    call: Callable[[str, Mapping[str, Any]], dict[str, Any]], operation: str, request: Mapping[str, Any]
) -> list[Any]:
    """The items of all pages, two to a page."""
    items: list[Any] = []
    page: dict[str, Any] = {"LastEvaluatedKey": None}
    while "LastEvaluatedKey" in page:
        start = {} if page["LastEvaluatedKey"] is None else {"ExclusiveStartKey": page["LastEvaluatedKey"]}
        page = call(operation, {**request, **start, "Limit": 2, "ConsistentRead": True})
        items += page["Items"]
    return items
