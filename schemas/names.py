"""Names that Avro can hold, for attributes and tables that it cannot.

An Avro name is `[A-Za-z_][A-Za-z0-9_]*` (Avro specification, "Names"); an attribute's name is any text of 1 to 65,535
bytes. What does not fit is written as `_x{code point in hex}_`: `order-id` is `order_x2d_id`, `1st` is `_x31_st`. A `_`
that stands before an `x` is escaped too (`a_xb` is `a_x5f_xb`), so that `_x` always begins an escape: every name has
an escape of its own, two names never meet, and `original_name` reads it back.
"""

import re

IMAGE_FIELD = "item"
"""The field of a row that holds the image."""
_ENVELOPE_PREFIX = "__"
"""Fields that an envelope puts beside the key attributes begin with it, those of later versions too."""

_ALLOWED = re.compile(r"[A-Za-z0-9_]")
_ESCAPED = re.compile(r"_x([0-9a-f]+)_")


def avro_name(name: str) -> str:
    """The Avro name of a table or attribute, different for different `name`s."""
    return "".join(
        char if _ALLOWED.match(char) and not _must_escape(name, index) else _escape(char)
        for index, char in enumerate(name)
    )


def field_name(name: str) -> str:
    """`avro_name` for a field that stands beside the fields of an envelope: `item` and `__…` are escaped as well.

    A key attribute has this name in every record, so that readers find a key's columns again in the rows.
    """
    if name == IMAGE_FIELD or name.startswith(_ENVELOPE_PREFIX):
        return _escape(name[0]) + avro_name("a" + name[1:])[1:]
    return avro_name(name)


def original_name(name: str) -> str:
    """The name that `avro_name` or `field_name` was given."""
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), name)


def _must_escape(name: str, index: int) -> bool:
    char = name[index]
    return (char == "_" and name[index + 1 : index + 2] == "x") or (index == 0 and char.isdigit())


def _escape(char: str) -> str:
    return f"_x{ord(char):x}_"
