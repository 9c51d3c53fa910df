"""Sources as the tests build them."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from cdc.connector import SourceContext
from cdc.model import BEGINNING, Change, ShardKey, Stream
from cdc.ports import Instant
from connectors.dynamodb_streams import DynamoDBStreamsConfig
from connectors.dynamodb_streams.api import Api
from connectors.dynamodb_streams.source import DynamoDBStreams

ARN = "arn:aws:dynamodb:eu-west-1:123456789012:table/orders/stream/2026-11-21T02:03:04.567"
SHARD = ShardKey(ARN, "shardId-00000001795226584567-0a1b2c3d")

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class WallClock:
    def now(self) -> Instant:
        return Instant(time.monotonic(), time.time())


def context(calls: Counter[tuple[str, str]] | None = None) -> SourceContext:
    counted = Counter[tuple[str, str]]() if calls is None else calls

    def count_call(operation: str, outcome: str) -> None:
        counted[operation, outcome] += 1

    return SourceContext(pipeline="orders", clock=WallClock(), readers=2, count_call=count_call)


def config(url: str | None, *tables: str, **more: Any) -> DynamoDBStreamsConfig:
    values = {
        "type": "dynamodb-streams",
        "tables": tables or ("orders",),
        "region": "eu-west-1",
        "endpoint_url": url,
    }
    return DynamoDBStreamsConfig.model_validate(values | more)


@contextmanager
def opened(
    url: str | None, *tables: str, calls: Counter[tuple[str, str]] | None = None, **more: Any
) -> Iterator[DynamoDBStreams]:
    opened_config = config(url, *tables, **more)
    source = DynamoDBStreams(opened_config, Api(opened_config, context(calls)))
    try:
        yield source
    finally:
        source.close()


def drained(source: DynamoDBStreams, shard: ShardKey, *, pages: int = 3) -> Sequence[Change]:
    """The records of the shard's first pages, from its beginning."""
    changes: list[Change] = []
    iterator: str | None = source.iterator(shard, BEGINNING)
    for _ in range(pages):
        if iterator is None:
            break
        page = source.read(shard, iterator)
        changes += page.changes
        iterator = page.next_iterator
    return changes


def streams_of(source: DynamoDBStreams) -> list[Stream]:
    """Of all tables of its configuration."""
    return [source.stream(table) for table in source._config.tables]
