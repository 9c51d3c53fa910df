"""What mode `document` refuses, record by record or altogether, and what it makes of records without images."""

import json
from dataclasses import replace
from typing import Any

import pytest

from cdc.errors import ConfigError, ErrorKind
from cdc.model import Batch, KeyAttribute, Stream, ViewType
from schemas.decode import decode_key, decode_value, to_item
from schemas.document import DocumentEncoder
from schemas.envelope import EnvelopeName
from tests.registries import MemoryRegistry
from tests.strategies import batch_of

KEY = (KeyAttribute("pk", "S"), KeyAttribute("n", "N"))
KEYS = {"pk": {"S": "a"}, "n": {"N": "1E+2"}}
ENVELOPES: tuple[EnvelopeName, ...] = ("debezium", "flat")


def stream(view: ViewType = "NEW_AND_OLD_IMAGES", key: tuple[KeyAttribute, ...] = KEY) -> Stream:
    return Stream(
        arn="arn:aws:dynamodb:eu-west-1:123456789012:table/orders/stream/2026-01-01T00:00:00.000",
        table="orders",
        table_id="7f3c9a52-0000-4000-8000-000000000000",
        account="123456789012",
        region="eu-west-1",
        created_ms=1_767_225_600_000,
        view_type=view,
        key=key,
    )


def record(sequence: int, event: str = "INSERT", keys: Any = KEYS, **images: Any) -> dict[str, Any]:
    if keys is not None:
        images["Keys"] = keys
    return {
        "eventID": str(sequence),
        "eventName": event,
        "dynamodb": {"SequenceNumber": str(sequence), "ApproximateCreationDateTime": 1_767_225_601, **images},
    }


def batch(*records: dict[str, Any], of: Stream | None = None) -> Batch:
    return batch_of(of or stream(), json.dumps({"Records": records}).encode())


def encoder(envelope: EnvelopeName = "debezium", registry: MemoryRegistry | None = None) -> DocumentEncoder:
    return DocumentEncoder(registry or MemoryRegistry(), envelope, pipeline="orders", release="1.2.3")


BROKEN: dict[str, dict[str, Any]] = {
    "no keys": record(2, keys=None, NewImage=KEYS),
    "empty keys": record(2, keys={}, NewImage=KEYS),
    "keys are no object": record(2, keys=["secret"], NewImage=KEYS),
    "a key is no attribute value": record(2, keys={"pk": "secret", "n": {"N": "1"}}, NewImage=KEYS),
    "a key attribute is missing": record(2, keys={"pk": {"S": "secret"}}, NewImage=KEYS),
    "a key attribute too many": record(2, keys={**KEYS, "x": {"S": "secret"}}, NewImage=KEYS),
    "a key attribute of another name": record(2, keys={"pk": {"S": "a"}, "m": {"N": "1"}}, NewImage=KEYS),
    "a key attribute of another type": record(
        2, keys={"pk": {"S": "a"}, "n": {"S": "secret"}}, NewImage=KEYS
    ),
    "a key with two types": record(2, keys={"pk": {"S": "a", "B": "YQ=="}, "n": {"N": "1"}}, NewImage=KEYS),
    "a key that is no number": record(2, keys={"pk": {"S": "a"}, "n": {"N": "secret"}}, NewImage=KEYS),
    "a key out of range": record(2, keys={"pk": {"S": "a"}, "n": {"N": "1E126"}}, NewImage=KEYS),
    "the new image is no object": record(2, NewImage=["secret"]),
    "the new image is a text": record(2, NewImage="secret"),
    "the new image has a plain value": record(2, NewImage={"pk": "secret"}),
    "the new image has a number that is no text": record(2, NewImage={"n": {"N": 1}}),
    "the new image has an unknown type": record(2, NewImage={"pk": {"X": "secret"}}),
    "the promised new image is missing": record(2, "MODIFY", OldImage=KEYS),
    "the promised new image is empty": record(2, NewImage={}),
    "made in no year": record(2, NewImage=KEYS, ApproximateCreationDateTime=1e300),
    "made before time": record(2, NewImage=KEYS, ApproximateCreationDateTime=-1),
}


@pytest.mark.parametrize("envelope", ENVELOPES)
@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_record_is_rejected_and_the_others_are_encoded(
    envelope: EnvelopeName, broken: dict[str, Any]
) -> None:
    page = batch(record(1, NewImage=KEYS), broken, record(3, "REMOVE", OldImage=KEYS))
    result = encoder(envelope).encode(page)

    assert result.avro is not None
    assert [change.sequence for change in result.avro.changes] == ["1", "3"]
    assert [decode_value(result.avro.value_schema.text, value).op for value in result.avro.values] == [
        "c",
        "d",
    ]
    (reject,) = result.rejects
    assert (reject.sequence, reject.kind) == ("2", ErrorKind.UNENCODABLE)
    assert json.loads(reject.record) == json.loads(json.dumps(broken))
    assert reject.reason
    assert "secret" not in reject.reason


def test_a_broken_old_image_is_rejected_by_the_envelope_that_shows_it() -> None:
    page = batch(
        record(1, "MODIFY", NewImage=KEYS, OldImage=["secret"]), record(2, "REMOVE", OldImage="secret")
    )
    assert [reject.sequence for reject in encoder("debezium").encode(page).rejects] == ["1", "2"]
    assert not encoder("flat").encode(page).rejects


@pytest.mark.parametrize("text", ["YQ=", "Y Q==", "YQ==\n", "Y!Q=="])
def test_a_binary_key_that_is_not_base64_is_rejected(text: str) -> None:
    of = stream(key=(KeyAttribute("pk", "B"),))
    bad, good = {"pk": {"B": text}}, {"pk": {"B": "AP8="}}
    page = batch(record(1, keys=bad, NewImage=good), record(2, keys=good, NewImage=good), of=of)
    result = encoder().encode(page)
    assert [reject.sequence for reject in result.rejects] == ["1"]
    assert result.avro is not None
    assert decode_key(result.avro.key_schema.text, result.avro.keys[0]) == {"pk": {"B": b"\x00\xff"}}


def test_a_batch_without_encodable_changes_has_no_avro_and_asks_no_registry() -> None:
    class NoRegistry(MemoryRegistry):
        def register(self, subject: str, schema: str) -> Any:
            raise AssertionError("asked")

    for page in (batch(), batch(record(1, keys=None))):
        result = encoder(registry=NoRegistry()).encode(page)
        assert result.avro is None
        assert len(result.rejects) == len(page.changes)


@pytest.mark.parametrize("view", ["KEYS_ONLY", "OLD_IMAGE"])
def test_flat_rows_are_refused_where_the_stream_has_no_new_image(view: ViewType) -> None:
    flat = encoder("flat")
    for refused in (lambda: flat.check(stream(view)), lambda: flat.encode(batch(of=stream(view)))):
        with pytest.raises(ConfigError) as caught:
            refused()
        assert view in caught.value.message
        assert caught.value.remedy


def test_without_images_the_envelope_says_that_the_item_is_there_and_no_more() -> None:
    page = batch(record(1), record(2, "MODIFY"), record(3, "REMOVE"), of=stream("KEYS_ONLY"))
    avro = encoder().encode(page).avro
    assert avro is not None
    created, updated, deleted = (decode_value(avro.value_schema.text, value) for value in avro.values)
    for change in (created, updated):
        assert (change.deleted, change.before, change.after) == (False, None, None)
    assert (deleted.deleted, deleted.before, deleted.after) == (True, None, None)
    assert created.key == updated.key == deleted.key == {"pk": {"S": "a"}, "n": {"N": "100"}}
    assert to_item(avro.value_schema.text, avro.values[2]) is None
    with pytest.raises(LookupError):
        to_item(avro.value_schema.text, avro.values[0])


def test_empty_images_are_absent_ones() -> None:
    page = batch(record(1, "REMOVE", NewImage={}, OldImage={}), record(2, NewImage=KEYS, OldImage={}))
    avro = encoder().encode(page).avro
    assert avro is not None
    deleted, created = (decode_value(avro.value_schema.text, value) for value in avro.values)
    assert (deleted.deleted, deleted.before) == (True, None)
    assert (created.before, created.after) == (None, KEYS)


def test_an_absent_attribute_is_told_from_null_and_the_text_is_the_services_own() -> None:
    text = b'{"pk" : {"S":"\\u0061"}, "n":{"N":"1E+2"}, "gone":{"NULL":true}, "big":{"N":"0.1E+039"}}'
    body = (
        b'{"Records":[{"eventName":"INSERT","dynamodb":{"SequenceNumber":"7","Keys":{"pk":{"S":"a"},"n":{"N":"100"}},'
        b'"NewImage":' + text + b"}}]}"
    )
    avro = encoder("flat").encode(batch_of(stream(), body)).avro
    assert avro is not None
    assert text in avro.values[0]
    item = to_item(avro.value_schema.text, avro.values[0])
    assert item == {"pk": {"S": "a"}, "n": {"N": "1E+2"}, "gone": {"NULL": True}, "big": {"N": "0.1E+039"}}


def test_a_delete_by_time_to_live_is_told_from_one_by_a_client() -> None:
    expired = record(1, "REMOVE", OldImage=KEYS)
    expired["userIdentity"] = {"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"}
    by_client = record(2, "REMOVE", OldImage=KEYS)
    avro = encoder().encode(batch(expired, by_client)).avro
    assert avro is not None
    assert [decode_value(avro.value_schema.text, value).by_ttl for value in avro.values] == [True, False]


def test_a_table_made_again_with_another_key_has_schemas_of_its_own() -> None:
    registry = MemoryRegistry()
    shared = encoder(registry=registry)
    before = shared.encode(batch(record(1, NewImage=KEYS))).avro
    keys = {"pk": {"N": "1"}}
    after = shared.encode(
        batch(record(1, keys=keys, NewImage=keys), of=stream(key=(KeyAttribute("pk", "N"),)))
    ).avro
    assert before is not None
    assert after is not None
    assert before.key_schema.subject == after.key_schema.subject == "cdc.orders.Key"
    assert before.value_schema.subject == after.value_schema.subject == "cdc.orders.Envelope"
    assert before.key_schema.id != after.key_schema.id
    assert decode_key(after.key_schema.text, after.keys[0]) == keys


def test_a_value_is_not_read_by_a_schema_that_it_was_not_written_with() -> None:
    avro = encoder("flat").encode(batch(record(1, NewImage=KEYS))).avro
    assert avro is not None
    with pytest.raises(ValueError, match="not the schema of a value"):
        decode_value(avro.key_schema.text, avro.keys[0])
    with pytest.raises(ValueError, match="left over"):
        decode_value(avro.value_schema.text, avro.values[0] + b"\x00")


def test_a_reject_of_a_batch_that_lost_its_body_is_still_json() -> None:
    page = replace(batch(record(1, NewImage={"pk": {"S": 1}})), body=b"")
    (reject,) = encoder().encode(page).rejects
    assert json.loads(reject.record)["dynamodb"]["NewImage"] == {"pk": {"S": 1}}
