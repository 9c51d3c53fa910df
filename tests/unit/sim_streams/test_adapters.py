"""The shipped source reads the same in this process as through boto3, and fails the same."""

from collections.abc import Callable
from typing import Any

import pytest

from cdc.errors import SourceError
from cdc.model import BEGINNING, Position, ShardKey, after
from cdc.testing.sim.failures import NoAnswerError, ServiceError
from cdc.testing.sim.faults import (
    INTERNAL,
    LIMIT_EXCEEDED,
    NO_ANSWER,
    TABLE_THROTTLED,
    THROTTLED,
    UNAVAILABLE,
)
from connectors.dynamodb_streams.source import DynamoDBStreams
from tests.dynamodb_streams.sim_api import source_on
from tests.dynamodb_streams.sim_boto3 import source_through_boto3
from tests.unit.sim_streams.world import HOUR, World

Make = Callable[[Any], DynamoDBStreams]


@pytest.fixture
def world() -> World:
    world = World(partitions=130, publication_seconds=1.0)
    for number in range(60):
        world.put(f"k{number % 9}", number)
        world.now += 0.1
    world.delete("k1")
    world.now += 5 * HOUR
    return world


def sources(world: World) -> tuple[DynamoDBStreams, DynamoDBStreams]:
    return source_on(world.sim, "orders"), source_through_boto3(world.sim, "orders")


def everything(source: DynamoDBStreams) -> list[Any]:
    stream = source.stream("orders")
    listing = source.shards(stream)
    seen: list[Any] = [stream, listing, source.shards(stream, parent=listing.shards[0].key)]
    for shard in listing.shards:
        iterator: str | None = source.iterator(shard.key, BEGINNING)
        for _ in range(3):
            if iterator is None:
                break
            page = source.read(shard.key, iterator)
            seen.append((shard.key.shard, page.body, page.changes, page.next_iterator is None))
            iterator = page.next_iterator
    return seen


def test_the_same_stream_listing_and_pages(world: World) -> None:
    here, through_boto3 = sources(world)
    assert everything(here) == everything(through_boto3)
    assert len(everything(here)) > 200


@pytest.mark.parametrize(
    "error", [THROTTLED, LIMIT_EXCEEDED, TABLE_THROTTLED, INTERNAL, UNAVAILABLE, NO_ANSWER], ids=str
)
def test_the_same_kind_of_error(world: World, error: ServiceError | NoAnswerError) -> None:
    kinds = []
    for source in sources(world):
        stream = source.stream("orders")
        world.sim.control.fail("DescribeStream", error)
        with pytest.raises(SourceError) as raised:
            source.shards(stream)
        kinds.append(raised.value.kind)
    assert kinds[0] is kinds[1]


@pytest.mark.parametrize("position", [BEGINNING, after("1" * 21), after("12")])
def test_the_same_of_what_is_not_there(world: World, position: Position) -> None:
    kinds = []
    for source in sources(world):
        stream = source.stream("orders")
        shard = ShardKey(stream.arn, "shardId-00000001767225600000-00000000")
        with pytest.raises(SourceError) as raised:
            source.iterator(shard, position)
        kinds.append(raised.value.kind)
    assert kinds[0] is kinds[1]
