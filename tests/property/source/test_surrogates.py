r"""Halves of UTF-16 pairs: `"\ud83d"`, which a client leaves that cuts a text in the middle of an emoji."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.errors import ErrorKind, SourceError
from cdc.model import Batch, after
from cdc.testing.batches import Table
from connectors.dynamodb_streams import answers
from connectors.replica.keys import BrokenKeyError, canonical_key
from schemas.change_line import encode_lines
from schemas.document import DocumentEncoder
from tests.registries import MemoryRegistry

HALF = "\ud83d"

characters = st.sampled_from(
    ["a", "\\", '"', "u", "d83d", "\ue000", "\ue001", "😀", "\n", HALF, "\ude00", "\udbff"]
)
texts = st.lists(characters, max_size=8).map("".join)
escaping = st.booleans()


def _record(sequence: int, pk: str, value: str, *, ascii_only: bool) -> bytes:
    """As a service writes it: what UTF-8 cannot hold as an escape, all else as one or not."""
    record = {
        "eventName": "INSERT",
        "dynamodb": {
            "SequenceNumber": str(sequence),
            "Keys": {"pk": {"S": pk}},
            "NewImage": {"pk": {"S": pk}, value: {"M": {"x": {"S": value}}}},
        },
    }
    return _utf8(json.dumps(record, ensure_ascii=ascii_only))


def _utf8(text: str) -> bytes:
    whole = text.encode("utf-16", "surrogatepass").decode(
        "utf-16", "surrogatepass"
    )  # pairs become characters
    return "".join(f"\\u{ord(char):04x}" if 0xD800 <= ord(char) < 0xE000 else char for char in whole).encode()


def _body(*records: bytes) -> bytes:
    return b'{"Records":[' + b",".join(records) + b'],"NextShardIterator":"next"}'


def _image(raw: msgspec.Raw) -> object:
    return json.loads(bytes(raw))


@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=4), escaping)
def test_every_record_keeps_its_text(values: list[tuple[str, str]], ascii_only: bool) -> None:
    records = [
        _record(number, pk, value, ascii_only=ascii_only)
        for number, (pk, value) in enumerate(values, start=1)
    ]
    page = answers.page(_body(*records))
    for record, change in zip(records, page.changes, strict=True):
        sent = json.loads(record)["dynamodb"]
        assert (_image(change.dynamodb.keys), _image(change.dynamodb.new_image)) == (
            sent["Keys"],
            sent["NewImage"],
        )
        assert bytes(change.dynamodb.new_image) in record
        assert not change.dynamodb.old_image


def _batch(*records: bytes) -> Batch:
    page = answers.page(_body(*records))
    shard = Table("orders").shard()
    return Batch(
        shard.table.stream,
        shard.key,
        after("0"),
        after(page.changes[-1].sequence),
        page.changes,
        1.0,
        page.body,
    )


@pytest.mark.parametrize("where", ["key", "value"])
def test_one_is_refused_by_itself_and_the_others_arrive(where: str) -> None:
    good = [_record(number, "a", "b", ascii_only=True) for number in (1, 3)]
    bad = _record(2, HALF if where == "key" else "a", HALF, ascii_only=True)
    batch = _batch(good[0], bad, good[1])
    encoder = DocumentEncoder(MemoryRegistry(), "debezium", pipeline="p", release="0")
    encoded = encoder.encode(batch)
    assert encoded.avro is not None
    assert [change.sequence for change in encoded.avro.changes] == ["1", "3"]
    (reject,) = encoded.rejects
    assert (reject.sequence, reject.kind) == ("2", ErrorKind.UNENCODABLE)
    assert json.loads(reject.record)["dynamodb"] == json.loads(bad)["dynamodb"] | {
        "SequenceNumber": "2",
    }
    if where == "key":
        with pytest.raises(BrokenKeyError):
            canonical_key(batch.changes[1].dynamodb.keys, batch.stream.key)
    lines = [json.loads(line) for line in encode_lines(batch).splitlines()]
    assert lines[1]["after"] == json.loads(bad)["dynamodb"]["NewImage"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"Records":[{"eventName":"INSERT","dynamodb":{"Keys":{"pk":{"S":"\\ud83d"}}}}]}',
        b'{"Records":[{"x":"\\ud83d"]}',
        b'{"Records":[{"x":"\\ud83d',
        b'{"Records":[{"x":"\\u12"}]}',
    ],
)
def test_what_else_is_wrong_is_said_as_ever(body: bytes) -> None:
    with pytest.raises(SourceError) as refused:
        answers.page(body)
    assert refused.value.kind is ErrorKind.MALFORMED
