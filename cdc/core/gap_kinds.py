"""The kinds of gaps there are, and what is said about each: a table."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from cdc.ports import SavedGap

SKIPPED = "skipped"
"""The decision of `on_gap: skip`."""
SNAPSHOT_REQUESTED = "snapshot requested"
"""The decision of `on_gap: snapshot`: open until somebody takes the snapshot, or withdraws it with `on_gap: skip`."""


class GapKind(StrEnum):
    TRIMMED = "trimmed"
    VANISHED = "vanished"
    PARENT_GONE = "parent-gone"
    UNREAD = "unread-too-long"
    NEW_STREAM = "new-stream"
    NEW_TABLE = "new-table"
    STREAM_LEFT = "stream-left"
    POSITIONS_LOST = "positions-lost"
    """The state was lost, and somebody decided to go on without it."""
    RESET = "reset"
    """No gap: somebody set a position by hand. Kept among them, since it may pass over changes too."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a kind of gap says to an operator."""

    found: str
    """What was found."""
    behind: str
    """Where it goes on, if it does."""
    also: str = ""
    """What is to be done beside filling it in."""


MEANING: Mapping[str, Meaning] = {
    GapKind.TRIMMED: Meaning(
        "the place after which it was to go on has expired", "with the oldest record that is left"
    ),
    GapKind.VANISHED: Meaning(
        "the shard has left the stream before it was read to its end", "with the shard's children"
    ),
    GapKind.PARENT_GONE: Meaning(
        "its parent has left the stream and was never read to its end", "with the oldest record that is left"
    ),
    GapKind.UNREAD: Meaning(
        "nobody read here for longer than the stream keeps changes", "with the oldest record that is left"
    ),
    GapKind.NEW_STREAM: Meaning(
        "the table has a new stream: what was written while the old one was off is in no stream",
        "with the oldest record of the new stream",
    ),
    GapKind.NEW_TABLE: Meaning(
        "the table was deleted and created anew: its items went without a change in any stream",
        "with the oldest record of the new table's stream",
        "items of the former table that the new one does not have are to be deleted at the sink; ",
    ),
    GapKind.STREAM_LEFT: Meaning(
        "the table has a new stream, and this shard of the old one was not read to its end",
        "with the new stream",
    ),
    GapKind.POSITIONS_LOST: Meaning("the positions were gone", "where it was decided"),
    GapKind.RESET: Meaning("the position was set by hand", "where it was set"),
}

_RESET_ONCE = "reset by hand"
"""What an earlier version, which had no kinds, said of a position that was set by hand."""
_ELSEWHERE = "what is in no stream can only come from the table"
_DECIDE = "decide with `cdc positions reset`, or for all gaps with `source.on_gap`"
_SNAPSHOT = (
    "this version cannot take the snapshot that is requested, a later one will: until then copy the table to the sink by "
    "other means; `source.on_gap: skip` withdraws the request at the next start, and `cdc positions reset` decides anew"
)


def is_request(gap: SavedGap) -> bool:
    """It waits for a snapshot."""
    return gap.decision == SNAPSHOT_REQUESTED


def is_gap(gap: SavedGap) -> bool:
    """It is one, and no position that somebody set by hand."""
    return gap.kind != GapKind.RESET and (gap.kind != "" or gap.reason != _RESET_ONCE)


def remedy(gap: SavedGap) -> str:
    """What an operator is to do about it."""
    also = MEANING[gap.kind].also if gap.kind in MEANING else ""
    if not gap.decision:
        return f"{_DECIDE}; {also}{_ELSEWHERE}"
    return f"{also}{_SNAPSHOT}" if is_request(gap) else f"{also}{_ELSEWHERE}"


def goes_on(gap: SavedGap) -> str:
    """Where this sink goes on behind it."""
    return MEANING[gap.kind].behind if gap.kind in MEANING else "behind it"


def reason_of(kind: GapKind, *, certain: bool, detail: str, since: float | None, now: float) -> str:
    between = f" from {_time(since)} to {_time(now)}" if since is not None else ""
    found = MEANING[kind].found + (f" ({detail})" if detail else "")
    if certain:
        return f"{found}: changes are lost"
    if kind in (GapKind.NEW_STREAM, GapKind.STREAM_LEFT):
        return found
    return f"{found}: whether changes were lost{between} cannot be known"


def _time(epoch_seconds: float) -> str:
    return datetime.fromtimestamp(epoch_seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
