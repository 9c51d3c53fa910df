"""DynamoDB's values: the JSON that the service speaks, the Python form of it, and when two of them are the same.

The Python form is the one that boto3's low-level client takes and gives: `{"pk": {"S": "a"}, "n": {"N": "1.10"}}`,
binary as `bytes`, sets as lists. Nothing is ever a float: the text of a number is kept as it came (Developer Guide,
"Supported data types": up to 38 digits, which no binary float and not every decimal context holds).
"""

import base64
import json
import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, TypedDict

import msgspec

from cdc.model import KeyAttribute


class AttributeValue(TypedDict, total=False):
    """One value: a dict of exactly one member, whose name is the type."""

    S: str
    N: str
    B: bytes
    BOOL: bool
    NULL: bool
    SS: list[str]
    NS: list[str]
    BS: list[bytes]
    L: "list[AttributeValue]"
    M: "dict[str, AttributeValue]"


Item = dict[str, AttributeValue]


class InvalidValueError(ValueError):
    """Not a value that DynamoDB could have sent. The message holds no item values."""


_item_decoder = msgspec.json.Decoder(Item)
_ONE_MEMBER = frozenset((1,))


def parse_item(text: bytes | msgspec.Raw) -> Item:
    """The item that a JSON object of DynamoDB stands for; its attributes and elements keep their order.

    Raises:
        InvalidValueError: `text` is no JSON object of attribute values, each with exactly one member of a known type.
    """
    text = bytes(text)
    try:
        item = _item_decoder.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        # The library's message can name an attribute, which may be a key of a user's map.
        raise InvalidValueError(f"not an item in DynamoDB JSON ({type(error).__name__})") from None
    # The decoder has checked names and types; how many members each value has is left. Nothing can be nested without
    # "M" or "L": most items are spared the walk.
    nested = b'"M"' in text or b'"L"' in text
    if not (_all_whole(item.values()) if nested else _ONE_MEMBER.issuperset(map(len, item.values()))):
        raise InvalidValueError("an attribute value has not exactly one member of a known type")
    return item


def _all_whole(values: Iterable[AttributeValue]) -> bool:
    for value in values:
        if len(value) != 1:
            return False
        if "M" in value:
            if not _all_whole(value["M"].values()):
                return False
        elif "L" in value and not _all_whole(value["L"]):
            return False
    return True


def dump_item(item: Mapping[str, AttributeValue]) -> bytes:
    """Compact DynamoDB JSON, UTF-8: the inverse of `parse_item`."""
    return msgspec.json.encode(item)


_CANONICAL = re.compile(r"0|-?[1-9][0-9]*|-?(?:0|[1-9][0-9]*)\.[0-9]*[1-9]")
_NUMBER = re.compile(r"([+-]?)(?=\.?[0-9])([0-9]*)\.?([0-9]*)(?:[eE]([+-]?[0-9]{1,9}))?")
_SURELY_IN_RANGE = 120
_HIGHEST_EXPONENT = 125
_LOWEST_EXPONENT = -130


def canonical_number(text: str) -> str:
    """The one plain decimal text of a number, as DynamoDB itself writes it: `1E+2` is `100`, `-0` is `0`.

    At most 126 digits before the point; no exponent, no leading or trailing zeros, no plus sign. The digits are
    counted nowhere: some emulators keep more than DynamoDB's 38, and cutting them would move a key.

    Raises:
        InvalidValueError: not a number, or outside DynamoDB's 1E-130 … 9.9…E+125 (Developer Guide, "Number").
    """
    if len(text) <= _SURELY_IN_RANGE and _CANONICAL.fullmatch(text):
        return text
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise InvalidValueError("not a number")
    sign, whole, fraction, exponent = match.groups()
    digits = (whole + fraction).lstrip("0")
    # The decimal point stands behind so many of the digits.
    point = len(digits) - len(fraction) + int(exponent or 0)
    digits = digits.rstrip("0")
    if not digits:
        return "0"
    if not _LOWEST_EXPONENT <= point - 1 <= _HIGHEST_EXPONENT:
        raise InvalidValueError("a number outside of DynamoDB's range")
    minus = "-" if sign == "-" else ""
    if point <= 0:
        return f"{minus}0.{'0' * -point}{digits}"
    if point >= len(digits):
        return f"{minus}{digits}{'0' * (point - len(digits))}"
    return f"{minus}{digits[:point]}.{digits[point:]}"


def canonical(value: AttributeValue) -> Hashable:
    """A form that is equal for equal values: numbers by value, sets and maps without order, lists with it.

    Raises:
        InvalidValueError: a number that is none, or a value that has not exactly one member of a known type.
    """
    if len(value) != 1 or not value.keys() <= _COMPARABLE.keys():
        raise InvalidValueError("an attribute value has not exactly one member of a known type")
    ((kind, content),) = value.items()
    return kind, _COMPARABLE[kind](content)


def _canonical_map(members: Mapping[str, AttributeValue]) -> Hashable:
    return frozenset((name, canonical(member)) for name, member in members.items())


def _as_is(content: Hashable) -> Hashable:
    return content


_COMPARABLE: dict[str, Callable[[Any], Hashable]] = {
    "S": _as_is,
    "N": canonical_number,
    "B": _as_is,
    "BOOL": _as_is,
    "NULL": _as_is,
    "SS": frozenset,
    "NS": lambda numbers: frozenset(map(canonical_number, numbers)),
    "BS": frozenset,
    "L": lambda elements: tuple(map(canonical, elements)),
    "M": _canonical_map,
}


def same_value(one: AttributeValue, other: AttributeValue) -> bool:
    return canonical(one) == canonical(other)


def same_item(one: Mapping[str, AttributeValue], other: Mapping[str, AttributeValue]) -> bool:
    """Whether both have the same attributes with the same values."""
    return one.keys() == other.keys() and all(same_value(one[name], other[name]) for name in one)


def key_text(item: Mapping[str, AttributeValue], key: Sequence[KeyAttribute]) -> str:
    """One text per primary key, equal for equal keys only: `["a","100"]`, binary as base64.

    `item` may be the whole item or its key alone.

    Raises:
        InvalidValueError: a key attribute is missing or of another type.
    """
    texts = []
    for name, kind in key:
        match item.get(name, {}), kind:
            case {"S": text}, "S":
                texts.append(text)
            case {"N": number}, "N":
                texts.append(canonical_number(number))
            case {"B": binary}, "B":
                texts.append(base64.b64encode(binary).decode())
            case _:
                raise InvalidValueError("the key does not match the table's key schema")
    return json.dumps(texts, ensure_ascii=False, separators=(",", ":"))
