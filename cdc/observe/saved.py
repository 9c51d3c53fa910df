"""What the saved positions say about a pipeline that isn't running."""

from collections.abc import Iterator
from dataclasses import dataclass

from cdc.core.gap_kinds import remedy
from cdc.core.lineage import LaneState
from cdc.core.status import THROUGH_SLACK_SECONDS
from cdc.model import BEGINNING, RETENTION_SECONDS, Place, Position
from cdc.ports import Saved, SavedCursor, SavedGap


@dataclass(frozen=True, slots=True)
class SavedLane:
    """One shard at one sink, as `cdc.core.status.LaneStatus`, but for what only a running process knows."""

    table: str
    sink: str
    stream: str
    shard: str
    state: LaneState
    position: Position
    lag_seconds: float | None
    headroom_seconds: float | None
    through: float | None
    waits_for: str = ""
    gap: bool = False
    remedy: str = ""
    batches: int = 0


def saved_lanes(saved: Saved, *, at: float) -> Iterator[SavedLane]:
    """The saved shards of every sink, and those on which a gap waits for a decision.

    Args:
        saved: all that the pipeline has saved.
        at: epoch seconds; ages are counted from it.
    """
    gaps = {(gap.sink, gap.shard): gap for gap in saved.gaps if not gap.decision}
    for cursor in saved.cursors:
        gap = gaps.pop((cursor.sink, cursor.shard), None)
        yield _lane(cursor, gap, (saved.epochs or {}).get(cursor.sink, 0), at)
    for (sink, shard), gap in gaps.items():
        yield SavedLane(
            gap.table,
            sink,
            *shard,
            LaneState.HALTED,
            BEGINNING,
            lag_seconds=None,
            headroom_seconds=None,
            through=None,
            waits_for=gap.reason,
            gap=True,
            remedy=remedy(gap),
        )


def _lane(cursor: SavedCursor, gap: SavedGap | None, epoch: int, at: float) -> SavedLane:
    # A position from before a reset does not count any more (`cdc.core.positions.resume`).
    counts = cursor.position.epoch >= epoch
    position = cursor.position if counts else Position(Place.BEGINNING, epoch=epoch)
    until = cursor.through if counts else None
    lag = max(0.0, at - until) if until is not None else None
    state = LaneState.FINISHED if position.place is Place.END else LaneState.UNCLAIMED
    return SavedLane(
        cursor.table,
        cursor.sink,
        *cursor.shard,
        LaneState.HALTED if gap is not None else state,
        position,
        lag_seconds=lag,
        headroom_seconds=RETENTION_SECONDS - lag if lag is not None else None,
        through=float(int(until - THROUGH_SLACK_SECONDS)) if until is not None else None,
        waits_for=gap.reason if gap is not None else "",
        gap=gap is not None,
        remedy=remedy(gap) if gap is not None else "",
    )
