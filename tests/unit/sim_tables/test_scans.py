from collections.abc import Iterator
from typing import Any

import pytest

from cdc.testing.sim.failures import ServiceError
from tests.sim_tables.world import World

PARTITIONS = ("a", "b", "c", "d", "e", "f")


def key(partition: str, number: int) -> dict[str, Any]:
    return {"pk": {"S": partition}, "sk": {"N": str(number)}}


def fill(world: World, **attributes: Any) -> list[dict[str, Any]]:
    items = [
        {**key(partition, number), "n": {"N": str(number)}, **attributes}
        for partition in PARTITIONS
        for number in range(5)
    ]
    for item in items:
        world.call("PutItem", {"TableName": "orders", "Item": item})
    return items


def pages(world: World, operation: str, **request: Any) -> Iterator[dict[str, Any]]:
    page: dict[str, Any] = {}
    while True:
        page = world.call(operation, {"TableName": "orders", **request})
        yield page
        if "LastEvaluatedKey" not in page:
            return
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def ordered(items: list[dict[str, Any]]) -> list[Any]:
    return sorted((item["pk"]["S"], int(item["sk"]["N"])) for item in items)


@pytest.mark.parametrize("segments", [1, 3, 40])
def test_segments_share_the_items_between_them(world: World, segments: int) -> None:
    items = fill(world)
    found = [
        item
        for segment in range(segments)
        for page in pages(world, "Scan", Segment=segment, TotalSegments=segments, Limit=2)
        for item in page["Items"]
    ]
    assert ordered(found) == ordered(items)


def test_a_start_key_is_of_one_segment_only(world: World) -> None:
    refused = []
    for segment in range(5):
        request = {
            "TableName": "orders",
            "Segment": segment,
            "TotalSegments": 5,
            "ExclusiveStartKey": key("a", 0),
        }
        try:
            world.call("Scan", request)
        except ServiceError as error:
            refused.append(error.code)
    assert refused == ["ValidationException"] * 4


def test_a_page_ends_with_the_item_that_makes_it_a_megabyte(world: World) -> None:
    size = 100_000
    for number in range(23):
        world.call("PutItem", {"TableName": "orders", "Item": {**key("a", number), "v": {"S": "x" * size}}})
    found = list(pages(world, "Scan", ReturnConsumedCapacity="TOTAL", ConsistentRead=True))
    assert [page["Count"] for page in found] == [11, 11, 1]
    # Of what was looked at: 11 items of 100,000 bytes and a few, in units of 4 KB.
    assert [page["ConsumedCapacity"]["CapacityUnits"] for page in found] == [269.0, 269.0, 25.0]


def test_a_filter_leaves_pages_empty(world: World) -> None:
    fill(world)
    filtering = {
        "FilterExpression": "n > :n",
        "ExpressionAttributeValues": {":n": {"N": "3"}},
        "ProjectionExpression": "n",
    }
    found = list(pages(world, "Scan", Limit=3, **filtering))
    assert [page["ScannedCount"] for page in found] == [3] * 10 + [0]
    assert any(page["Count"] == 0 and "LastEvaluatedKey" in page for page in found)
    assert [item for page in found for item in page["Items"]] == [{"n": {"N": "4"}}] * len(PARTITIONS)


def test_counting(world: World) -> None:
    fill(world)
    page = world.call("Scan", {"TableName": "orders", "Select": "COUNT"})
    assert page == {"Count": 30, "ScannedCount": 30}


@pytest.mark.parametrize(
    ("condition", "numbers"),
    [
        ("pk = :p", [0, 1, 2, 3, 4]),
        (":p = pk AND sk = :one", [1]),
        ("(pk = :p) AND (sk > :one)", [2, 3, 4]),
        ("sk <= :one AND pk = :p", [0, 1]),
        ("pk = :p AND sk BETWEEN :one AND :three", [1, 2, 3]),
    ],
)
def test_queries(world: World, condition: str, numbers: list[int]) -> None:
    fill(world)
    constants = {":p": {"S": "c"}, ":one": {"N": "1"}, ":three": {"N": "3"}}
    request = {
        "KeyConditionExpression": condition,
        "ExpressionAttributeValues": {name: value for name, value in constants.items() if name in condition},
    }
    for forward, expected in ((True, numbers), (False, numbers[::-1])):
        found = list(pages(world, "Query", Limit=2, ScanIndexForward=forward, **request))
        assert [int(item["sk"]["N"]) for page in found for item in page["Items"]] == expected
        assert all(item["pk"] == {"S": "c"} for page in found for item in page["Items"])


def test_a_query_by_the_beginning_of_its_sort_key() -> None:
    world = World()
    world.create(sort="S")
    for name in ("ab", "abc", "b"):
        world.call("PutItem", {"TableName": "orders", "Item": {"pk": {"S": "a"}, "sk": {"S": name}}})
    request = {
        "TableName": "orders",
        "KeyConditionExpression": "pk = :p AND begins_with(sk, :s)",
        "ExpressionAttributeValues": {":p": {"S": "a"}, ":s": {"S": "ab"}},
    }
    assert [item["sk"]["S"] for item in world.call("Query", request)["Items"]] == ["ab", "abc"]


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"KeyConditionExpression": "sk = :one"},
        {"KeyConditionExpression": "pk > :p"},
        {"KeyConditionExpression": "pk = :p AND sk <> :one"},
        {"KeyConditionExpression": "pk = :p OR sk = :one"},
        {"KeyConditionExpression": "NOT pk = :p"},
        {"KeyConditionExpression": "pk = :p AND n = :one"},
        {"KeyConditionExpression": "pk = :p AND pk = :p"},
        {"KeyConditionExpression": "pk = :p AND sk > :one AND sk < :one"},
        {"KeyConditionExpression": "pk = :one"},
        {"KeyConditionExpression": "pk.a = :p"},
        {"KeyConditionExpression": "pk = sk"},
        {"KeyConditionExpression": "pk = :p AND size(sk) = :one"},
        {"KeyConditionExpression": "pk = :empty"},
        {"KeyConditionExpression": "pk = :p", "FilterExpression": "NOT (n = :one AND size(sk) > :one)"},
        {"KeyConditionExpression": "pk = :p", "ExclusiveStartKey": key("b", 1)},
        {"KeyConditionExpression": "pk = :p AND sk > :one", "ExclusiveStartKey": key("a", 1)},
        {"KeyConditionExpression": "pk = :p", "ExclusiveStartKey": {"pk": {"S": "a"}}},
        {"KeyConditionExpression": "pk = :p", "Limit": 0},
        {"KeyConditionExpression": "pk = :p", "Select": "SPECIFIC_ATTRIBUTES"},
        {"KeyConditionExpression": "pk = :p", "Select": "COUNT", "ProjectionExpression": "n"},
    ],
)
def test_queries_that_are_refused(world: World, request_: dict[str, Any]) -> None:
    constants = {":p": {"S": "a"}, ":one": {"N": "1"}, ":empty": {"S": ""}}
    used = {name: value for name, value in constants.items() if name in str(request_)}
    values = {"ExpressionAttributeValues": used} if used else {}
    with pytest.raises(ServiceError) as error:
        world.call("Query", {"TableName": "orders", **request_, **values})
    assert error.value.code == "ValidationException"


@pytest.mark.parametrize(
    "more",
    [
        {"Segment": 0},
        {"TotalSegments": 2},
        {"Segment": 2, "TotalSegments": 2},
        {"Segment": -1, "TotalSegments": 2},
        {"Segment": 0, "TotalSegments": 1_000_001},
        {"Select": "EVERYTHING"},
    ],
)
def test_scans_that_are_refused(world: World, more: dict[str, Any]) -> None:
    with pytest.raises(ServiceError) as error:
        world.call("Scan", {"TableName": "orders", **more})
    assert error.value.code == "ValidationException"


class TestReadsThatAreNotConsistent:
    """They see the items of some moment within the last ten seconds."""

    READS = 60

    @pytest.fixture
    def world(self) -> World:
        world = World(stale_read_seconds=10.0)
        world.create()
        return world

    def seen(self, world: World, operation: str, **more: Any) -> set[str]:
        found = set()
        for _ in range(self.READS):
            answer = world.call(operation, {"TableName": "orders", **more})
            items = answer["Items"] if operation == "Scan" else [answer["Item"]] if "Item" in answer else []
            found.add(",".join(f"{item['sk']['N']}={item['n']['N']}" for item in items))
        return found

    def put(self, world: World, number: int, n: str) -> None:
        world.call("PutItem", {"TableName": "orders", "Item": {**key("a", number), "n": {"N": n}}})

    def test_what_was_a_while_ago_may_be_seen(self, world: World) -> None:
        self.put(world, 1, "1")
        world.time += 20.0
        self.put(world, 1, "2")
        self.put(world, 2, "1")
        world.time += 2.0
        world.call("DeleteItem", {"TableName": "orders", "Key": key("a", 1)})
        world.time += 2.0
        assert self.seen(world, "Scan") == {"1=1", "1=2,2=1", "2=1"}
        assert self.seen(world, "GetItem", Key=key("a", 1)) == {"1=1", "1=2", ""}

    def test_a_consistent_read_sees_what_is(self, world: World) -> None:
        self.put(world, 1, "1")
        assert self.seen(world, "Scan", ConsistentRead=True) == {"1=1"}
        assert self.seen(world, "GetItem", Key=key("a", 1), ConsistentRead=True) == {"1=1"}

    def test_what_is_longer_ago_is_not_seen(self, world: World) -> None:
        self.put(world, 1, "1")
        world.time += 1.0
        self.put(world, 1, "2")
        world.time += 10.0
        assert self.seen(world, "Scan") == {"1=2"}
