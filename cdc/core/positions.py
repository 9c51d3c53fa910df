"""Which position counts when a sink begins on a shard: the saved cursor's, the sink's own, or the start."""

from dataclasses import dataclass

from cdc.model import BEGINNING, Position
from cdc.ports import SavedCursor


@dataclass(frozen=True, slots=True)
class LostData:
    """The sink held a position, and with it the data, and holds neither any more."""


def resume(
    *,
    saved: SavedCursor | None,
    held: Position | None,
    sink_keeps_positions: bool,
    descendant_is_held: bool,
    epoch: int,
    start: Position = BEGINNING,
) -> Position | LostData:
    """The farther of the two positions of the present reset epoch; `start` where there is none.

    A position of an older epoch is from before a reset and does not count. Where the saved cursor says that the sink
    keeps its position too, and the sink knows nothing of it, nor of a descendant, the sink has lost data. A sink that
    has stopped keeping positions (another delivery mode) has lost nothing.
    """
    candidates = [
        position
        for position in (saved.position if saved else None, held)
        if position is not None and position.epoch == epoch
    ]
    if (
        saved is not None
        and saved.kept_by_sink
        and saved.position.epoch == epoch
        and sink_keeps_positions
        and held is None
        and not descendant_is_held
    ):
        return LostData()
    return max(candidates, key=lambda position: position.order, default=start)
