"""Items as values that compare: numbers by value, sets as sets.

The demonstration's own reading of DynamoDB's JSON (API reference, AttributeValue), which shares no code with the
pipeline: what both got wrong in the same way would agree.
"""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

Value = tuple[str, Any]
"""(type, content): `("N", Decimal("1.5"))` equals what was written as `1.50`, and not the text `("S", "1.50")`."""
Item = Mapping[str, Value]


class Key(NamedTuple):
    customer: str
    order: Decimal


def _scalar_set(member: Callable[[Any], Any]) -> Callable[[Sequence[Any]], frozenset[Any]]:
    def read(members: Sequence[Any]) -> frozenset[Any]:
        found = frozenset(map(member, members))
        if not members or len(found) < len(members):
            raise ValueError("a set is empty, or has a member twice")
        return found

    return read


def _binary(content: bytes | str) -> bytes:
    """The SDK gives bytes, JSON text has Base64."""
    return content if isinstance(content, bytes) else base64.b64decode(content, validate=True)


_READERS: dict[str, Callable[[Any], Any]] = {
    "S": str,
    "N": Decimal,
    "B": _binary,
    "BOOL": bool,
    "NULL": bool,
    "SS": _scalar_set(str),
    "NS": _scalar_set(Decimal),
    "BS": _scalar_set(_binary),
    "L": lambda members: tuple(map(value, members)),
}


def _read(kind: str, content: Any) -> Any:
    return item(content) if kind == "M" else _READERS[kind](content)


def value(attribute: Mapping[str, Any]) -> Value:
    """
    Raises:
        ValueError, ArithmeticError, KeyError, TypeError: it is no attribute value.
    """
    ((kind, content),) = attribute.items()
    return kind, _read(kind, content)


def item(attributes: Mapping[str, Any]) -> Item:
    """`attributes`: as the SDK's client has them, or parsed from DynamoDB JSON. Raises as `value`."""
    return {name: value(attribute) for name, attribute in attributes.items()}


def item_of_text(text: str | None) -> Item | None:
    """`text`: DynamoDB JSON. Raises as `value`."""
    return None if text is None else item(json.loads(text))


def key_of(attributes: Mapping[str, Value]) -> Key:
    return Key(attributes["customer"][1], attributes["order"][1])
