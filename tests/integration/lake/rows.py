"""Batches that are large in sum."""

from cdc.model import Batch
from cdc.testing.batches import Table
from tests.lake_batches import at_hours

ROW = 250_000


def many(size: int) -> list[Batch]:
    """Of one shard and one hour; so many bytes at least."""
    shard = Table().shard()
    batches = []
    for number in range(size // ROW + 1):
        shard.put(f"item-{number}", text={"S": f"{number % 10}" * ROW})
        batches.append(at_hours(shard.batch(), [0]))
    return batches
