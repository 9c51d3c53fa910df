from typing import Any

import pytest

from cdc.testing.sim.failures import ServiceError
from tests.sim_tables.world import World

ADD = {"UpdateExpression": "ADD n :n", "ExpressionAttributeValues": {":n": {"N": "1"}}}


def key(number: int) -> dict[str, Any]:
    return {"pk": {"S": "a"}, "sk": {"N": str(number)}}


def action(kind: str, number: int, **more: Any) -> dict[str, Any]:
    member = "Item" if kind == "Put" else "Key"
    return {kind: {"TableName": "orders", member: key(number), **more}}


def write(world: World, *actions: dict[str, Any], **more: Any) -> dict[str, Any]:
    return world.call("TransactWriteItems", {"TransactItems": list(actions), **more})


def test_all_of_it_is_told_at_once_in_its_order(world: World) -> None:
    world.call("PutItem", {"TableName": "orders", "Item": key(2)})
    write(
        world,
        action("Put", 3),
        action("Delete", 2),
        action("Update", 1, **ADD),
        action("ConditionCheck", 4, ConditionExpression="attribute_not_exists(pk)"),
        action("Delete", 5),
    )
    _, (_, told) = world.streams.emitted
    assert [(change.event_name, change.keys) for change in told] == [
        ("INSERT", key(3)),
        ("REMOVE", key(2)),
        ("INSERT", key(1)),
    ]
    assert world.tables.items("orders") == [{**key(1), "n": {"N": "1"}}, key(3)]


def test_each_table_s_stream_is_told_its_part(world: World) -> None:
    world.create("others")
    elsewhere = {"Put": {"TableName": "others", "Item": key(1)}}
    write(world, action("Put", 1), elsewhere, action("Put", 2))
    assert [(arn.split("/")[1], len(changes)) for arn, changes in world.streams.emitted] == [
        ("orders", 2),
        ("others", 1),
    ]


def test_one_that_fails_cancels_all(world: World) -> None:
    world.call("PutItem", {"TableName": "orders", "Item": {**key(2), "s": {"S": "x"}}})
    with pytest.raises(ServiceError) as error:
        write(
            world,
            action("Put", 1),
            action("Put", 2, ConditionExpression="attribute_not_exists(pk)"),
            action(
                "ConditionCheck",
                3,
                ConditionExpression="attribute_exists(pk)",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            ),
            action(
                "Delete",
                4,
                ConditionExpression="attribute_exists(pk)",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            ),
        )
    assert error.value.code == "TransactionCanceledException"
    assert (
        "[None, ConditionalCheckFailed, ConditionalCheckFailed, ConditionalCheckFailed]"
        in error.value.message
    )
    assert [reason["Code"] for reason in error.value.members["CancellationReasons"]] == [
        "None",
        "ConditionalCheckFailed",
        "ConditionalCheckFailed",
        "ConditionalCheckFailed",
    ]
    assert world.streams.events == ["INSERT"]
    assert len(world.tables.items("orders")) == 1


def test_the_item_is_among_the_reasons_where_it_is_asked_for(world: World) -> None:
    world.call("PutItem", {"TableName": "orders", "Item": key(1)})
    with pytest.raises(ServiceError) as error:
        write(
            world,
            action(
                "Put",
                1,
                ConditionExpression="attribute_not_exists(pk)",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            ),
        )
    (reason,) = error.value.members["CancellationReasons"]
    assert reason["Item"] == key(1)


@pytest.mark.parametrize(
    "refused",
    [
        {"Update": {"TableName": "orders", "Key": key(2), "UpdateExpression": "SET n = nope"}},
        {"Update": {"TableName": "orders", "Key": key(2), "UpdateExpression": "SET pk = n"}},
        {"Put": {"TableName": "orders", "Item": {"pk": {"S": "a"}}}},
        {"Put": {"TableName": "orders", "Item": {**key(1), "pk": {"N": "1"}}}},
        {"Delete": {"TableName": "orders", "Key": {"pk": {"S": "a"}}}},
    ],
)
def test_what_item_or_table_cannot_take_is_a_reason(world: World, refused: dict[str, Any]) -> None:
    with pytest.raises(ServiceError) as error:
        write(world, action("Put", 1), refused)
    assert error.value.code == "TransactionCanceledException"
    assert [reason["Code"] for reason in error.value.members["CancellationReasons"]] == [
        "None",
        "ValidationError",
    ]
    assert world.tables.items("orders") == []


@pytest.mark.parametrize(
    "actions",
    [
        [],
        [{}],
        [action("Put", number) for number in range(101)],
        [
            action("Put", 1),
            {"Delete": {"TableName": "orders", "Key": {"pk": {"S": "a"}, "sk": {"N": "1.0"}}}},
        ],
        [{**action("Put", 1), **action("Delete", 2)}],
        [action("ConditionCheck", 1)],
        [action("Update", 1)],
        [action("Put", 1, ConditionExpression="n =")],
        [
            {"Put": {"TableName": "orders", "Item": {**key(number), "v": {"S": "x" * 400_000}}}}
            for number in range(11)
        ],
    ],
)
def test_requests_that_are_refused_as_a_whole(world: World, actions: list[dict[str, Any]]) -> None:
    with pytest.raises(ServiceError) as error:
        write(world, *actions)
    assert error.value.code == "ValidationException"
    assert world.tables.items("orders") == []


def test_a_token_makes_a_request_happen_once_in_ten_minutes(world: World) -> None:
    for _ in range(2):
        write(world, action("Update", 1, **ADD), ClientRequestToken="once")
        world.time += 599.0
        assert world.tables.items("orders") == [{**key(1), "n": {"N": "1"}}]
        world.time -= 599.0
    with pytest.raises(ServiceError) as error:
        write(world, action("Put", 1), ClientRequestToken="once")
    assert error.value.code == "IdempotentParameterMismatchException"
    world.time += 600.0
    write(world, action("Update", 1, **ADD), ClientRequestToken="once")
    assert world.tables.items("orders") == [{**key(1), "n": {"N": "2"}}]
    assert world.streams.events == ["INSERT", "MODIFY"]


def test_a_token_of_what_was_cancelled_is_free(world: World) -> None:
    with pytest.raises(ServiceError, match="ConditionalCheckFailed"):
        write(world, action("Put", 1, ConditionExpression="attribute_exists(pk)"), ClientRequestToken="again")
    write(world, action("Put", 1), ClientRequestToken="again")
    assert world.tables.items("orders") == [key(1)]
    with pytest.raises(ServiceError, match="36"):
        write(world, action("Put", 2), ClientRequestToken="x" * 37)


def test_reads(world: World) -> None:
    world.call("PutItem", {"TableName": "orders", "Item": {**key(1), "n": {"N": "1"}}})
    gets = [
        {"Get": {"TableName": "orders", "Key": key(1), "ProjectionExpression": "n"}},
        {"Get": {"TableName": "orders", "Key": key(2)}},
    ]
    answer = world.call("TransactGetItems", {"TransactItems": gets, "ReturnConsumedCapacity": "TOTAL"})
    assert answer == {
        "Responses": [{"Item": {"n": {"N": "1"}}}, {}],
        "ConsumedCapacity": [{"TableName": "orders", "CapacityUnits": 4.0, "ReadCapacityUnits": 4.0}],
    }
    with pytest.raises(ServiceError, match="multiple operations"):
        world.call("TransactGetItems", {"TransactItems": [gets[0], gets[0]]})
    wrong = {"Get": {"TableName": "orders", "Key": {"pk": {"S": "a"}}}}
    with pytest.raises(ServiceError) as error:
        world.call("TransactGetItems", {"TransactItems": [gets[0], wrong]})
    assert [reason["Code"] for reason in error.value.members["CancellationReasons"]] == [
        "None",
        "ValidationError",
    ]
