"""Scenario 13: every value that DynamoDB allows arrives as it was written, at the ends of what it allows.

From `PutItem` through the stream and the connector to mode `document`, encoded and read back, in both envelopes. An empty set
is nothing that DynamoDB allows, nowhere; what it refuses is asked for too, so that the ends are the service's and not ours.
"""

import base64
from collections.abc import Mapping
from typing import Any

import pytest

from cdc.testing.sim.failures import ServiceError
from schemas.attribute_value import same_item
from tests.conformance.oracle import Kind, Oracle
from tests.conformance.scenario import Trial, conformance
from tests.conformance.subject import Options
from tests.conformance.values import ENVELOPES, Received, by_hand, item_of, shipped
from tests.conformance.world import MINUTE, World

TABLE = "values"
DIGITS = "12345678901234567890123456789012345678"
"""38, as many as a number may have."""


def nested(levels: int, inmost: Mapping[str, Any]) -> Mapping[str, Any]:
    """Lists and maps in turn; the inmost value lies in so many of them."""
    value = inmost
    for level in range(levels):
        value = {"M": {"x": value}} if level % 2 else {"L": [value]}
    return value


VALUES: dict[str, dict[str, Mapping[str, Any]]] = {
    "38 digits": {
        "n": {"N": DIGITS},
        "minus": {"N": f"-{DIGITS}"},
        "point": {"N": f"{DIGITS[:5]}.{DIGITS[5:]}"},
    },
    "39 characters and more": {
        "n": {"N": "1" + "0" * 38},
        "minus": {"N": f"-{DIGITS}"},
        "point": {"N": f"0.{DIGITS}"},
        "most": {"N": "9" * 38 + "0" * 88},
        "set": {"NS": [f"-0.{DIGITS}", "1" + "0" * 125]},
    },
    "negative exponents": {
        "least": {"N": "1E-130"},
        "minus": {"N": f"-{DIGITS[0]}.{DIGITS[1:]}E-92"},
        "half": {"N": "5e-1"},
    },
    "minus zero": {"n": {"N": "-0"}, "point": {"N": "-0.00"}, "set": {"L": [{"N": "-0E5"}]}},
    "empty string": {"s": {"S": ""}, "in_a_list": {"L": [{"S": ""}]}, "b": {"B": ""}},
    "empty members": {
        "list": {"L": []},
        "map": {"M": {}},
        "in_a_map": {"M": {"list": {"L": []}, "map": {"M": {}}, "set": {"SS": [""]}}},
        "binaries": {"BS": [""]},
    },
    "binary keys": {
        "b": {"B": base64.b64encode(bytes(range(256))).decode()},
        "set": {"BS": ["AA==", "/w=="]},
    },
    "NULL": {"n": {"NULL": True}, "in_a_list": {"L": [{"NULL": True}, {"S": "NULL"}]}},
    "nesting depth 32": {"deep": nested(31, {"N": "1"})},
    "names that collide": {
        "order-id": {"N": "1"},
        "order_id": {"N": "2"},
        "order.id": {"N": "3"},
        "order_x2d_id": {"N": "4"},
        "item": {"N": "5"},
        "__op": {"S": "d"},
        "__ttl": {"BOOL": True},
        "Ä": {"N": "6"},
        "A\u0308": {"N": "7"},
    },
}

REFUSED: dict[str, Mapping[str, Any]] = {
    "39 digits": {"N": DIGITS + "9"},
    "too great": {"N": "1E126"},
    "too small": {"N": "1E-131"},
    "an empty set": {"SS": []},
    "an empty set in a map": {"M": {"set": {"NS": []}}},
    "one number twice": {"NS": ["1", "1.0"]},
    "NULL that is not": {"NULL": False},
    "nesting depth 33": nested(32, {"N": "1"}),
}


TEXT_KEY = (("pk", "HASH", "S"),)
BINARY_KEY = (("order-id", "HASH", "B"), ("__at", "RANGE", "N"))
KEYS = {
    TEXT_KEY: [{"pk": {"S": text}} for text in ("a", "b")],
    BINARY_KEY: [
        {"order-id": {"B": base64.b64encode(data).decode()}, "__at": {"N": "-1.50"}}
        for data in (b"\x00", b"\xff\xfe")
    ],
}


def create(world: World, names: tuple[tuple[str, str, str], ...] = TEXT_KEY) -> None:
    world.sim.call(
        "CreateTable",
        {
            "TableName": TABLE,
            "KeySchema": [{"AttributeName": name, "KeyType": role} for name, role, _ in names],
            "AttributeDefinitions": [
                {"AttributeName": name, "AttributeType": kind} for name, _, kind in names
            ],
            "BillingMode": "PAY_PER_REQUEST",
            "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        },
    )
    world.advance(10.0)


@conformance(13, *VALUES)
def test_a_value_arrives_as_it_was_written(trial: Trial, case: str) -> None:
    world = trial.world(seed=13, create=False)
    names = BINARY_KEY if case == "binary keys" else TEXT_KEY
    create(world, names)
    subject = trial.subject(world, Options(tables=(TABLE,)))
    subject.start()
    written = []
    for key in KEYS[names]:
        written.append(VALUES[case] | key)
        world.sim.call("PutItem", {"TableName": TABLE, "Item": written[-1]})
    world.advance(MINUTE)
    for key in KEYS[names]:
        world.sim.call("DeleteItem", {"TableName": TABLE, "Key": key})
    world.advance(MINUTE)
    oracle = Oracle(subject, tables=(TABLE,))
    oracle.complete()
    oracle.in_order()
    for place in world.destinations.values():
        if subject.name == "naive":
            compare(oracle, "by hand", by_hand(place.arrived), written, names)
        else:
            for envelope in ENVELOPES:
                compare(oracle, envelope, shipped(subject, TABLE, place.arrived, envelope), written, names)
    oracle.done()


def compare(
    oracle: Oracle,
    how: str,
    read: list[Received],
    written: list[dict[str, Mapping[str, Any]]],
    names: tuple[tuple[str, str, str], ...],
) -> None:
    first = {one.sequence: one for one in reversed(read)}
    for number, change in enumerate(oracle.log):
        one, item = first.get(change.sequence), item_of(written[number % len(written)])
        key = {name: item[name] for name, _, _ in names}
        if one is None:
            oracle.wrong(Kind.LOST, f"{how} {number}")
        elif not same_item(one.key, key) or (
            one.item is not None
            if number >= len(written)
            else one.item is None or not same_item(one.item, item)
        ):
            oracle.wrong(Kind.ALTERED, f"{how} {number}")


@pytest.mark.parametrize("value", REFUSED.values(), ids=REFUSED)
def test_these_are_the_ends_of_what_is_allowed(value: Mapping[str, Any]) -> None:
    world = World(create=False)
    create(world)
    with pytest.raises(ServiceError) as refused:
        world.sim.call("PutItem", {"TableName": TABLE, "Item": {"pk": {"S": "a"}, "v": value}})
    assert refused.value.code == "ValidationException"
