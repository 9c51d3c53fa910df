"""Conditions and updates by example; DynamoDB Local is asked about thousands more in the integration tests."""

from typing import Any

import pytest

from cdc.testing.sim.failures import ServiceError
from tests.sim_tables.world import World

KEY = {"pk": {"S": "a"}, "sk": {"N": "1"}}
ITEM: dict[str, Any] = {
    **KEY,
    "n": {"N": "5"},
    "s": {"S": "héllo😀"},
    "b": {"B": "YWJj"},
    "t": {"BOOL": True},
    "l": {"L": [{"N": "1"}, {"S": "x"}, {"M": {"q": {"N": "2"}}}]},
    "m": {"M": {"x": {"N": "1"}, "y": {"S": "z"}}},
    "ns": {"NS": ["1", "2", "3"]},
    "ss": {"SS": ["a", "b"]},
}
VALUES: dict[str, Any] = {
    ":n": {"N": "5.0"},
    ":one": {"N": "1"},
    ":s": {"S": "x"},
    ":hel": {"S": "hé"},
    ":list": {"L": [{"S": "y"}]},
    ":set": {"SS": ["b", "c"]},
    ":three": {"N": "3"},
    ":six": {"N": "6"},
    ":b": {"B": "YmM="},
    ":type": {"S": "N"},
    ":map": {"M": {"y": {"S": "z"}, "x": {"N": "1.0"}}},
}


def placeholders(*expressions: str) -> dict[str, Any]:
    text = " ".join(expressions).replace("(", " ").replace(")", " ").replace(",", " ").split()
    values = {name: VALUES[name] for name in VALUES if name in text}
    return {"ExpressionAttributeValues": values} if values else {}


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("n = :n", True),
        ("n <> :n", False),
        ("nope <> :n", True),
        ("nope <> absent", True),
        ("nope = absent", False),
        ("NOT nope = :n", True),
        ("n < :six AND n >= :n", True),
        ("n < :s", False),
        ("n > :s OR t = t2", False),
        ("n BETWEEN :one AND :six", True),
        ("n between :six and n2", False),
        ("n IN (:one, :n)", True),
        ("l[1] = :s", True),
        ("l[2].q < :three", True),
        ("l[9] = :s", False),
        ("n.a = :s", False),
        ("s[0] = :s", False),
        ("m = :map", True),
        ("attribute_exists(l[2].q)", True),
        ("attribute_not_exists(m.x)", False),
        ("attribute_type(n, :type)", True),
        ("begins_with(s, :hel)", True),
        ("begins_with(n, :s)", False),
        ("begins_with(nope, :s)", False),
        ("contains(ns, :three)", True),
        ("contains(ns, :s)", False),
        ("contains(l, :s)", True),
        ("contains(s, :hel)", True),
        ("contains(b, :b)", True),
        ("contains(m, :s)", False),
        ("contains(nope, :s)", False),
        ("size(l) = :three", True),
        ("size(b) = :three", True),
        ("size(s) > :six", True),
        ("size(n) = :one", False),
        ("size(nope) <> :one", True),
        ("(n = :one OR n = :n) AND NOT (t = :s)", True),
        ("((n) = (:n) AND size((l)) = (:three))", True),
        ("((n) IN ((:one), :n)) OR (s) BETWEEN (:s) AND (:s)", True),
        ("attribute_exists((n)) AND contains((ns), (:three))", True),
    ],
)
def test_conditions(world: World, condition: str, holds: bool) -> None:
    world.call("PutItem", {"TableName": "orders", "Item": ITEM})
    request = {
        "TableName": "orders",
        "Item": ITEM,
        "ConditionExpression": condition,
        **placeholders(condition),
    }
    if holds:
        assert world.call("PutItem", request) == {}
    else:
        with pytest.raises(ServiceError) as error:
            world.call("PutItem", request)
        assert error.value.code == "ConditionalCheckFailedException"


@pytest.mark.parametrize(
    ("update", "changed"),
    [
        ("SET n = n + :one", {"n": {"N": "6"}}),
        ("SET n = :one - n", {"n": {"N": "-4"}}),
        ("SET n = (n + :one)", {"n": {"N": "6"}}),
        ("SET n = ((n) + (m.x))", {"n": {"N": "6"}}),
        ("SET n = (if_not_exists((nope), (:one))) + n", {"n": {"N": "6"}}),
        ("SET n = s, s = n", {"n": ITEM["s"], "s": ITEM["n"]}),
        ("SET fresh = if_not_exists(fresh, :one)", {"fresh": {"N": "1"}}),
        ("SET n = if_not_exists(n, :one)", {}),
        ("SET l = list_append(l, :list)", {"l": {"L": [*ITEM["l"]["L"], {"S": "y"}]}}),
        ("SET m.x = :s", {"m": {"M": {"x": {"S": "x"}, "y": {"S": "z"}}}}),
        ("SET l[9] = :one, l[7] = :s", {"l": {"L": [*ITEM["l"]["L"], {"S": "x"}, {"N": "1"}]}}),
        ("REMOVE l[0], l[1]", {"l": {"L": ITEM["l"]["L"][2:]}}),
        ("SET l[9] = :s REMOVE l[0]", {"l": {"L": [*ITEM["l"]["L"][1:], {"S": "x"}]}}),
        ("SET l[0] = :s REMOVE l[2].q", {"l": {"L": [{"S": "x"}, {"S": "x"}, {"M": {}}]}}),
        ("REMOVE l[9], m.nope, nope", {}),
        ("REMOVE n", {"n": None}),
        ("ADD n :one, fresh :six", {"n": {"N": "6"}, "fresh": {"N": "6"}}),
        ("ADD ss :set", {"ss": {"SS": ["a", "b", "c"]}}),
        ("ADD m.x :one", {"m": {"M": {"x": {"N": "2"}, "y": {"S": "z"}}}}),
        ("DELETE ss :set", {"ss": {"SS": ["a"]}}),
        ("DELETE nope :set", {}),
    ],
)
def test_updates(world: World, update: str, changed: dict[str, Any]) -> None:
    world.call("PutItem", {"TableName": "orders", "Item": ITEM})
    request = {"TableName": "orders", "Key": KEY, "UpdateExpression": update, **placeholders(update)}
    answer = world.call("UpdateItem", {**request, "ReturnValues": "ALL_NEW"})
    expected = {name: value for name, value in {**ITEM, **changed}.items() if value is not None}
    assert answer["Attributes"] == expected
    assert world.streams.events == (["INSERT", "MODIFY"] if changed else ["INSERT"])


def test_the_last_element_of_a_set_takes_the_attribute_with_it(world: World) -> None:
    world.call("PutItem", {"TableName": "orders", "Item": {**KEY, "ss": {"SS": ["b", "c"]}}})
    world.call(
        "UpdateItem",
        {"TableName": "orders", "Key": KEY, "UpdateExpression": "DELETE ss :set", **placeholders(":set")},
    )
    assert world.tables.items("orders") == [KEY]


@pytest.mark.parametrize(
    "update",
    [
        "SET n = nope",
        "SET n = n + s",
        "SET s = list_append(l, n)",
        "SET nope.x = n",
        "SET n.x = n",
        "SET m.nope.x = n",
        "SET l[9].q = n",
        "SET m[0] = n",
        "SET l.x = n",
        "REMOVE nope.x",
        "ADD s :one",
        "DELETE ns :set",
        "SET pk = n",
        "REMOVE sk",
        "SET m = n, m.x = n",
        "SET m.x = n, m[0] = n",
        "SET n = :s + :one",
        "ADD n :s",
        "DELETE ss :one",
    ],
)
def test_an_update_that_is_refused_changes_nothing(world: World, update: str) -> None:
    world.call("PutItem", {"TableName": "orders", "Item": ITEM})
    with pytest.raises(ServiceError) as error:
        world.call(
            "UpdateItem",
            {"TableName": "orders", "Key": KEY, "UpdateExpression": update, **placeholders(update)},
        )
    assert error.value.code == "ValidationException"
    assert world.tables.items("orders") == [ITEM]
    assert world.streams.events == ["INSERT"]


@pytest.mark.parametrize(
    ("returned", "attributes"),
    [
        ("NONE", None),
        ("ALL_OLD", ITEM),
        ("UPDATED_OLD", {"m": {"M": {"x": {"N": "1"}}}, "l": {"L": [{"S": "x"}]}}),
        (
            "UPDATED_NEW",
            {"m": {"M": {"x": {"N": "1"}}}, "l": {"L": [{"M": {"q": {"N": "2"}}}]}, "fresh": {"N": "1"}},
        ),
    ],
)
def test_of_a_nested_update_only_what_it_names_is_returned(
    world: World, returned: str, attributes: Any
) -> None:
    world.call("PutItem", {"TableName": "orders", "Item": ITEM})
    update = "SET m.x = :one, fresh = :one, l[7] = :one REMOVE l[1]"
    answer = world.call(
        "UpdateItem",
        {
            "TableName": "orders",
            "Key": KEY,
            "UpdateExpression": update,
            "ReturnValues": returned,
            **placeholders(update),
        },
    )
    # As the service does: an element appended beyond the end is not there, and one that moved up is.
    assert answer.get("Attributes") == attributes


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("n, nope", {"n": ITEM["n"]}),
        ("m.x", {"m": {"M": {"x": {"N": "1"}}}}),
        ("l[2].q, l[0]", {"l": {"L": [{"N": "1"}, {"M": {"q": {"N": "2"}}}]}}),
        ("m.nope, l[9], n.x", {}),
    ],
)
def test_projections(world: World, wanted: str, found: dict[str, Any]) -> None:
    world.call("PutItem", {"TableName": "orders", "Item": ITEM})
    answer = world.call("GetItem", {"TableName": "orders", "Key": KEY, "ProjectionExpression": wanted})
    assert answer == {"Item": found}


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("n", "Syntax error"),
        ("n =", "Syntax error"),
        ("n = 1", "Syntax error"),
        ("n = m l", "Syntax error"),
        ("n = m; l = m", "Syntax error"),
        ("n[a] = m", "Syntax error"),
        ("n BETWEEN m", "Syntax error"),
        ("n[2147483648] = m", "List index"),
        (".".join("n" * 33) + " = m", "nesting"),
        ("n = m" + " " * 4096, "maximum allowed size"),
        (" OR ".join(["n = m"] * 200), "too many operators"),
        ("n IN (" + ", ".join(["m"] * 101) + ")", "number of operands: 101"),
        ("status = m", "reserved keyword: status"),
        ("((n = m))", "redundant parentheses"),
        ("((n)) = m", "redundant parentheses"),
        ("((n = m)) OR n = l", "redundant parentheses"),
        ("(n = m) = l", "Syntax error"),
        ("(n).m = l", "Syntax error"),
        ("(n = m", "Syntax error"),
        ("n = n", "distinct"),
        ("n IN (m, n)", "distinct"),
        ("n BETWEEN n AND m", "distinct"),
        ("contains(n, n)", "distinct"),
        ("foo(n)", "Invalid function name"),
        ("n = foo(m)", "Invalid function name"),
        ("n = contains(m, l)", "not allowed to be used this way"),
        ("list_append(n, m)", "not allowed"),
        ("size(n)", "Syntax error"),
        ("attribute_exists(n, m)", "number of operands: 2"),
        ("attribute_exists(:n)", "requires a document path"),
        ("attribute_type(n, m)", "operand type"),
        ("attribute_type(n, :s)", "Invalid attribute type name"),
        ("attribute_type(n, :one)", "operand type: N"),
        ("begins_with(n, size(m))", "operand type: N"),
        ("n < :map", "operand type: M"),
        ("size(:one) = n", "operand type: N"),
        ("n BETWEEN :one AND :s", "same data type"),
        ("n BETWEEN :six AND :one", "upper bound"),
        ("n = :undefined", "not defined; attribute value: :undefined"),
        ("#undefined = n", "not defined; attribute name: #undefined"),
    ],
)
def test_conditions_that_are_refused(world: World, condition: str, says: str) -> None:
    with pytest.raises(ServiceError, match=says) as error:
        world.call(
            "PutItem",
            {
                "TableName": "orders",
                "Item": ITEM,
                "ConditionExpression": condition,
                **placeholders(condition),
            },
        )
    assert error.value.code == "ValidationException"


@pytest.mark.parametrize(
    ("update", "says"),
    [
        ("DROP n", "Syntax error"),
        ("SET n = m SET s = m", "can only be used once"),
        ("SET n = m,", "Syntax error"),
        ("SET n = size(m)", "not allowed"),
        ("SET n = foo(m)", "Invalid function name"),
        ("SET n = if_not_exists(:one, m)", "requires a document path"),
        ("SET n = list_append(m)", "Syntax error"),
        ("SET n = m + s + s", "Syntax error"),
        ("SET n = (m + s) + s", "Syntax error"),
        ("SET n = m + (s + s)", "Syntax error"),
        ("SET (n) = m", "Syntax error"),
        ("SET n = ((m))", "redundant parentheses"),
        ("SET n = ((m + s))", "redundant parentheses"),
        ("ADD n m", "Syntax error"),
    ],
)
def test_updates_that_are_none(world: World, update: str, says: str) -> None:
    with pytest.raises(ServiceError, match=says):
        world.call(
            "UpdateItem",
            {"TableName": "orders", "Key": KEY, "UpdateExpression": update, **placeholders(update)},
        )
    assert world.tables.items("orders") == []


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"ExpressionAttributeNames": {"#n": "n"}}, "only be specified when using expressions"),
        ({"ConditionExpression": "attribute_exists(n)", "ExpressionAttributeNames": {"#n": "n"}}, "unused"),
        (
            {"ConditionExpression": "attribute_exists(n)", "ExpressionAttributeNames": {"n": "n"}},
            "invalid key",
        ),
        ({"ConditionExpression": "attribute_exists(n)", "ExpressionAttributeNames": {}}, "must not be empty"),
        (
            {"ConditionExpression": "attribute_exists(n)", "ExpressionAttributeValues": {":n": {"S": "n"}}},
            "unused",
        ),
    ],
)
def test_placeholders_that_are_refused(world: World, more: dict[str, Any], says: str) -> None:
    with pytest.raises(ServiceError, match=says):
        world.call("PutItem", {"TableName": "orders", "Item": ITEM, **more})
