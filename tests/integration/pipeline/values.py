"""DynamoDB values in a form that `==` compares by type and value: numbers as numbers, sets without an order.

Takes DynamoDB JSON (B is Base64) and what botocore makes of it (B is bytes).
"""

import base64
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from tests.integration.pipeline.items import PARTITION_KEY, SORT_KEY, Key

Value = tuple[str, Any]
"""Type and value: `("N", Decimal(1))`, `("SS", frozenset({"a"}))`, `("M", {"a": ("S", "")})`."""


def value_of(attribute: Mapping[str, Any]) -> Value:
    """Raises ValueError if it is no DynamoDB value, or a set has an element twice."""
    if len(attribute) != 1:
        raise ValueError(f"an attribute value has one type, not {sorted(attribute)}")
    ((kind, value),) = attribute.items()
    if kind not in READ:
        raise ValueError(f"no type of DynamoDB: {kind}")
    return kind, READ[kind](value)


def item_of(attributes: Mapping[str, Any]) -> dict[str, Value]:
    return {name: value_of(attribute) for name, attribute in attributes.items()}


def key_of(attributes: Mapping[str, Any]) -> Key:
    """The key among these attributes."""
    return Key(attributes[PARTITION_KEY]["S"], Decimal(attributes[SORT_KEY]["N"]))


def binary(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else base64.b64decode(value, validate=True)


def members(values: Sequence[Any], read: Callable[[Any], Any]) -> frozenset[Any]:
    found = frozenset(map(read, values))
    if len(found) != len(values):
        raise ValueError("a set with an element twice")
    return found


READ: Mapping[str, Callable[[Any], Any]] = {
    "S": str,
    "N": Decimal,  # of a text, which counts every digit whatever the context's precision (decimal's documentation)
    "B": binary,
    "BOOL": {True: True, False: False}.__getitem__,
    "NULL": {True: True}.__getitem__,
    "SS": lambda values: members(values, str),
    "NS": lambda values: members(values, Decimal),
    "BS": lambda values: members(values, binary),
    "L": lambda values: [value_of(value) for value in values],
    "M": item_of,
}


def differences(expected: Mapping[str, Value] | None, found: Mapping[str, Value] | None) -> list[str]:
    """What differs between two items, in words; empty where they are equal."""
    if expected is None or found is None:
        return [] if expected is found else [f"expected {expected!r}, found {found!r}"]
    return [
        f"{name!r}: expected {expected.get(name, 'nothing')!r}, found {found.get(name, 'nothing')!r}"
        for name in sorted(expected.keys() | found.keys())
        if expected.get(name) != found.get(name)
    ]
