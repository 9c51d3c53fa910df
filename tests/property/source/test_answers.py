"""What is parsed here is what botocore's own parser makes of the same body."""

import base64
import json
from typing import Any

import botocore.session
import msgspec
import pytest
from botocore.parsers import JSONParser
from hypothesis import given
from hypothesis import strategies as st

from cdc.errors import ErrorKind, SourceError
from cdc.model import Change
from connectors.dynamodb_streams import answers

SERVICE = botocore.session.Session().get_service_model("dynamodbstreams")
OUTPUT = SERVICE.operation_model("GetRecords").output_shape
ITEM = SERVICE.shape_for("AttributeMap")
ORACLE: Any = JSONParser(timestamp_parser=float)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
binaries = st.binary(max_size=12).map(lambda value: base64.b64encode(value).decode())
numbers = st.decimals(allow_nan=False, allow_infinity=False).map(str)
scalars = st.one_of(
    st.fixed_dictionaries({"S": texts}),
    st.fixed_dictionaries({"N": numbers}),
    st.fixed_dictionaries({"B": binaries}),
    st.fixed_dictionaries({"BOOL": st.booleans()}),
    st.just({"NULL": True}),
    st.fixed_dictionaries({"SS": st.lists(texts, min_size=1, max_size=3)}),
    st.fixed_dictionaries({"NS": st.lists(numbers, min_size=1, max_size=3)}),
    st.fixed_dictionaries({"BS": st.lists(binaries, min_size=1, max_size=3)}),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.fixed_dictionaries({"L": st.lists(inner, max_size=3)}),
        st.fixed_dictionaries({"M": st.dictionaries(texts, inner, max_size=3)}),
    ),
    max_leaves=6,
)
items = st.dictionaries(texts, values, max_size=4)
identities = st.fixed_dictionaries({}, optional={"Type": texts, "PrincipalId": texts})
images = st.fixed_dictionaries(
    {"Keys": items, "ApproximateCreationDateTime": st.one_of(st.integers(0, 2**33), st.floats(0, 2**33))},
    optional={
        "NewImage": items,
        "OldImage": items,
        "SizeBytes": st.integers(0, 400_000),
        "StreamViewType": st.sampled_from(["KEYS_ONLY", "NEW_AND_OLD_IMAGES"]),
        "FromTheFuture": values,
    },
)
records = st.fixed_dictionaries(
    {"eventName": st.sampled_from(["INSERT", "MODIFY", "REMOVE"]), "dynamodb": images},
    optional={"eventID": texts, "eventVersion": texts, "awsRegion": texts, "userIdentity": identities},
)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Records in order, in any JSON that means the same."""
    drawn: list[dict[str, Any]] = draw(st.lists(records, max_size=4))
    sequences = sorted(draw(st.lists(st.integers(1, 10**40 - 1), min_size=len(drawn), max_size=len(drawn))))
    for record, sequence in zip(drawn, sequences, strict=True):
        record["dynamodb"]["SequenceNumber"] = str(sequence)
    answer: dict[str, Any] = {"Records": drawn}
    if draw(st.booleans()):
        answer["NextShardIterator"] = draw(texts)
    text = json.dumps(
        answer,
        ensure_ascii=draw(st.booleans()),
        indent=draw(st.sampled_from([None, 1])),
        sort_keys=draw(st.booleans()),
    )
    return text.encode()


def by_oracle(body: bytes) -> dict[str, Any]:
    response = {"status_code": 200, "headers": {}, "body": body}
    parsed: dict[str, Any] = ORACLE.parse(response, OUTPUT)
    return parsed


def as_oracle(change: Change) -> dict[str, Any]:
    """What of a record is read here, in botocore's words."""
    block = change.dynamodb
    found: dict[str, Any] = {
        "ApproximateCreationDateTime": block.approximate_creation_date_time,
        "SequenceNumber": block.sequence_number,
        "SizeBytes": block.size_bytes,
    }
    for name, raw in (("Keys", block.keys), ("NewImage", block.new_image), ("OldImage", block.old_image)):
        if raw:
            found[name] = ORACLE._parse_shape(ITEM, json.loads(bytes(raw)))
    record: dict[str, Any] = {"eventID": change.event_id, "eventName": change.event_name, "dynamodb": found}
    if change.user_identity is not None:
        identity = change.user_identity
        record["userIdentity"] = {"Type": identity.type, "PrincipalId": identity.principal_id}
    return record


@given(bodies())
def test_the_same_as_botocore(body: bytes) -> None:
    page, expected = answers.page(body), by_oracle(body)
    assert page.next_iterator == expected.get("NextShardIterator")
    assert page.body is body
    for record in expected["Records"]:
        record.setdefault("eventID", "")
        record["dynamodb"].setdefault("SizeBytes", 0)
        for name in ("eventVersion", "awsRegion"):
            record.pop(name, None)
        record["dynamodb"].pop("StreamViewType", None)
        if "userIdentity" in record:
            record["userIdentity"] = {"Type": "", "PrincipalId": ""} | record["userIdentity"]
    assert [as_oracle(change) for change in page.changes] == expected["Records"]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1464806460", 1464806460.0), ("1.46480646E9", 1464806460.0), ("1464806460.25", 1464806460.25)],
)
def test_times_as_they_come(text: str, seconds: float) -> None:
    body = b'{"Records":[{"eventName":"INSERT","dynamodb":{"SequenceNumber":"1",'
    body += b'"ApproximateCreationDateTime":%b}}]}' % text.encode()
    assert answers.page(body).changes[0].created == seconds


@given(bodies(), st.data())
def test_a_body_that_was_cut_is_never_a_shorter_page(body: bytes, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(body) - 1))
    with pytest.raises(SourceError) as refusal:
        answers.page(body[:cut])
    assert refusal.value.kind is ErrorKind.MALFORMED


def outcome(body: bytes) -> str:
    try:
        answers.page(body)
    except SourceError as error:
        return error.kind
    return "page"


@given(bodies(), st.data())
def test_a_damaged_body_fails_only_as_malformed(body: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(body) - 1))
    damaged = bytearray(body)
    damaged[at] = data.draw(st.integers(0, 255))
    assert outcome(bytes(damaged)) in ("page", ErrorKind.MALFORMED)


@given(st.lists(st.integers(1, 10**40 - 1), min_size=2, max_size=6))
def test_only_an_order_is_a_page(sequences: list[int]) -> None:
    listed = [{"eventName": "REMOVE", "dynamodb": {"SequenceNumber": str(number)}} for number in sequences]
    body = msgspec.json.encode({"Records": listed})
    if sequences == sorted(sequences):
        assert len(answers.page(body).changes) == len(sequences)
    else:
        with pytest.raises(SourceError, match="order"):
            answers.page(body)
