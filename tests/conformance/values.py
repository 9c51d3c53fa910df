"""What arrived, as those who read it behind a destination have it: by the shipped encoder and its inverse, and by what
everyone does with boto3's records.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import msgspec
from boto3.dynamodb.types import Binary, TypeDeserializer

from cdc.model import BEGINNING, Answer, Batch, ShardKey, after
from cdc.ports import SchemaRegistry
from schemas.attribute_value import Item, parse_item
from schemas.decode import decode_value
from schemas.document import DocumentEncoder
from schemas.envelope import EnvelopeName
from tests.conformance.subject import Subject
from tests.conformance.world import Arrival
from tests.dynamodb_streams.sim_api import source_on
from tests.registries import MemoryRegistry

Letter = Literal["c", "u", "d", "r"]
_LETTERS: Mapping[str, Letter] = {"INSERT": "c", "MODIFY": "u", "REMOVE": "d"}
ENVELOPES: tuple[EnvelopeName, ...] = ("debezium", "flat")

_answer = msgspec.json.Decoder(Answer)


@dataclass(frozen=True, slots=True)
class Received:
    """One change as a reader has it."""

    sequence: int
    op: Letter
    key: Item
    item: Item | None
    by_ttl: bool | None


def batch_of(subject: Subject, table: str, arrivals: Sequence[Arrival]) -> Batch:
    """What arrived of one shard, as the batch that an encoder is given."""
    stream = source_on(subject.world.sim, table).stream(table)
    body = msgspec.json.encode({"Records": [one.record for one in arrivals]})
    changes = _answer.decode(body).records
    shard = ShardKey(arrivals[0].stream, arrivals[0].shard)
    return Batch(stream, shard, BEGINNING, after(changes[-1].sequence), changes, subject.world.now, body)


def shipped(
    subject: Subject,
    table: str,
    arrivals: Sequence[Arrival],
    envelope: EnvelopeName,
    registry: SchemaRegistry | None = None,
) -> list[Received]:
    """Mode `document`: encoded and read back. What could not be encoded is missing."""
    encoder = DocumentEncoder(registry or MemoryRegistry(), envelope, pipeline="orders", release="0")
    found = []
    for shard in dict.fromkeys(one.shard for one in arrivals):
        encoded = encoder.encode(
            batch_of(subject, table, [one for one in arrivals if one.shard == shard])
        ).avro
        if encoded is None:
            continue
        for change, value in zip(encoded.changes, encoded.values, strict=True):
            decoded = decode_value(encoded.value_schema.text, value)
            found.append(
                Received(int(change.sequence), decoded.op, decoded.key, decoded.after, decoded.by_ttl)
            )
    return found


def by_hand(arrivals: Sequence[Arrival]) -> list[Received]:
    """`TypeDeserializer`, `json.dumps` with a default for what it does not know, and a record that cannot be converted is
    logged and left out (Trustpilot's task; Artie's and Estuary's numbers are floats, too)."""
    found = []
    for one in arrivals:
        images = one.record["dynamodb"]
        op = _LETTERS[one.record["eventName"]]
        by_ttl = one.record.get("userIdentity", {}).get("PrincipalId") == "dynamodb.amazonaws.com"
        try:
            key, item = _plain(images["Keys"]), _plain(images.get("NewImage"))
        except (ArithmeticError, TypeError):
            continue
        found.append(Received(one.sequence, op, key or {}, item, by_ttl))
    return found


def _plain(image: Mapping[str, Any] | None) -> Item | None:
    if image is None:
        return None
    deserialize = TypeDeserializer().deserialize
    row = {_column(name): deserialize(value) for name, value in image.items()}
    text = json.dumps(row, default=_unknown)
    return {name: _typed(value) for name, value in json.loads(text).items()}


def _column(name: str) -> str:
    """As a warehouse allows it."""
    return "".join(char if char.isascii() and char.isalnum() else "_" for char in name)


def _unknown(value: object) -> object:
    match value:
        case Decimal():
            return float(value)
        case Binary():
            return str(vars(value)["value"].hex())
        case set():
            return sorted(value, key=str)
        case _:
            return str(value)


def _typed(value: Any) -> Any:
    """What a reader of the JSON takes it for."""
    match value:
        case bool():
            return {"BOOL": value}
        case None:
            return {"NULL": True}
        case int() | float():
            return {"N": format(Decimal(repr(value)), "f")}
        case str():
            return {"S": value}
        case list():
            return {"L": [_typed(one) for one in value]}
        case _:
            return {"M": {name: _typed(one) for name, one in value.items()}}


def item_of(wire: Mapping[str, Any]) -> Item:
    """An item of the wire: binaries decoded."""
    return parse_item(msgspec.json.encode(wire))
