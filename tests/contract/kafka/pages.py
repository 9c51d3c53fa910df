"""Batches of a table whose items change again and again, and a sink to send them to."""

from collections.abc import Callable, Collection
from typing import Any

from cdc.connector import SinkContext
from cdc.model import Batch
from cdc.ports import Sink
from cdc.testing.batches import ShardFeed
from connectors.kafka import CONNECTOR

SMALL, LARGE = 100, 30_000

Properties = dict[str, str | int | bool]


def pages(
    shard: ShardFeed, *, count: int, changes: int, items: int = 7, large: Collection[int] = ()
) -> list[Batch]:
    """`large`: the numbers of the changes that have a value of `LARGE` characters."""
    cut = []
    number = 0
    for _ in range(count):
        for _ in range(changes):
            size = LARGE if number in large else SMALL
            shard.put(f"{shard.key.shard[-1]}-{number % items}", text={"S": "x" * size})
            number += 1
        cut.append(shard.batch())
    return cut


def kafka_sink(
    bootstrap_servers: str, properties: Properties | None = None, **keys: Any
) -> Callable[[SinkContext], Sink]:
    """Makes sinks for a `SinkRun`."""
    config = CONNECTOR.config.model_validate(
        {
            "name": "bus",
            "type": "kafka",
            "bootstrap_servers": bootstrap_servers,
            "properties": {"linger.ms": 1, "reconnect.backoff.ms": 50, "reconnect.backoff.max.ms": 200}
            | (properties or {}),
            **keys,
        }
    )
    return lambda context: CONNECTOR.build(config, context)
