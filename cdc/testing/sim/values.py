"""Attribute values in the service's JSON: read once, then kept in the one form that all equal values share.

A stored value is never changed in place, and two values are equal if and only if their dicts are: numbers are
canonical, sets are sorted. (The service gives a set's elements in no order that it promises.)
"""

import base64
import binascii
import sys
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from cdc.testing.sim.change import Value
from cdc.testing.sim.failures import ServiceError
from cdc.testing.sim.numbers import canonical_number
from cdc.testing.sim.requests import invalid, malformed

NESTING = 32
"""Levels of lists and maps (Developer Guide, "Quotas": Nested attribute depth)."""
MOST_NAME_BYTES = 65535

TYPES = frozenset(("S", "N", "B", "BOOL", "NULL", "SS", "NS", "BS", "L", "M"))
SET_TYPES = {"SS": "S", "NS": "N", "BS": "B"}
"""The type of a set's elements."""


def canonical(value: Any) -> Value:
    """A value of a request.

    Raises:
        ServiceError: ValidationException; SerializationException where its JSON is of another shape.
    """
    return _canonical(value, NESTING)


def _canonical(value: Any, levels: int) -> Value:
    if not isinstance(value, Mapping):
        raise malformed("Unexpected value type in payload")
    if len(value) != 1:
        raise invalid(
            "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes"
            if value
            else "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes"
        )
    ((kind, content),) = value.items()
    if kind == "M":
        return {"M": _map(content, levels)}
    if kind == "L":
        return {"L": _list(content, levels)}
    read = _READERS.get(kind)
    if read is None:
        raise invalid("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")
    return {kind: read(content)}


def type_of(value: Value) -> str:
    for kind in value:
        return kind
    raise AssertionError("a stored value has a type")


def content_of(value: Value) -> Any:
    for content in value.values():
        return content
    raise AssertionError("a stored value has a content")


def sortable(value: Value) -> Any:
    """What orders scalars of one type: strings by their UTF-8 bytes, binary by unsigned bytes, numbers by value."""
    ((kind, content),) = value.items()
    return _SORTABLE[kind](content)


def text_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def size_of(value: Value) -> int:
    """Bytes, as items are measured (Developer Guide, "DynamoDB item sizes and formats")."""
    ((kind, content),) = value.items()
    return _SIZES[kind](content)


def _text(content: Any) -> str:
    if not isinstance(content, str):
        raise malformed("Expected a string")
    return sys.intern(content) if len(content) < 32 else content  # noqa: PLR2004 - equal by identity, mostly


def _number(content: Any) -> str:
    return canonical_number(_text(content))


def _binary(content: Any) -> str:
    """Base64 as the service writes it: a client may leave bits in the padding."""
    try:
        return base64.b64encode(base64.b64decode(_text(content), validate=True)).decode()
    except (binascii.Error, ValueError):
        raise malformed("Base64 encoded length is unexpected, or not base64") from None


def _boolean(content: Any) -> bool:
    if not isinstance(content, bool):
        raise malformed("Expected a boolean")
    return content


def _null(content: Any) -> bool:
    if not _boolean(content):
        raise invalid(
            "One or more parameter values were invalid: Null attribute value types must have the value of true"
        )
    return True


def _set(kind: str, described: str, read: Callable[[Any], str]) -> Callable[[Any], list[str]]:
    def reader(content: Any) -> list[str]:
        if not isinstance(content, list | tuple):
            raise malformed("Expected a list")
        if not content:
            raise invalid(f"One or more parameter values were invalid: An {described} set  may not be empty")
        elements = sorted_set(kind, map(read, content))
        if len(set(elements)) < len(elements):
            raise invalid("One or more parameter values were invalid: Input collection contains duplicates")
        return elements

    return reader


def _list(content: Any, levels: int) -> list[Value]:
    if not isinstance(content, list | tuple):
        raise malformed("Expected a list")
    return [_canonical(element, _deeper(levels)) for element in content]


def _map(content: Any, levels: int) -> dict[str, Value]:
    if not isinstance(content, Mapping):
        raise malformed("Expected a map")
    levels = _deeper(levels)
    if "" in content:
        raise empty_name()
    return {check_name(name): _canonical(member, levels) for name, member in content.items()}


def empty_name() -> ServiceError:
    return invalid("One or more parameter values were invalid: Empty attribute name")


def _deeper(levels: int) -> int:
    if levels <= 1:
        raise invalid("Nesting Levels have exceeded supported limits")
    return levels - 1


def check_name(name: str) -> str:
    """The name of an attribute, or of a map's member.

    Raises:
        ServiceError: ValidationException: too long.
    """
    if len(name) * 4 > MOST_NAME_BYTES and len(text_bytes(name)) > MOST_NAME_BYTES:
        raise invalid("Attribute name is too large, must be less than 65536 bytes")
    return sys.intern(name)


def check_nesting(value: Value, levels: int = NESTING) -> None:
    """Of a value that was put together of others.

    Raises:
        ServiceError: ValidationException: too deep.
    """
    if "M" not in value and "L" not in value:
        return
    levels = _deeper(levels)
    for inner in value["M"].values() if "M" in value else value["L"]:
        check_nesting(inner, levels)


def sorted_set(kind: str, elements: Iterable[str]) -> list[str]:
    """The one order in which equal sets are kept."""
    return sorted(elements, key=_SORTABLE[SET_TYPES[kind]])


def binary(content: str) -> bytes:
    return binascii.a2b_base64(content)


def _text_size(content: str) -> int:
    return len(content) if content.isascii() else len(text_bytes(content))


def _binary_size(content: str) -> int:
    return len(content) * 3 // 4 - content.count("=", -2)


def _number_size(content: str) -> int:
    """About one byte for two significant digits, and one."""
    digits = content.lstrip("-").replace(".", "").strip("0")
    return (len(digits) + 1) // 2 + 1 + content.startswith("-")


def _list_size(content: list[Value]) -> int:
    return 3 + sum(1 + size_of(element) for element in content)


def _map_size(content: Mapping[str, Value]) -> int:
    return 3 + sum(1 + _text_size(name) + size_of(member) for name, member in content.items())


def item_size(item: Mapping[str, Value]) -> int:
    """Bytes: the names and values of all attributes."""
    return sum([_text_size(name) + size_of(value) for name, value in item.items()])


_SORTABLE: dict[str, Callable[[str], Any]] = {"S": text_bytes, "N": Decimal, "B": binary}

_READERS: dict[str, Callable[[Any], Any]] = {
    "S": _text,
    "N": _number,
    "B": _binary,
    "BOOL": _boolean,
    "NULL": _null,
    "SS": _set("SS", "string", _text),
    "NS": _set("NS", "number", _number),
    "BS": _set("BS", "binary", _binary),
}

_SIZES: dict[str, Callable[[Any], int]] = {
    "S": _text_size,
    "N": _number_size,
    "B": _binary_size,
    "BOOL": lambda _: 1,
    "NULL": lambda _: 1,
    "SS": lambda elements: sum(map(_text_size, elements)),
    "NS": lambda elements: sum(map(_number_size, elements)),
    "BS": lambda elements: sum(map(_binary_size, elements)),
    "L": _list_size,
    "M": _map_size,
}
