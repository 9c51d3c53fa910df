"""Saved state to test with, and how it is compared."""

from collections.abc import Callable

from cdc.errors import StateError
from cdc.model import BEGINNING, Position, ShardKey
from cdc.ports import Saved, SavedCursor

STREAM = "arn:aws:dynamodb:eu-west-1:000000000000:table/orders/stream/2026-01-01T00:00:00.000"
NOW = 1_767_225_660.0
LEASE_SECONDS = 15.0


def cursor(number: int = 0, position: Position = BEGINNING, *, sink: str = "bus") -> SavedCursor:
    return SavedCursor(
        sink=sink,
        shard=ShardKey(STREAM, f"shardId-{number:08d}"),
        position=position,
        table="orders",
        kept_by_sink=False,
        saved_at=NOW,
    )


def contents(saved: Saved) -> tuple[object, ...]:
    """What was saved, without the order in which it is listed."""
    return (
        sorted(saved.cursors, key=lambda found: (found.sink, found.shard)),
        sorted(saved.starts, key=lambda found: (found.sink, found.stream)),
        sorted(saved.gaps, key=lambda found: (found.sink, found.shard, found.found_at)),
        dict(saved.settings or {}),
        dict(saved.epochs or {}),
    )


def error_of(call: Callable[[], object]) -> StateError:
    """The error that the call ends with; fails if there is none."""
    try:
        call()
    except StateError as error:
        return error
    raise AssertionError("no StateError")
