import json
import logging
from collections import Counter
from typing import Any
from zlib import crc32

import pytest

from cdc.errors import ErrorKind, SourceError
from cdc.model import BEGINNING, Position, after, end_of_shard
from tests.dynamodb_streams.canned_server import CannedServer, Reply, ok
from tests.dynamodb_streams.sources import SHARD, opened


def record(sequence: Any = "300000000000000499659", **more: Any) -> dict[str, Any]:
    images = {"SequenceNumber": sequence, "Keys": {"id": {"S": "SECRET"}}, "SizeBytes": 12} | more
    return {"eventID": "e2fd", "eventName": "INSERT", "dynamodb": images}


def refused(server: CannedServer, reply: Reply) -> SourceError:
    server.replies["GetRecords"] = [reply]
    with opened(server.url) as source, pytest.raises(SourceError) as refusal:
        source.read(SHARD, "iterator")
    return refusal.value


def test_a_page(server: CannedServer) -> None:
    records = [record("9"), record("10", NewImage={"id": {"S": "x"}, "n": {"N": "1"}})]
    body = b'{"Records": %b, "NextShardIterator": "next"}' % json.dumps(records).encode()
    server.replies["GetRecords"] = [Reply(body)]
    calls = Counter[tuple[str, str]]()
    with opened(server.url, calls=calls) as source:
        page = source.read(SHARD, "iterator")
    assert page.body == body
    assert page.next_iterator == "next"
    assert [change.sequence for change in page.changes] == ["9", "10"]
    assert not page.changes[0].dynamodb.new_image
    assert bytes(page.changes[1].dynamodb.new_image) == b'{"id": {"S": "x"}, "n": {"N": "1"}}'
    assert server.calls == [("GetRecords", {"ShardIterator": "iterator", "Limit": 1000})]
    assert calls == {("GetRecords", "ok"): 1}


@pytest.mark.parametrize("end", [{}, {"NextShardIterator": None}])
def test_the_last_page_of_a_shard_may_carry_records(server: CannedServer, end: dict[str, None]) -> None:
    server.replies["GetRecords"] = [ok({"Records": [record()]} | end)]
    with opened(server.url) as source:
        page = source.read(SHARD, "iterator")
    assert (len(page.changes), page.next_iterator) == (1, None)


def test_no_item_is_logged_at_any_level(server: CannedServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    server.replies["GetRecords"] = [
        ok({"Records": [record()]}),
        ok({"Records": [record(SizeBytes="SECRET")]}),
    ]
    with opened(server.url) as source:
        source.read(SHARD, "iterator")
        with pytest.raises(SourceError):
            source.read(SHARD, "iterator")
    assert "GetRecords" in caplog.text
    assert "SECRET" not in caplog.text


def test_an_answer_without_records_is_no_end_of_a_shard(server: CannedServer) -> None:
    assert refused(server, ok({"message": "log in first"})).kind is ErrorKind.MALFORMED


def test_a_record_without_keys_passes_here(server: CannedServer) -> None:
    incomplete = record()
    del incomplete["dynamodb"]["Keys"]
    server.replies["GetRecords"] = [ok({"Records": [incomplete]})]
    with opened(server.url) as source:
        assert not source.read(SHARD, "iterator").changes[0].dynamodb.keys


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "Input data was truncated"),
        (b"<html>SECRET</html>", "JSON is malformed: invalid character (byte 0)"),
        (b'{"Records": [] SECRET}', "JSON is malformed"),
        (b"[]", "Expected `object`, got `array`"),
        (b"{}", "Object missing required field `Records`"),
        (b'{"Records": [], "SECRET\xff": 1, "NextShardIterator": 1}', "got `int` - at `$.NextShardIterator`"),
        (b'{"Records": [], "NextShardIterator": "SECRET\xff"}', "UTF-8"),
    ],
)
def test_a_body_that_cannot_be_parsed(server: CannedServer, body: bytes, reason: str) -> None:
    error = refused(server, Reply(body))
    assert error.kind is ErrorKind.MALFORMED
    assert reason in error.message
    assert SHARD.shard in error.message
    assert server.url in error.message
    assert "SECRET" not in repr(error)
    assert error.__cause__ is None
    assert error.__suppress_context__


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        (
            [{"eventName": "INSERT", "dynamodb": {"Keys": {}}}],
            "`SequenceNumber` - at `$.Records[0].dynamodb`",
        ),
        ([record(), record() | {"eventName": "SECRET"}], "unexpected value - at `$.Records[1].eventName`"),
        ([record(SizeBytes="SECRET")], "at `$.Records[0].dynamodb.SizeBytes`"),
        ([record("10"), record("11"), record("9")], "order of their sequence numbers - at `$.Records[2]`"),
        ([record("1"), record("SECRET")], "no decimal number"),
        ([record("1"), record("")], "no decimal number"),
        ([record(5)], "Expected `str`, got `int`"),
    ],
)
def test_a_record_that_cannot_be_used(server: CannedServer, records: list[Any], reason: str) -> None:
    error = refused(server, ok({"Records": records}))
    assert error.kind is ErrorKind.MALFORMED
    assert reason in error.message
    assert "SECRET" not in repr(error)


def test_numbers_are_ordered_as_integers_and_may_repeat(server: CannedServer) -> None:
    server.replies["GetRecords"] = [ok({"Records": [record("9"), record("9"), record("10"), record("0011")]})]
    with opened(server.url) as source:
        assert len(source.read(SHARD, "iterator").changes) == 4


def test_a_damaged_body_is_fetched_again_by_the_engine(server: CannedServer) -> None:
    body = json.dumps({"Records": [record()]}).encode()
    good = {"x-amz-crc32": str(crc32(body))}
    error = refused(server, Reply(body.replace(b"INSERT", b"REMOVE"), headers=good))
    assert error.kind is ErrorKind.UNAVAILABLE
    assert "x-amz-crc32" in error.message
    server.replies["GetRecords"] = [Reply(body, headers=good)]
    with opened(server.url) as source:
        assert source.read(SHARD, "iterator").changes


@pytest.mark.parametrize(
    ("position", "latest", "asked"),
    [
        (BEGINNING, False, {"ShardIteratorType": "TRIM_HORIZON"}),
        (BEGINNING, True, {"ShardIteratorType": "LATEST"}),
        (after("007"), False, {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": "007"}),
        (after("007"), True, {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": "007"}),
    ],
)
def test_iterators(server: CannedServer, position: Position, *, latest: bool, asked: dict[str, str]) -> None:
    server.replies["GetShardIterator"] = [ok({"ShardIterator": "iterator"})]
    with opened(server.url) as source:
        assert source.iterator(SHARD, position, latest=latest) == "iterator"
    assert server.asked("GetShardIterator") == [
        {"StreamArn": SHARD.stream, "ShardId": SHARD.shard, **asked},
    ]


def test_nothing_comes_after_the_end(server: CannedServer) -> None:
    with opened(server.url) as source, pytest.raises(ValueError, match="end of a shard"):
        source.iterator(SHARD, end_of_shard("7"))


def test_an_answer_without_an_iterator(server: CannedServer) -> None:
    server.replies["GetShardIterator"] = [ok({})]
    with opened(server.url) as source, pytest.raises(SourceError) as refusal:
        source.iterator(SHARD, BEGINNING)
    assert refusal.value.kind is ErrorKind.MALFORMED
