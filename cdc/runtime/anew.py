"""Going on without the positions that a sink had: the decision after its state was lost."""

from collections.abc import Iterator, Mapping
from typing import Literal

from cdc.core.gap_kinds import GapKind
from cdc.core.remembrance import Judgement
from cdc.model import BEGINNING, Place, Position, Shard, ShardKey, Stream, end_of_shard
from cdc.ports import SavedCursor, SavedGap, SavedStart, StateChange

LATEST_SLACK_SECONDS = 120.0
"""Records that are so much older than now may have been written since: times are rounded, clocks differ."""

Target = Literal["trim-horizon", "latest"]


def begin_anew(
    sink: str,
    to: Target,
    listed: Mapping[Stream, Mapping[ShardKey, Shard]],
    judgement: Judgement,
    *,
    epoch: int,
    now: float,
) -> StateChange:
    """Where the sink begins on every shard, and the loss as a gap that is decided: visible for ever.

    The gap stands at the oldest shards of each stream: what is lost there, and before, nobody can tell by shards.

    Args:
        sink: whose positions are gone.
        to: the oldest record that there is, or only what comes from now on.
        listed: the shards of the streams of those tables of which its positions are gone.
        judgement: what was found.
        epoch: the sink's reset epoch; not a higher one, so that positions that the sink itself holds still count.
        now: epoch seconds.
    """
    cursors, starts, gaps = [], [], []
    for stream, shards in listed.items():
        starts.append(SavedStart(sink, stream.arn, stream.table, to, now, stream.table_id))
        for key, shard in shards.items():
            position = _position(shard, shards, to, now)
            cursors.append(
                SavedCursor(
                    sink,
                    key,
                    Position(position.place, position.sequence, position.not_before, epoch),
                    stream.table,
                    kept_by_sink=False,
                    saved_at=now,
                )
            )
        gaps += [
            SavedGap(
                sink,
                key,
                stream.table,
                now,
                judgement.lost[stream.table, sink],
                f"reset to {to}",
                GapKind.POSITIONS_LOST.value,
                decided_at=now,
            )
            for key in _oldest(shards)
        ]
    return StateChange(cursors, starts, gaps)


def _position(shard: Shard, shards: Mapping[ShardKey, Shard], to: Target, now: float) -> Position:
    if to == "trim-horizon":
        return BEGINNING
    if shard.closed:
        return end_of_shard()
    parent = shards.get(ShardKey(shard.key.stream, shard.parent)) if shard.parent is not None else None
    if parent is not None and not parent.closed:
        return BEGINNING  # a descendant of what is read from now on
    return Position(Place.BEGINNING, not_before=now - LATEST_SLACK_SECONDS)


def _oldest(shards: Mapping[ShardKey, Shard]) -> Iterator[ShardKey]:
    for key, shard in shards.items():
        if shard.parent is None or ShardKey(key.stream, shard.parent) not in shards:
            yield key
