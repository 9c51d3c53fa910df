from typing import Any

import pytest

from cdc.testing.sim.failures import ServiceError
from tests.sim_tables.world import World

KEY = {"pk": {"S": "a"}, "sk": {"N": "1"}}
ITEM: dict[str, Any] = {
    **KEY,
    "n": {"N": "1"},
    "s": {"SS": ["a", "b"]},
    "m": {"M": {"x": {"N": "1"}, "y": {"N": "2"}}},
}
AGAIN: dict[str, Any] = {
    "m": {"M": {"y": {"N": "2.0"}, "x": {"N": "1"}}},
    "s": {"SS": ["b", "a"]},
    "n": {"N": "1.0"},
    "sk": {"N": "1E0"},
    "pk": {"S": "a"},
}


def put(world: World, item: dict[str, Any], **more: Any) -> dict[str, Any]:
    return world.call("PutItem", {"TableName": "orders", "Item": item, **more})


def update(world: World, text: str | None, **more: Any) -> dict[str, Any]:
    expression = {} if text is None else {"UpdateExpression": text}
    return world.call("UpdateItem", {"TableName": "orders", "Key": KEY, **expression, **more})


def test_a_write_tells_what_was_and_what_is(world: World) -> None:
    put(world, ITEM)
    put(world, {**KEY, "n": {"N": "2"}})
    world.call("DeleteItem", {"TableName": "orders", "Key": KEY})
    assert world.streams.events == ["INSERT", "MODIFY", "REMOVE"]
    assert [(change.keys, change.old, change.new) for change in world.streams.changes] == [
        (KEY, None, ITEM),
        (KEY, ITEM, {**KEY, "n": {"N": "2"}}),
        (KEY, {**KEY, "n": {"N": "2"}}, None),
    ]


def test_what_changes_nothing_tells_nothing(world: World) -> None:
    put(world, ITEM)
    put(world, AGAIN)
    update(world, None)
    update(world, "SET n = n, s = s")
    update(world, "REMOVE nope")
    update(world, "ADD s :s", ExpressionAttributeValues={":s": {"SS": ["b"]}})
    world.call("DeleteItem", {"TableName": "orders", "Key": {**KEY, "sk": {"N": "2"}}})
    entry = {"PutRequest": {"Item": AGAIN}}
    world.call("BatchWriteItem", {"RequestItems": {"orders": [entry]}})
    world.call("TransactWriteItems", {"TransactItems": [{"Put": {"TableName": "orders", "Item": AGAIN}}]})
    assert world.streams.events == ["INSERT"]
    assert world.tables.items("orders") == [ITEM]


@pytest.mark.parametrize(
    "text", ["REMOVE n", "REMOVE n, s", "REMOVE n.x, s[0]", "DELETE s :s", "REMOVE n DELETE s :s"]
)
def test_an_update_that_only_takes_away_makes_no_item(world: World, text: str) -> None:
    values = {"ExpressionAttributeValues": {":s": {"SS": ["a"]}}} if ":s" in text else {}
    assert update(world, text, ReturnValues="ALL_NEW", **values) == {}
    assert world.tables.items("orders") == []
    assert world.streams.events == []


@pytest.mark.parametrize(
    ("text", "made"),
    [(None, {}), ("SET n = :n", {"n": {"N": "1"}}), ("ADD n :n REMOVE s", {"n": {"N": "1"}})],
)
def test_an_update_makes_an_item_with_one_insert(
    world: World, text: str | None, made: dict[str, Any]
) -> None:
    values = {} if text is None else {"ExpressionAttributeValues": {":n": {"N": "1"}}}
    assert update(world, text, ReturnValues="ALL_NEW", **values) == {"Attributes": {**KEY, **made}}
    assert [(change.old, change.new) for change in world.streams.changes] == [(None, {**KEY, **made})]


def test_a_failed_condition_tells_the_item_to_who_asks(world: World) -> None:
    condition = {"ConditionExpression": "attribute_not_exists(pk)"}
    put(world, ITEM, **condition)
    for more, members in (({}, {}), ({"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}, {"Item": ITEM})):
        with pytest.raises(ServiceError) as error:
            put(world, {**KEY, "n": {"N": "2"}}, **condition, **more)
        assert (error.value.code, error.value.members) == ("ConditionalCheckFailedException", members)
    assert world.streams.events == ["INSERT"]


def test_keys_are_compared_by_value(world: World) -> None:
    put(world, ITEM)
    key = {"pk": {"S": "a"}, "sk": {"N": "10e-1"}}
    assert world.call("GetItem", {"TableName": "orders", "Key": key}) == {"Item": ITEM}
    with pytest.raises(ServiceError, match="duplicates"):
        world.call("BatchGetItem", {"RequestItems": {"orders": {"Keys": [KEY, key]}}})
    writes = [{"DeleteRequest": {"Key": KEY}}, {"PutRequest": {"Item": AGAIN}}]
    with pytest.raises(ServiceError, match="duplicates"):
        world.call("BatchWriteItem", {"RequestItems": {"orders": writes}})


@pytest.mark.parametrize("kind", ["S", "N", "B"])
def test_keys_of_every_type(kind: str) -> None:
    world = World()
    world.create(partition=kind, sort=kind)
    contents = {"S": ("b", "é", "a"), "N": ("10", "9", "-1.5"), "B": ("/w==", "AAE=", "Ag==")}[kind]
    for content in contents:
        put(world, {"pk": {kind: contents[0]}, "sk": {kind: content}})
    found = [item["sk"][kind] for item in world.tables.items("orders")]
    # By UTF-8 bytes, by value, by unsigned bytes.
    assert found == {"S": ["a", "b", "é"], "N": ["-1.5", "9", "10"], "B": ["AAE=", "Ag==", "/w=="]}[kind]


@pytest.mark.parametrize(
    "key",
    [
        {"pk": {"S": "a"}},
        {"pk": {"S": "a"}, "sk": {"S": "1"}},
        {"pk": {"S": ""}, "sk": {"N": "1"}},
        {"pk": {"S": "x" * 2049}, "sk": {"N": "1"}},
        {},
    ],
)
def test_keys_that_are_refused(world: World, key: dict[str, Any]) -> None:
    for operation, member in (
        ("PutItem", "Item"),
        ("GetItem", "Key"),
        ("DeleteItem", "Key"),
        ("UpdateItem", "Key"),
    ):
        with pytest.raises(ServiceError) as error:
            world.call(operation, {"TableName": "orders", member: key})
        assert error.value.code == "ValidationException"


def test_a_sort_key_has_1024_bytes() -> None:
    world = World()
    world.create(sort="S")
    put(world, {"pk": {"S": "x" * 2048}, "sk": {"S": "x" * 1024}})
    with pytest.raises(ServiceError, match="1024"):
        put(world, {"pk": {"S": "a"}, "sk": {"S": "x" * 1025}})


def test_entries_of_a_batch_may_be_left_to_the_caller() -> None:
    world = World(seed=1, unprocessed=0.5)
    world.create()
    left = {"orders": [{"PutRequest": {"Item": {**KEY, "sk": {"N": str(n)}}}} for n in range(25)]}
    rounds = 0
    while left:
        before = len(left["orders"])
        left = world.call("BatchWriteItem", {"RequestItems": left})["UnprocessedItems"]
        assert not left or len(left["orders"]) < before
        rounds += 1
    assert rounds > 1
    assert len(world.tables.items("orders")) == len(world.streams.emitted) == 25
    wanted = {"orders": {"Keys": [{**KEY, "sk": {"N": str(n)}} for n in range(25)], "ConsistentRead": True}}
    found = []
    while wanted:
        page = world.call("BatchGetItem", {"RequestItems": wanted})
        found += page["Responses"]["orders"]
        wanted = page["UnprocessedKeys"]
    assert sorted(int(item["sk"]["N"]) for item in found) == list(range(25))


@pytest.mark.parametrize(
    ("operation", "asked"),
    [
        ("BatchWriteItem", {}),
        ("BatchWriteItem", {"orders": []}),
        ("BatchWriteItem", {"orders": [{}]}),
        ("BatchWriteItem", {"orders": [{"PutRequest": {"Item": KEY}, "DeleteRequest": {"Key": KEY}}]}),
        (
            "BatchWriteItem",
            {"orders": [{"DeleteRequest": {"Key": {**KEY, "sk": {"N": str(n)}}}} for n in range(26)]},
        ),
        ("BatchGetItem", {}),
        ("BatchGetItem", {"orders": {"Keys": []}}),
        ("BatchGetItem", {"orders": {"Keys": [{**KEY, "sk": {"N": str(n)}} for n in range(101)]}}),
    ],
)
def test_batches_that_are_refused(world: World, operation: str, asked: dict[str, Any]) -> None:
    with pytest.raises(ServiceError) as error:
        world.call(operation, {"RequestItems": asked})
    assert error.value.code == "ValidationException"


def test_a_batch_has_16_mb(world: World) -> None:
    large = {"v": {"S": "x" * 400_000}}
    for some in range(3):
        entries = [
            {"PutRequest": {"Item": {**KEY, "sk": {"N": str(some * 20 + n)}, **large}}} for n in range(20)
        ]
        world.call("BatchWriteItem", {"RequestItems": {"orders": entries}})
    keys = [{**KEY, "sk": {"N": str(number)}} for number in range(60)]
    page = world.call(
        "BatchGetItem", {"RequestItems": {"orders": {"Keys": keys, "ProjectionExpression": "sk"}}}
    )
    assert len(page["Responses"]["orders"]) == 41
    assert page["UnprocessedKeys"] == {"orders": {"Keys": keys[41:], "ProjectionExpression": "sk"}}


def test_capacity_is_stated_where_it_is_asked_for(world: World) -> None:
    item = {**KEY, "v": {"S": "x" * 2000}}
    asked = {"ReturnConsumedCapacity": "TOTAL"}
    assert put(world, item, **asked)["ConsumedCapacity"] == {"TableName": "orders", "CapacityUnits": 2.0}
    assert put(world, KEY, ReturnConsumedCapacity="INDEXES")["ConsumedCapacity"] == {
        "TableName": "orders",
        "CapacityUnits": 2.0,
        "Table": {"CapacityUnits": 2.0},
    }
    get = {"TableName": "orders", "Key": KEY, **asked}
    assert world.call("GetItem", get)["ConsumedCapacity"]["CapacityUnits"] == 0.5
    assert world.call("GetItem", {**get, "ConsistentRead": True})["ConsumedCapacity"]["CapacityUnits"] == 1.0
    batch = {"RequestItems": {"orders": [{"PutRequest": {"Item": item}}]}, **asked}
    assert world.call("BatchWriteItem", batch)["ConsumedCapacity"] == [
        {"TableName": "orders", "CapacityUnits": 2.0}
    ]
    transaction = {"TransactItems": [{"Put": {"TableName": "orders", "Item": item}}], **asked}
    assert world.call("TransactWriteItems", transaction)["ConsumedCapacity"] == [
        {"TableName": "orders", "CapacityUnits": 4.0, "WriteCapacityUnits": 4.0}
    ]


@pytest.mark.parametrize("operation", ["PutItem", "Scan", "CreateTable", "TransactWriteItems"])
def test_what_is_not_simulated_is_not_passed_over(world: World, operation: str) -> None:
    with pytest.raises(NotImplementedError, match="IndexName"):
        world.call(operation, {"IndexName": "by-date", "TableName": "orders"})


def test_tables_that_are_not_there(world: World) -> None:
    for operation, request in (
        ("PutItem", {"TableName": "others", "Item": KEY}),
        ("GetItem", {"TableName": "others", "Key": KEY}),
        ("Scan", {"TableName": "others"}),
        ("BatchWriteItem", {"RequestItems": {"others": [{"PutRequest": {"Item": KEY}}]}}),
        ("TransactWriteItems", {"TransactItems": [{"Put": {"TableName": "others", "Item": KEY}}]}),
    ):
        with pytest.raises(ServiceError) as error:
            world.call(operation, request)
        assert error.value.code == "ResourceNotFoundException"


def test_a_table_can_be_named_by_its_arn(world: World) -> None:
    arn = world.call("DescribeTable", {"TableName": "orders"})["Table"]["TableArn"]
    world.call("PutItem", {"TableName": arn, "Item": ITEM})
    assert world.call("GetItem", {"TableName": arn, "Key": KEY}) == {"Item": ITEM}
