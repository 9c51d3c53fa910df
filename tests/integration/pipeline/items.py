"""Made-up items with every type that DynamoDB has, at the limits of each."""

from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any, NamedTuple

PARTITION_KEY = "customer"
SORT_KEY = "number"
REVISION = "revision"
"""Attribute of type N: rises with every state of a key, also across deletes."""

Attribute = dict[str, Any]
"""One value as botocore has it: `{"N": "1"}`, `{"B": b"..."}`."""
Item = dict[str, Attribute]


class Key(NamedTuple):
    """An item's key by value: DynamoDB's 100 and 1E+2 are one number."""

    customer: str
    number: Decimal


# Names with what Avro, JSON and expressions may stumble over.
NAMES = ("price", "größe", "a.b c", "tags", "né-ma", "$ref", "item", "__op", "_x2d_", "0", "日本")
NUMBERS = (
    "0",
    "-0",
    "1",
    "-1.10",
    "100",
    "1E+2",
    "1E-130",
    "-1E-130",
    "9.9999999999999999999999999999999999999E+125",
    "-9.9999999999999999999999999999999999999E+125",
    "12345678901234567890123456789012345678",
    "0.12345678901234567890123456789012345678",
    "9007199254740993",
    "18446744073709551617",
)
TEXTS = (
    "",
    " ",
    "null",
    "ä",
    "\U0001f600",
    "\x00\x1f",
    'quote " and \\ \n',
    "e\u0301",
    "0x00",
    "</a>&",
    "x" * 300,
)
BYTES = (b"", b"\x00", bytes(range(256)), b"\xff\xfe", b"text")


def keys(random: Random, count: int) -> list[Key]:
    """So many different keys: integers, fractions and large numbers under a few customers."""
    customers = [f"customer-{number}" for number in range(max(1, count // 20))] + ["ä \U0001f600", " "]
    kinds = (
        lambda: Decimal(random.randrange(-100, 10_000)),
        lambda: Decimal(random.randrange(10**6)).scaleb(-3),
        lambda: Decimal(random.randrange(10**37, 10**38)),
        lambda: Decimal(random.randrange(1, 10)).scaleb(random.choice((120, -120))),
    )
    found: dict[Key, None] = {}
    while len(found) < count:
        found[Key(random.choice(customers), random.choice(kinds)())] = None
    return list(found)


def key_attributes(key: Key) -> Item:
    return {PARTITION_KEY: {"S": key.customer}, SORT_KEY: {"N": str(key.number)}}


def attributes(random: Random, revision: int) -> Item:
    """All of an item but its key."""
    chosen = random.sample(NAMES, random.randrange(len(NAMES) // 2 + 1))
    return {REVISION: {"N": str(revision)}} | {name: value(random) for name in chosen}


def value(random: Random, depth: int = 0) -> Attribute:
    """Any value, nested up to three levels. No empty maps: DynamoDB Local's streams give `{}` for them, which is no
    value (it has no type), while its tables keep them."""
    kind = random.choice(KINDS if depth < 3 else FLAT_KINDS)
    if kind == "L":
        return {"L": [value(random, depth + 1) for _ in range(random.randrange(4))]}
    if kind == "M":
        names = random.sample(NAMES, random.randrange(1, 4))
        return {"M": {name: value(random, depth + 1) for name in names}}
    return {kind: MAKE[kind](random)}


def text(random: Random) -> str:
    return random.choice(TEXTS) if random.random() < 0.5 else f"text {random.getrandbits(32):x}"


def number(random: Random) -> str:
    if random.random() < 0.5:
        return random.choice(NUMBERS)
    digits = random.choice((1, 5, 19, 38))
    scale = random.choice((0, 0, 2, digits))
    # From text: arithmetic would round to the context's 28 digits.
    return str(Decimal(f"{random.randrange(-(10**digits) + 1, 10**digits)}E-{scale}"))


def binary(random: Random) -> bytes:
    return random.choice(BYTES) if random.random() < 0.5 else random.randbytes(random.randrange(40))


def several(random: Random, make: Callable[[Random], Any]) -> list[Any]:
    return list(dict.fromkeys(make(random) for _ in range(random.randrange(1, 5))))


def different_numbers(random: Random) -> list[str]:
    return list({Decimal(written): written for written in several(random, number)}.values())


MAKE: dict[str, Callable[[Random], Any]] = {
    "S": text,
    "N": number,
    "B": binary,
    "BOOL": lambda random: random.random() < 0.5,
    "NULL": lambda _: True,
    "SS": lambda random: sorted(several(random, text)),
    "NS": lambda random: sorted(different_numbers(random)),
    "BS": lambda random: sorted(several(random, binary)),
}
FLAT_KINDS = tuple(MAKE)
KINDS = (*FLAT_KINDS, "N", "L", "M")
