import base64
from typing import Any

import pytest

from cdc.testing.sim.failures import ServiceError
from cdc.testing.sim.values import canonical, item_size, size_of
from tests.sim_tables.world import World


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ({"NS": ["1E+1", "2.0"]}, {"NS": ["2", "10"]}),
        ({"SS": ["b", "", "a"]}, {"SS": ["", "a", "b"]}),
        # The last character has bits to spare: equal bytes, one text.
        ({"B": "AB=="}, {"B": "AA=="}),
        ({"L": [{"N": "1.0"}]}, {"L": [{"N": "1"}]}),
        ({"M": {"a": {"NS": ["1.0"]}}}, {"M": {"a": {"NS": ["1"]}}}),
        ({"L": []}, {"L": []}),
    ],
)
def test_equal_values_are_kept_as_one(value: Any, kept: Any) -> None:
    assert canonical(value) == kept


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ({"S": 1}, "SerializationException"),
        ({"N": 1}, "SerializationException"),
        ({"B": "***"}, "SerializationException"),
        ({"BOOL": "true"}, "SerializationException"),
        ({"SS": "a"}, "SerializationException"),
        ({"L": {}}, "SerializationException"),
        ({"M": []}, "SerializationException"),
        ("a", "SerializationException"),
        ({"X": "a"}, "ValidationException"),
        ({}, "ValidationException"),
        ({"NS": ["1", "1.0"]}, "ValidationException"),
        ({"M": {"a" * 65_536: {"S": "a"}}}, "ValidationException"),
    ],
)
def test_what_is_no_value(value: Any, code: str) -> None:
    with pytest.raises(ServiceError) as error:
        canonical(value)
    assert error.value.code == code


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ({"S": "né"}, 3),
        ({"N": "-12.5"}, 4),
        ({"N": "100"}, 2),
        ({"B": base64.b64encode(b"abcd").decode()}, 4),
        ({"BOOL": True}, 1),
        ({"NULL": True}, 1),
        ({"SS": ["a", "bc"]}, 3),
        ({"L": [{"S": "a"}]}, 5),
        ({"M": {"ab": {"S": "a"}}}, 7),
    ],
)
def test_sizes_are_those_of_the_developer_guide(value: Any, size: int) -> None:
    assert size_of(value) == size
    assert item_size({"name": value}) == size + 4


def test_an_item_has_400_kb(world: World) -> None:
    key = {"pk": {"S": "a"}, "sk": {"N": "1"}}
    room = 400 * 1024 - item_size(key) - 1
    world.call("PutItem", {"TableName": "orders", "Item": {**key, "v": {"S": "x" * room}}})
    with pytest.raises(ServiceError, match="maximum allowed size"):
        world.call("PutItem", {"TableName": "orders", "Item": {**key, "v": {"S": "x" * (room + 1)}}})
    update = {"UpdateExpression": "SET w = :w", "ExpressionAttributeValues": {":w": {"BOOL": True}}}
    with pytest.raises(ServiceError, match="maximum allowed size"):
        world.call("UpdateItem", {"TableName": "orders", "Key": key, **update})


def test_what_is_put_together_of_values_has_32_levels_too(world: World) -> None:
    key = {"pk": {"S": "a"}, "sk": {"N": "1"}}
    deep: dict[str, Any] = {"L": [{"S": "x"}]}
    for _ in range(30):
        deep = {"M": {"m": deep}}
    world.call("PutItem", {"TableName": "orders", "Item": {**key, "m": {"M": {}}, "deep": deep}})
    with pytest.raises(ServiceError, match="Nesting"):
        world.call("UpdateItem", {"TableName": "orders", "Key": key, "UpdateExpression": "SET m.m = deep"})


def test_the_caller_s_item_stays_the_caller_s(world: World) -> None:
    item: dict[str, Any] = {"pk": {"S": "a"}, "sk": {"N": "1"}, "l": {"L": [{"S": "a"}]}}
    world.call("PutItem", {"TableName": "orders", "Item": item})
    item["l"]["L"].append({"S": "b"})
    item["pk"]["S"] = "b"
    assert world.tables.items("orders") == [{"pk": {"S": "a"}, "sk": {"N": "1"}, "l": {"L": [{"S": "a"}]}}]
