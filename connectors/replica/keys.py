"""Item keys in one form per key: what the service calls equal is equal here."""

import binascii
import hashlib
import re
from collections.abc import Mapping, Sequence

import msgspec

from cdc.model import KeyAttribute

_NUMBER = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]{1,6}))?")
_MAX_NUMBER_LENGTH = 1000

_keys = msgspec.json.Decoder(dict[str, dict[str, str]])
_attribute = msgspec.json.Decoder(dict[str, str])


class BrokenKeyError(Exception):
    """A record's key is missing, or is no key of its table. The message names attributes, never values."""


def canonical_number(text: str) -> str:
    """One text per number: `100`, `1E+2` and `100.0` are all `1e2`, and `-0` is `0`.

    Keys of type N are equal when their values are (Developer Guide, data types), and not every endpoint keeps N in
    one notation. All digits count: `decimal`'s default context would round after 28 of them.

    Raises:
        BrokenKeyError: it is no number.
    """
    match = _NUMBER.fullmatch(text) if len(text) <= _MAX_NUMBER_LENGTH else None
    if match is None:
        raise BrokenKeyError("a key of type N is no number")
    sign, whole, fraction, exponent = match[1], match[2], match[3] or "", int(match[4] or 0)
    digits = whole + fraction
    if not digits:
        raise BrokenKeyError("a key of type N is no number")
    significant = digits.strip("0")
    if not significant:
        return "0"
    trailing = len(digits) - len(digits.rstrip("0"))
    return f"{'-' if sign == '-' else ''}{significant}e{exponent - len(fraction) + trailing}"


def canonical_key(keys: msgspec.Raw, schema: Sequence[KeyAttribute]) -> bytes:
    """The key as bytes: equal for equal keys of one table, different for different ones.

    Args:
        keys: `Keys` of a stream record, DynamoDB JSON.
        schema: the table's key.

    Raises:
        BrokenKeyError: the record has no such key.
    """
    if not keys:
        raise BrokenKeyError("the record has no Keys")
    try:
        values = _keys.decode(keys)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise BrokenKeyError("the record's Keys are no key") from None
    if values.keys() != {attribute.name for attribute in schema}:
        raise BrokenKeyError("the record's Keys do not have the attributes of the table's key")
    return b"".join(_part(values[attribute.name], attribute) for attribute in schema)


def _part(value: Mapping[str, str], attribute: KeyAttribute) -> bytes:
    if value.keys() != {attribute.type}:
        msg = f"the key attribute {attribute.name} is not of type {attribute.type}"
        raise BrokenKeyError(msg)
    text = value[attribute.type]
    if attribute.type == "N":
        content = canonical_number(text).encode()
    elif attribute.type == "B":
        try:
            content = binascii.a2b_base64(text)
        except (binascii.Error, ValueError):
            msg = f"the key attribute {attribute.name} is not Base64"
            raise BrokenKeyError(msg) from None
    else:
        content = text.encode()
    return attribute.type.encode() + len(content).to_bytes(4) + content


def same_value(one: msgspec.Raw, other: msgspec.Raw, attribute: KeyAttribute) -> bool:
    """Whether two attribute values are the same key value; the text is mostly the same too."""
    if bytes(one) == bytes(other):
        return True
    try:
        return _part(_attribute.decode(one), attribute) == _part(_attribute.decode(other), attribute)
    except (msgspec.DecodeError, UnicodeDecodeError, BrokenKeyError):
        return False


def tombstone_id(table: str, key: bytes) -> str:
    """The tombstone's own key: the replica's name and the SHA-256 of the item's canonical key.

    A digest, because the key of an item may be longer (2,048 and 1,024 bytes) than a partition key that would have to
    hold all of it; and so that no values stand in a second table.
    """
    return f"{table}:{hashlib.sha256(key).hexdigest()}"
