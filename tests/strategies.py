"""Anything that DynamoDB accepts and its streams can say, for hypothesis.

Limits are those of the Developer Guide ("Supported data types", "Quotas"): numbers of 38 digits between 1E-130 and
9.9…E+125, 32 levels of nesting, empty strings and binaries except in keys. Sizes stay small: they are no subject here.
"""

import base64
import json
from typing import Any, Literal

import msgspec
from hypothesis import strategies as st

from cdc.model import Answer, Batch, KeyAttribute, Place, Position, ShardKey, Stream, ViewType, after
from schemas.attribute_value import AttributeValue, Item

VIEW_TYPES: tuple[ViewType, ...] = ("KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES")

AWKWARD_NAMES = (
    *(
        "item",
        "__op",
        "__deleted",
        "__ts_ms",
        "__version",
        "__ttl",
        "before",
        "after",
        "source",
        "op",
        "ts_ms",
    ),
    *(
        "order-id",
        "order_x2d_id",
        "_x6f_rder-id",
        "_",
        "__",
        "_x",
        "1st",
        "_x31_st",
        "a.b",
        "a:b",
        "Ä",
        "ä",
        "a\u0308",
    ),
    *(
        'say "hi"',
        "back\\slash",
        "new\nline",
        "\u0000",
        "\U0001f600",
        " ",
        "S",
        "N",
        "M",
        '"M"',
        "Keys",
        "NewImage",
    ),
)
"""Names that an envelope, an escape, Avro or JSON could trip over."""

_chars = st.characters(codec="utf-8")
_digits = st.text("0123456789", min_size=0, max_size=37)


@st.composite
def numbers(draw: st.DrawFn) -> str:
    """Plain decimal text, as DynamoDB writes it: any sign, 1 to 38 digits, any exponent."""
    if draw(st.booleans()):
        return str(draw(st.integers(-(10**18), 10**18)))
    digits = (draw(st.sampled_from("123456789")) + draw(_digits)).rstrip("0")
    sign = draw(st.sampled_from(("", "-")))
    exponent = draw(st.integers(-130, 125))
    point = exponent + 1
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    if point >= len(digits):
        return sign + digits.ljust(point, "0")
    return f"{sign}{digits[:point]}.{digits[point:]}"


@st.composite
def spellings(draw: st.DrawFn, number: str) -> str:
    """Another text of the same number, as clients and emulators write them: zeros, a plus sign, an exponent."""
    sign, digits = ("-", number[1:]) if number.startswith("-") else ("", number)
    whole, _, fraction = digits.partition(".")
    shift = draw(st.integers(0, len(whole)))
    exponent = f"{draw(st.sampled_from('eE'))}{draw(st.sampled_from(('', '+')))}{shift}" if shift else ""
    whole, fraction = whole[: len(whole) - shift], whole[len(whole) - shift :] + fraction
    fraction += "0" * draw(st.integers(0, 3))
    whole = "0" * draw(st.integers(0 if whole else 1, 3)) + whole
    plus = sign or draw(st.sampled_from(("", "+")))
    return f"{plus}{whole}{'.' if fraction else ''}{fraction}{exponent}"


def attribute_names() -> st.SearchStrategy[str]:
    return st.sampled_from(AWKWARD_NAMES) | st.text(_chars, min_size=1, max_size=8)


def scalars() -> st.SearchStrategy[AttributeValue]:
    """Everything that holds no other values."""
    strings = st.text(_chars, max_size=12)
    binaries = st.binary(max_size=12)

    def sets(elements: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
        return st.lists(elements, min_size=1, max_size=4, unique=True)

    choices: list[st.SearchStrategy[dict[str, Any]]] = [
        st.fixed_dictionaries({"S": strings}),
        st.fixed_dictionaries({"N": numbers()}),
        st.fixed_dictionaries({"B": binaries}),
        st.fixed_dictionaries({"BOOL": st.booleans()}),
        st.just({"NULL": True}),
        st.fixed_dictionaries({"SS": sets(strings)}),
        st.fixed_dictionaries({"NS": sets(numbers())}),
        st.fixed_dictionaries({"BS": sets(binaries)}),
    ]
    return st.one_of(choices)  # type: ignore[arg-type]


@st.composite
def deep_values(draw: st.DrawFn) -> AttributeValue:
    """A value below up to 31 levels of lists and maps: with the item itself, 32."""
    value = draw(scalars())
    for is_map in draw(st.lists(st.booleans(), max_size=31)):
        value = {"M": {"m": value}} if is_map else {"L": [value]}
    return value


def attribute_values() -> st.SearchStrategy[AttributeValue]:
    """Any value."""

    def nested(values: st.SearchStrategy[AttributeValue]) -> st.SearchStrategy[AttributeValue]:
        lists: st.SearchStrategy[Any] = st.fixed_dictionaries({"L": st.lists(values, max_size=3)})
        maps: st.SearchStrategy[Any] = st.fixed_dictionaries(
            {"M": st.dictionaries(attribute_names(), values, max_size=3)}
        )
        return lists | maps

    return st.recursive(scalars(), nested, max_leaves=6) | deep_values()


@st.composite
def key_schemas(draw: st.DrawFn) -> tuple[KeyAttribute, ...]:
    """A partition key, perhaps a sort key; the name may be any of `AWKWARD_NAMES`."""
    names = draw(st.lists(attribute_names(), min_size=1, max_size=2, unique=True))
    types: st.SearchStrategy[Literal["S", "N", "B"]] = st.sampled_from(("S", "N", "B"))
    return tuple(KeyAttribute(name, draw(types)) for name in names)


@st.composite
def keys(draw: st.DrawFn, schema: tuple[KeyAttribute, ...]) -> Item:
    """The key attributes of one item."""
    item: Item = {}
    for name, kind in schema:
        if kind == "S":
            item[name] = {"S": draw(st.text(_chars, min_size=1, max_size=12))}
        elif kind == "N":
            item[name] = {"N": draw(numbers())}
        else:
            item[name] = {"B": draw(st.binary(min_size=1, max_size=12))}
    return item


@st.composite
def items(draw: st.DrawFn, key: Item | None = None) -> Item:
    """An item: `key`, if given, and any attributes, in any order."""
    attributes = draw(st.dictionaries(attribute_names(), attribute_values(), max_size=4)) | (key or {})
    return {name: attributes[name] for name in draw(st.permutations(list(attributes)))}


@st.composite
def streams(draw: st.DrawFn, *, views: tuple[ViewType, ...] = VIEW_TYPES) -> Stream:
    table = draw(st.from_regex(r"[a-zA-Z0-9_.-]{3,12}", fullmatch=True))
    return Stream(
        arn=f"arn:aws:dynamodb:eu-west-1:123456789012:table/{table}/stream/2026-01-01T00:00:00.000",
        table=table,
        table_id="7f3c9a52-0000-4000-8000-000000000000",
        account="123456789012",
        region="eu-west-1",
        created_ms=draw(st.integers(0, 10**13 - 1)),
        view_type=draw(st.sampled_from(views)),
        key=draw(key_schemas()),
    )


def wire_form(value: Any) -> Any:
    """A value with its binaries as base64 text, as JSON holds them."""
    match value:
        case bytes():
            return base64.b64encode(value).decode()
        case dict():
            return {name: wire_form(member) for name, member in value.items()}
        case list():
            return [wire_form(element) for element in value]
        case _:
            return value


@st.composite
def json_texts(draw: st.DrawFn, value: Any) -> bytes:
    """JSON as one of the services writes it: compact or spaced, UTF-8 or escaped."""
    separators = draw(st.sampled_from(((",", ":"), (", ", ": "))))
    return json.dumps(value, ensure_ascii=draw(st.booleans()), separators=separators).encode()


@st.composite
def records(draw: st.DrawFn, stream: Stream, sequence: int) -> dict[str, Any]:
    """One record of `GetRecords`, ready for JSON, with the images of the stream's view type."""
    event = draw(st.sampled_from(("INSERT", "MODIFY", "REMOVE")))
    key = draw(keys(stream.key))
    images: dict[str, Any] = {
        "ApproximateCreationDateTime": draw(
            st.integers(0, 2**33) | st.integers(0, 2**43).map(lambda ms: ms / 1000)
        ),
        "Keys": wire_form(key),
        "SequenceNumber": str(sequence),
        "SizeBytes": draw(st.integers(1, 400_000)),
        "StreamViewType": stream.view_type,
    }
    if event != "REMOVE" and stream.view_type in ("NEW_IMAGE", "NEW_AND_OLD_IMAGES"):
        images["NewImage"] = wire_form(draw(items(key)))
    if event != "INSERT" and stream.view_type in ("OLD_IMAGE", "NEW_AND_OLD_IMAGES"):
        images["OldImage"] = wire_form(draw(items(key)))
    record = {
        "eventID": f"{sequence:032x}"[-32:],
        "eventName": event,
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": stream.region,
        "dynamodb": images,
    }
    if event == "REMOVE" and draw(st.booleans()):
        record["userIdentity"] = {"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"}
    return record


@st.composite
def batches(
    draw: st.DrawFn, *, views: tuple[ViewType, ...] = VIEW_TYPES, min_size: int = 0, max_size: int = 4
) -> Batch:
    """A page of a shard, cut from the body of a `GetRecords` answer."""
    stream = draw(streams(views=views))
    sequences = sorted(
        draw(st.sets(st.integers(10**20, 10**39), min_size=min_size, max_size=max_size)) if max_size else ()
    )
    answer = {
        "Records": [draw(records(stream, sequence)) for sequence in sequences],
        "NextShardIterator": "next",
    }
    return batch_of(stream, draw(json_texts(answer)))


def batch_of(stream: Stream, body: bytes) -> Batch:
    """The batch that this body of a `GetRecords` answer is, read from the beginning of a shard."""
    changes = msgspec.json.decode(body, type=Answer).records
    start = Position(Place.BEGINNING)
    return Batch(
        stream=stream,
        shard=ShardKey(stream.arn, "shardId-00000001700000000000-0a1b2c3d"),
        start=start,
        end=after(changes[-1].sequence) if changes else start,
        changes=changes,
        read_at=1_800_000_000.25,
        body=body,
    )
