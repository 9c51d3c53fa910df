"""The stream's records: three shapes with values as applications write them, the same for the same seed.

Text is made of some thousand words, beside hexadecimal identifiers and prices: what is too regular compresses too well,
and flatters whoever compresses.
"""

import json
import random
from base64 import b64encode
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Literal, NamedTuple

Shape = Literal["small", "mid", "nested"]
SHAPES: tuple[Shape, ...] = ("small", "mid", "nested")
IMAGE_BYTES: dict[Shape, int] = {"small": 197, "mid": 399, "nested": 5_400}
"""Of an image as DynamoDB JSON."""

SEED = 20_261_121
VIEW_TYPE = "NEW_AND_OLD_IMAGES"

Image = dict[str, dict[str, Any]]

_INSERTS, _MODIFIES = 0.4, 0.5
"""The rest are deletes."""
_STATES = ("created", "paid", "packed", "shipped", "delivered", "returned")
_CURRENCIES = ("EUR", "USD", "GBP", "SEK", "PLN")
_SEQUENCES_PER_SHARD = 10**12


class Record(NamedTuple):
    """One record of the stream. Images and keys are DynamoDB JSON; None: the record has no such image."""

    sequence: str
    name: Literal["INSERT", "MODIFY", "REMOVE"]
    created: float
    """Epoch seconds."""
    keys: str
    old: str | None
    new: str | None


def records(shape: Shape, shard: int, count: int, *, base: float, seed: int = SEED) -> Iterator[Record]:
    """The first `count` records of one shard, one millisecond apart from `base` (epoch seconds) on. Shards have no
    item in common."""
    rng = random.Random(f"{seed}/{shape}/{shard}")
    words = _words()
    living: list[Image] = []
    for index in range(count):
        sequence = sequence_number(shard, index)
        created = round(base + index / 1000, 3)
        choice = rng.random()
        if choice < _INSERTS or not living:
            image = _fitted(_image(shape, rng, words, shard, index), shape, rng, words)
            living.append(image)
            yield Record(sequence, "INSERT", created, _dump(_keys(image)), None, _dump(image))
            continue
        at = rng.randrange(len(living))
        old = living[at]
        if choice < _INSERTS + _MODIFIES:
            image = _fitted(old | _edits(shape, rng, index), shape, rng, words)
            living[at] = image
            yield Record(sequence, "MODIFY", created, _dump(_keys(old)), _dump(old), _dump(image))
        else:
            living[at] = living[-1]
            living.pop()
            yield Record(sequence, "REMOVE", created, _dump(_keys(old)), _dump(old), None)


def sequence_number(shard: int, index: int) -> str:
    return str(10**23 + shard * _SEQUENCES_PER_SHARD + index)


def index_of(sequence: str) -> int:
    """Of the record of this number in its shard."""
    return int(sequence) % _SEQUENCES_PER_SHARD


def rendered(record: Record) -> bytes:
    """The record as `GetRecords` gives it (API reference, Record)."""
    images = "".join(
        f'"{name}":{text},' for name, text in (("NewImage", record.new), ("OldImage", record.old)) if text
    )
    size = len(record.keys) + len(record.new or "") + len(record.old or "")
    return (
        f'{{"eventID":"{int(record.sequence) * 0x9E3779B97F4A7C15 % 2**128:032x}","eventName":"{record.name}",'
        f'"eventVersion":"1.1","eventSource":"aws:dynamodb","awsRegion":"eu-west-1","dynamodb":{{'
        f'"ApproximateCreationDateTime":{record.created},"Keys":{record.keys},{images}'
        f'"SequenceNumber":"{record.sequence}","SizeBytes":{size},"StreamViewType":"{VIEW_TYPE}"}}}}'
    ).encode()


@lru_cache(maxsize=1)
def _words() -> list[str]:
    rng = random.Random(SEED)
    parts = [a + b for a in "bcdfghjklmnprstvwz" for b in ("a", "e", "i", "o", "u", "ai", "ou")]
    return ["".join(rng.choices(parts, k=rng.choice((1, 2, 2, 3, 3, 4)))) for _ in range(4000)]


def _text(rng: random.Random, words: list[str], length: int) -> str:
    found = " ".join(rng.choices(words, k=length // 4 + 2))
    return found[:length].ljust(length, "x")


def _hex(rng: random.Random, digits: int) -> str:
    return f"{rng.getrandbits(digits * 4):0{digits}x}"


def _price(rng: random.Random) -> str:
    """As DynamoDB writes numbers: no zeros at the end."""
    return f"{rng.randrange(100, 500_000) / 100:.2f}".rstrip("0").rstrip(".")


def _keys(image: Image) -> Image:
    return {"pk": image["pk"], "sk": image["sk"]}


def _image(shape: Shape, rng: random.Random, words: list[str], shard: int, index: int) -> Image:
    """Without its text."""
    image: Image = {
        "pk": {"S": f"c#{shard:x}.{_hex(rng, 8)}"},
        "sk": {"S": f"o#{index:09d}"},
        "state": {"S": rng.choice(_STATES)},
        "changed": {"N": str(1_795_000_000_000 + index)},
        "total": {"N": _price(rng)},
    }
    if shape == "small":
        return image
    image |= {
        "customer": {"S": _hex(rng, 16)},
        "currency": {"S": rng.choice(_CURRENCIES)},
        "quantity": {"N": str(rng.randrange(1, 40))},
        "paid": {"BOOL": rng.random() < 0.7},
        "tags": {"SS": sorted({rng.choice(words) for _ in range(3)})},
    }
    if shape == "nested":
        image |= {
            "address": {"M": _address(rng, words)},
            "lines": {"L": [{"M": _line(rng, words)} for _ in range(16)]},
            "history": {"L": [{"M": _event(rng, words, step)} for step in range(9)]},
            "proof": {"B": b64encode(rng.randbytes(16)).decode()},
        }
    return image


def _edits(shape: Shape, rng: random.Random, index: int) -> Image:
    edits: Image = {
        "state": {"S": rng.choice(_STATES)},
        "changed": {"N": str(1_795_000_000_000 + index)},
        "total": {"N": _price(rng)},
    }
    return edits if shape == "small" else edits | {"paid": {"BOOL": rng.random() < 0.7}}


def _fitted(image: Image, shape: Shape, rng: random.Random, words: list[str]) -> Image:
    """With a text of the length that gives the image its size; a longer or shorter one begins as the old one did."""
    old = image.get("note", {}).get("S", "")
    missing = IMAGE_BYTES[shape] - len(_dump(image | {"note": {"S": ""}}))
    if missing < 0:
        raise AssertionError(f"an image of shape {shape} is larger than it may be")
    note = old[:missing] if len(old) >= missing else old + _text(rng, words, missing - len(old))
    return image | {"note": {"S": note}}


def _address(rng: random.Random, words: list[str]) -> Image:
    return {
        "street": {"S": f"{_text(rng, words, 14)} {rng.randrange(1, 200)}"},
        "city": {"S": rng.choice(words)},
        "code": {"S": f"{rng.randrange(10_000, 99_999)}"},
        "position": {
            "M": {"lat": {"N": f"{rng.randrange(1, 9 * 10**6) / 10**5}"}, "lon": {"N": _price(rng)}}
        },
    }


def _line(rng: random.Random, words: list[str]) -> Image:
    return {
        "sku": {"S": _hex(rng, 12)},
        "title": {"S": _text(rng, words, rng.randrange(16, 32))},
        "quantity": {"N": str(rng.randrange(1, 9))},
        "price": {"N": _price(rng)},
        "gift": {"BOOL": rng.random() < 0.1},
        "size": {"M": {"x": {"N": str(rng.randrange(1, 300))}, "y": {"N": str(rng.randrange(1, 300))}}},
    }


def _event(rng: random.Random, words: list[str], step: int) -> Image:
    return {
        "at": {"N": str(1_795_000_000_000 + step * 86_400_000 + rng.randrange(86_400_000))},
        "state": {"S": rng.choice(_STATES)},
        "by": {"S": rng.choice(words)},
    }


def _dump(value: Image) -> str:
    return json.dumps(value, separators=(",", ":"))
