"""On DynamoDB Local."""

import json
from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest

from cdc.errors import ErrorKind, SourceError
from cdc.model import BEGINNING, KeyAttribute, Position, ShardKey, after
from connectors.dynamodb_streams import CONNECTOR
from tests.dynamodb_streams.sources import config, context, drained, opened, streams_of
from tests.dynamodb_streams.tables import REGION, Tables, tables_at

pytestmark = pytest.mark.integration


@pytest.fixture
def tables(dynamodb_endpoint: str) -> Iterator[Tables]:
    with tables_at(dynamodb_endpoint) as found:
        yield found


def test_a_stream(tables: Tables) -> None:
    table = tables.create()
    with opened(tables.url, table) as source:
        (stream,) = streams_of(source)
        described = source.describe(stream.arn)
    assert (stream.region, stream.account) == ("ddblocal", "000000000000")
    assert stream.key == (KeyAttribute("id", "S"), KeyAttribute("at", "N"))
    assert stream.table_id
    assert described.creation_request_date_time == pytest.approx(stream.created_ms / 1000, abs=2)


def test_pages(tables: Tables) -> None:
    table = tables.create()
    tables.put_many(table, 1025)
    with opened(tables.url, table) as source:
        (stream,) = streams_of(source)
        (shard,) = source.shards(stream).shards
        first = source.read(shard.key, source.iterator(shard.key, BEGINNING))
        assert len(first.changes) == 1000
        assert first.next_iterator is not None
        second = source.read(shard.key, first.next_iterator)
        again = source.read(shard.key, first.next_iterator)
        assert again.changes == second.changes
        sequences = [int(change.sequence) for change in [*first.changes, *second.changes]]
        assert len(set(sequences)) == 1025
        assert sequences == sorted(sequences)
        middle = first.changes[-2].sequence
        resumed = source.read(shard.key, source.iterator(shard.key, after(middle)))
        assert [int(change.sequence) for change in resumed.changes] == sequences[999:]


def test_the_same_records_as_the_plain_client(tables: Tables) -> None:
    table = tables.create()
    every_type: dict[str, dict[str, Any]] = {
        "n": {"N": "-12345678901234567890.123456789"},
        "b": {"B": b"\x00\xff"},
        "empty": {"S": ""},
        "null": {"NULL": True},
        "set": {"SS": ["x", "y"]},
        "list": {"L": [{"BOOL": False}, {"M": {"näh": {"S": '"\\\n\u2028'}}}]},
    }
    tables.put(table, at=1, **every_type)
    with opened(tables.url, table) as source:
        (stream,) = streams_of(source)
        (shard,) = source.shards(stream).shards
        iterator = source.iterator(shard.key, BEGINNING)
        (change,) = source.read(shard.key, iterator).changes
    plain: Any = botocore.session.Session().create_client(
        "dynamodbstreams", region_name=REGION, endpoint_url=tables.url
    )
    (record,) = plain.get_records(ShardIterator=iterator)["Records"]
    plain.close()
    image = json.loads(bytes(change.dynamodb.new_image))
    assert image.pop("b") == {"B": "AP8="}
    assert sorted(image.pop("set")["SS"]) == ["x", "y"]
    expected = record["dynamodb"]
    assert image == {name: value for name, value in expected["NewImage"].items() if name not in ("b", "set")}
    assert change.sequence == expected["SequenceNumber"]
    assert change.created == expected["ApproximateCreationDateTime"].timestamp()
    assert change.dynamodb.size_bytes == expected["SizeBytes"]
    assert (change.event_id, change.event_name) == (record["eventID"], record["eventName"])


@pytest.mark.parametrize("view_type", ["KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES"])
def test_view_types(tables: Tables, view_type: str) -> None:
    table = tables.create(view_type=view_type)
    tables.put(table, n={"N": "1"})
    tables.put(table, n={"N": "2"})
    with opened(tables.url, table) as source:
        (stream,) = streams_of(source)
        (shard,) = source.shards(stream).shards
        modified = drained(source, shard.key)[1].dynamodb
    assert stream.view_type == view_type
    assert json.loads(bytes(modified.keys)) == {"id": {"S": "a"}, "at": {"N": "1"}}
    assert bool(modified.new_image) == (view_type in ("NEW_IMAGE", "NEW_AND_OLD_IMAGES"))
    assert bool(modified.old_image) == (view_type in ("OLD_IMAGE", "NEW_AND_OLD_IMAGES"))


def test_a_disabled_stream_is_read_to_its_end(tables: Tables) -> None:
    table = tables.create()
    tables.put(table)
    with opened(tables.url, table) as source:
        (stream,) = streams_of(source)
        tables.disable(table)
        with pytest.raises(SourceError, match="no enabled stream") as refusal:
            streams_of(source)
        assert refusal.value.kind is ErrorKind.CONFIGURATION
        (shard,) = source.shards(stream).shards
        assert shard.closed
        assert len(drained(source, shard.key)) == 1
        page = source.read(
            shard.key, source.iterator(shard.key, after(drained(source, shard.key)[0].sequence))
        )
        assert (page.changes, page.next_iterator) == ([], None)


def test_a_stream_that_was_enabled_again_is_another(tables: Tables) -> None:
    table = tables.create()
    tables.put(table)
    with opened(tables.url, table) as source:
        (old,) = streams_of(source)
        tables.disable(table)
        tables.enable(table, "KEYS_ONLY")
        (new,) = streams_of(source)
        assert new.arn != old.arn
        assert new.table_id == old.table_id
        assert new.created_ms > old.created_ms
        assert len(drained(source, source.shards(old).shards[0].key)) == 1
        assert drained(source, source.shards(new).shards[0].key) == []


def test_a_table_of_the_same_name_is_another(tables: Tables) -> None:
    table = tables.create()
    tables.put(table)
    with opened(tables.url, table) as source:
        (old,) = streams_of(source)
        tables.client.delete_table(TableName=table)
        tables.create(name=table)
        (new,) = streams_of(source)
        assert new.table_id != old.table_id
        assert new.arn != old.arn
        assert all(shard.closed for shard in source.shards(old).shards)
        assert [change.event_name for change in drained(source, source.shards(old).shards[0].key)][:1] == [
            "INSERT"
        ]


def test_the_filter_of_children_is_ignored_there(tables: Tables) -> None:
    table = tables.create()
    with opened(tables.url, table) as source:
        (stream,) = streams_of(source)
        (shard,) = source.shards(stream).shards
        listing = source.shards(stream, parent=shard.key)
        assert (listing.shards, listing.complete) == ((shard,), True)


def test_what_is_gone(tables: Tables) -> None:
    table = tables.create()
    with opened(tables.url, table, "absent") as source:
        with pytest.raises(SourceError, match="table absent") as refusal:
            streams_of(source)
        assert refusal.value.kind is ErrorKind.NOT_FOUND
    with opened(tables.url, table) as source:
        (stream,) = streams_of(source)
        absent = ShardKey(stream.arn, "shardId-00000001541626099285-f35f62ef")
        with pytest.raises(SourceError) as refusal:
            source.iterator(absent, BEGINNING)
        assert refusal.value.kind is ErrorKind.NOT_FOUND


@pytest.mark.parametrize("sequence", ["", "no number"])
def test_a_wrong_position(tables: Tables, sequence: str) -> None:
    table = tables.create()
    with opened(tables.url, table) as source:
        (stream,) = streams_of(source)
        (shard,) = source.shards(stream).shards
        with pytest.raises(SourceError) as refusal:
            source.iterator(shard.key, Position(after("1").place, sequence))
    assert refusal.value.kind is ErrorKind.INVALID_REQUEST


def test_latest_begins_with_what_comes(tables: Tables) -> None:
    table = tables.create()
    tables.put(table, 1)
    with opened(tables.url, table) as source:
        (stream,) = streams_of(source)
        (shard,) = source.shards(stream).shards
        iterator = source.iterator(shard.key, BEGINNING, latest=True)
        tables.put(table, 2)
        (change,) = source.read(shard.key, iterator).changes
        assert json.loads(bytes(change.dynamodb.keys))["at"] == {"N": "2"}


def test_a_latest_iterator_of_an_empty_stream_is_trimmed_by_a_write_elsewhere(tables: Tables) -> None:
    """A fault of DynamoDB Local's, whose sequence numbers span all tables; the service does no such thing."""
    table, elsewhere = tables.create(), tables.create()
    with opened(tables.url, table) as source:
        (stream,) = streams_of(source)
        (shard,) = source.shards(stream).shards
        iterator = source.iterator(shard.key, BEGINNING, latest=True)
        tables.put(elsewhere)
        tables.put(table)
        with pytest.raises(SourceError) as refusal:
            source.read(shard.key, iterator)
        assert refusal.value.kind is ErrorKind.TRIMMED
        assert len(drained(source, shard.key)) == 1


def test_probe(tables: Tables) -> None:
    table = tables.create()
    lines = CONNECTOR.probe(config(tables.url, table), context())
    text = "\n".join(line for line in lines if isinstance(line, str))
    assert f"table {table}: stream " in text
    assert "NEW_AND_OLD_IMAGES, ENABLED" in text


def test_half_a_utf_16_pair_does_not_stop_the_shard(tables: Tables) -> None:
    """It is stored and given back as it came: `"\\ud83d"`, of a text that was cut in the middle of an emoji."""
    table = tables.create()
    tables.put(table, 1, text={"S": "cut \ud83d"})
    tables.put(table, 2, text={"S": "whole"})
    with opened(tables.url, table) as source:
        (stream,) = streams_of(source)
        (shard,) = source.shards(stream).shards
        page = source.read(shard.key, source.iterator(shard.key, BEGINNING))
    first, second = (json.loads(bytes(change.dynamodb.new_image)) for change in page.changes)
    assert (first["text"], second["text"]) == ({"S": "cut \ud83d"}, {"S": "whole"})
