"""On moto's server, which a demonstration runs on."""

import json
from collections.abc import Iterator

import pytest
from moto.server import ThreadedMotoServer

from cdc.errors import ErrorKind, SourceError
from cdc.model import BEGINNING, KeyAttribute, ShardKey, after
from connectors.dynamodb_streams import CONNECTOR
from tests.dynamodb_streams.sources import config, context, drained, opened, streams_of
from tests.dynamodb_streams.tables import Tables, tables_at


@pytest.fixture(scope="module")
def tables() -> Iterator[Tables]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        with tables_at(f"http://{host}:{port}") as found:
            yield found
    finally:
        server.stop()


def test_changes(tables: Tables) -> None:
    table = tables.create()
    with opened(tables.url, table) as source:
        (stream,) = streams_of(source)
        assert (stream.table, stream.region, stream.view_type) == (table, "eu-west-1", "NEW_AND_OLD_IMAGES")
        assert stream.key == (KeyAttribute("id", "S"), KeyAttribute("at", "N"))
        assert stream.table_id
        listing = source.shards(stream)
        (shard,) = listing.shards
        assert listing.complete
        tables.put(table, n={"N": "1"})
        tables.put(table, n={"N": "2"})
        tables.delete(table)
        changes = drained(source, shard.key)
        assert [change.event_name for change in changes] == ["INSERT", "MODIFY", "REMOVE"]
        assert json.loads(bytes(changes[1].dynamodb.old_image))["n"] == {"N": "1"}
        assert not changes[0].dynamodb.old_image
        assert not changes[2].dynamodb.new_image
        rest = source.read(shard.key, source.iterator(shard.key, after(changes[0].sequence)))
        assert [change.sequence for change in rest.changes] == [change.sequence for change in changes[1:]]
        assert source.read(shard.key, rest.next_iterator or "").changes == []


def test_the_filter_of_children_is_ignored_there(tables: Tables) -> None:
    table = tables.create()
    with opened(tables.url, table) as source:
        (stream,) = streams_of(source)
        (shard,) = source.shards(stream).shards
        listing = source.shards(stream, parent=shard.key)
        assert (listing.shards, listing.complete) == ((shard,), True)


def test_a_table_without_a_stream(tables: Tables) -> None:
    table = tables.create(view_type=None)
    with (
        opened(tables.url, table) as source,
        pytest.raises(SourceError, match="no enabled stream") as refusal,
    ):
        streams_of(source)
    assert refusal.value.kind is ErrorKind.CONFIGURATION


def test_no_such_table(tables: Tables) -> None:
    with opened(tables.url, "absent") as source, pytest.raises(SourceError) as refusal:
        streams_of(source)
    assert refusal.value.kind is ErrorKind.NOT_FOUND


def test_a_page_of_html_is_a_server_in_trouble(tables: Tables) -> None:
    table = tables.create()
    with opened(tables.url, table) as source:
        (stream,) = streams_of(source)
        with pytest.raises(SourceError) as refusal:
            source.iterator(ShardKey(stream.arn, "absent"), BEGINNING)
    assert refusal.value.kind is ErrorKind.UNAVAILABLE
    assert "HTTP 500" in refusal.value.message


def test_probe(tables: Tables) -> None:
    table = tables.create()
    lines = CONNECTOR.probe(config(tables.url, table), context())
    assert any(isinstance(line, str) and "ENABLED" in line and table in line for line in lines)
