import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

import schemas
from cdc.model import EncodedBatch, Encoding, version
from cdc.testing.batches import Table
from cdc.testing.encoding import KEY_SCHEMA, VALUE_SCHEMA, encode
from connectors.kafka.messages import Headers, messages_of
from schemas.framing import header

SCHEMA = json.loads((Path(schemas.__file__).parent / "kafka-headers.schema.json").read_text("utf-8"))


def encoded(*, delete: bool = True) -> EncodedBatch:
    shard = Table().shard()
    shard.put("a", n={"N": "1"})
    shard.put("b")
    shard.put("a", n={"N": "2"})
    if delete:
        shard.delete("a")
    return encode(shard.batch())


def text(headers: Headers | None) -> dict[str, str]:
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in headers or []}


def test_keys_and_values_are_framed_with_their_schemas_ids() -> None:
    batch = encoded(delete=False)
    assert batch.avro is not None
    messages = messages_of(batch, tombstones=True, headers=True)
    assert [key for key, *_ in messages] == [b"\0\0\0\0\x01" + key for key in batch.avro.keys]
    assert [value for _, value, *_ in messages] == [b"\0\0\0\0\x02" + value for value in batch.avro.values]


@given(st.integers(0, 2**31 - 1))
def test_the_frame_holds_the_id_big_endian(schema_id: int) -> None:
    assert header(schema_id)[0] == 0
    assert int.from_bytes(header(schema_id)[1:], "big") == schema_id
    assert len(header(schema_id)) == 5


@pytest.mark.parametrize("headers", [True, False])
def test_a_tombstone_follows_a_delete_at_once(headers: bool) -> None:
    messages = messages_of(encoded(), tombstones=True, headers=headers)
    assert [(value is None, index) for _, value, _, index in messages] == [
        (False, 0), (False, 1), (False, 2), (False, 3), (True, 3),
    ]  # fmt: skip
    assert messages[4][0] == messages[3][0]
    assert messages[4][2] == messages[3][2]


def test_without_tombstones_each_change_is_one_message() -> None:
    assert [index for *_, index in messages_of(encoded(), tombstones=False, headers=True)] == [0, 1, 2, 3]


def test_headers_are_as_their_schema_says() -> None:
    batch = encoded()
    assert batch.avro is not None
    messages = messages_of(batch, tombstones=True, headers=True)
    for _, _, headers, index in messages:
        change = batch.avro.changes[index]
        found = text(headers)
        jsonschema.validate(found, SCHEMA)
        assert found["cdc.version"] == version(batch.batch.stream.created_ms, change.sequence)
    assert [text(headers)["cdc.op"] for _, _, headers, _ in messages] == ["c", "c", "u", "d", "d"]


@pytest.mark.parametrize("headers", [True, False])
def test_what_is_replayed_says_so_and_keeps_its_version(headers: bool) -> None:
    batch = encoded()
    again = replace(batch, batch=replace(batch.batch, replayed=True))
    plain = messages_of(batch, tombstones=True, headers=True)
    for message, other in zip(messages_of(again, tombstones=True, headers=headers), plain, strict=True):
        found = text(message[2])
        jsonschema.validate(found, SCHEMA)
        assert found.pop("cdc.replayed") == "1"
        assert found == text(other[2])
        assert (message[0], message[1], message[3]) == (other[0], other[1], other[3])


def test_the_schemas_example_is_valid() -> None:
    for example in SCHEMA["examples"]:
        jsonschema.validate(example, SCHEMA)


@given(st.integers(0, 10**40 - 1), st.integers(0, 10**13 - 1))
def test_the_version_is_the_models(sequence: int, created_ms: int) -> None:
    import msgspec

    from cdc.model import BEGINNING, Batch, Change, Images, ShardKey, after
    from cdc.testing.batches import stream_of

    change = Change("INSERT", Images(str(sequence), keys=msgspec.Raw(b"{}")))
    stream = stream_of(created_ms=created_ms)
    batch = Batch(stream, ShardKey(stream.arn, "s"), BEGINNING, after(str(sequence)), [change], 0.0)
    one = EncodedBatch(batch, Encoding([change], [b"k"], [b"v"], KEY_SCHEMA, VALUE_SCHEMA))
    ((_, _, headers, _),) = messages_of(one, tombstones=True, headers=True)
    assert text(headers)["cdc.version"] == version(created_ms, str(sequence))


def test_without_headers_there_are_none() -> None:
    assert {
        headers is None for _, _, headers, _ in messages_of(encoded(), tombstones=True, headers=False)
    } == {True}


def test_a_batch_without_changes_has_no_messages() -> None:
    assert messages_of(encode(Table().shard().batch()), tombstones=True, headers=True) == []
