"""The few parts of Avro's binary encoding that fixed schemas need, written without a library.

Avro specification, "Binary Encoding": a long is a zigzag varint, a string or bytes its length as a long and then the
bytes, a record its fields one after the other, a union the index of its branch as a long and then the value.
"""

from collections.abc import Sized
from functools import lru_cache
from typing import Final

FALSE: Final = b"\x00"
TRUE: Final = b"\x01"
FIRST: Final = b"\x00"
"""The index of a union's first branch."""
SECOND: Final = b"\x02"


@lru_cache(maxsize=4096)
def _varint(number: int) -> bytes:
    zigzag = (number << 1) ^ (number >> 63)
    if zigzag < 0x80:  # noqa: PLR2004 - the specification's seven bits
        return bytes((zigzag,))
    out = bytearray()
    while zigzag > 0x7F:  # noqa: PLR2004
        out.append(zigzag & 0x7F | 0x80)
        zigzag >>= 7
    out.append(zigzag)
    return bytes(out)


_LENGTHS = tuple(map(_varint, range(8192)))
"""Most lengths are small; most times, cached above, are those of the record before."""


def long(number: int) -> bytes:
    """Avro's int and long.

    Raises:
        OverflowError: more than 64 bits.
    """
    if 0 <= number < len(_LENGTHS):
        return _LENGTHS[number]
    if not -(1 << 63) <= number < 1 << 63:
        raise OverflowError("more than the 64 bits of an Avro long")
    return _varint(number)


def length(data: Sized) -> bytes:
    """What stands before the bytes of a string or of bytes."""
    return long(len(data))


def binary(data: bytes) -> bytes:
    return long(len(data)) + data


def string(text: str) -> bytes:
    """Raises UnicodeEncodeError for lone surrogates, which UTF-8 cannot hold."""
    data = text.encode()
    return long(len(data)) + data
