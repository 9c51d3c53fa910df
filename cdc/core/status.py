"""What an operator sees: the engine's state as plain figures, at one instant."""

from collections.abc import Mapping
from dataclasses import dataclass

from cdc.core.lineage import Lane, LaneState, ShardEntry
from cdc.core.unwritten import Unwritten
from cdc.core.world import SinkEntry, World
from cdc.model import RETENTION_SECONDS, Position, ShardKey
from cdc.ports import SavedGap

THROUGH_SLACK_SECONDS = 120
"""Subtracted from through-times: record times are rounded down, clocks differ, and publication is delayed."""


@dataclass(frozen=True, slots=True)
class LaneStatus:
    table: str
    sink: str
    stream: str
    shard: str
    state: LaneState
    position: Position
    lag_seconds: float
    headroom_seconds: float
    through: float | None
    """Epoch seconds."""
    batches: int
    waits_for: str
    gap: bool
    remedy: str


@dataclass(frozen=True, slots=True)
class SinkStatus:
    name: str
    state: str
    error: str
    remedy: str
    delivered: int
    redelivered: int
    dead_letters: int
    """Written by this process."""
    batches: int
    waits: str = ""
    """Why shards wait although the sink goes on; the first reason."""
    letters_error: str = ""
    """Why dead letters of it are not durable, the oldest first; what they are of is not passed meanwhile."""
    letters_remedy: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    sinks: tuple[SinkStatus, ...]
    lanes: tuple[LaneStatus, ...]
    """Those that are not finished, and finished ones whose children are not known yet: until those are, nobody can say
    how far the changes of their items are."""
    source_error: str
    tables: tuple[str, ...]
    """Tables whose shards have been listed."""
    finished_lanes: int
    gaps: tuple[SavedGap, ...] = ()
    """All that were ever found."""
    save_error: str = ""
    """Why the state is not saved."""
    save_remedy: str = ""


def status(world: World) -> Status:
    waits: dict[str, str] = {}
    for lane in world.lanes():
        if lane.hold is not None:
            waits.setdefault(lane.sink, lane.hold.error.message)
    letters = {sink.name: _unwritten_letters(world, sink) for sink in world.sinks.values()}
    sinks = tuple(_sink(sink, waits.get(sink.name, ""), letters[sink.name]) for sink in world.sinks.values())
    lanes, finished = [], 0
    for entry in world.entries():
        has_children = bool(world.lineages[entry.stream.arn].children.get(entry.key))
        for lane in entry.lanes.values():
            finished += lane.state is LaneState.FINISHED
            if lane.state is not LaneState.FINISHED or not has_children:
                lanes.append(_lane(world, entry, lane, letters[lane.sink].get(lane.shard)))
    tables = tuple(lineage.stream.table for lineage in world.lineages.values() if lineage.complete)
    errors = [world.source_error] if world.source_error else list(world.table_errors.values())
    error = "; ".join(error.message for error in errors)
    unsaved = _unsaved(world)
    return Status(
        sinks,
        tuple(lanes),
        error,
        tables,
        finished,
        tuple(world.gaps.values()),
        unsaved.error.message if unsaved else "",
        unsaved.remedy if unsaved else "",
    )


def _sink(sink: SinkEntry, waits: str, letters: Mapping[ShardKey, Unwritten]) -> SinkStatus:
    first = next(iter(letters.values()), None)
    return SinkStatus(
        sink.name,
        sink.state.value,
        sink.error.message if sink.error else "",
        sink.remedy,
        sink.delivered,
        sink.redelivered,
        sink.dead_letters,
        sink.batches,
        waits,
        first.error.message if first else "",
        first.remedy if first else "",
    )


def _unwritten_letters(world: World, sink: SinkEntry) -> Mapping[ShardKey, Unwritten]:
    """By shard: why dead letters are not durable, where that lasts."""
    found: dict[ShardKey, Unwritten] = {}
    for shard, unwritten in sink.unwritten_letters.values():
        if unwritten.is_shown(world.now.monotonic):
            found.setdefault(shard, unwritten)
    return found


def _unsaved(world: World) -> Unwritten | None:
    """Why the state is not saved, if that lasts."""
    unsaved = world.unsaved
    return unsaved if unsaved is not None and unsaved.is_shown(world.now.monotonic) else None


def _lane(world: World, entry: ShardEntry, lane: Lane, letters: Unwritten | None) -> LaneStatus:
    now = world.now.wall
    return LaneStatus(
        entry.stream.table,
        lane.sink,
        entry.stream.arn,
        entry.key.shard,
        lane.state,
        lane.tracker.durable,
        max(0.0, now - _delivered_until(lane)),
        RETENTION_SECONDS - max(0.0, now - _delivered_until(lane)),
        _through(lane),
        len(lane.tracker.open),
        _waits_for(world, entry, lane, letters),
        lane.gap,
        lane.hold.remedy if lane.hold is not None else lane.remedy,
    )


def _delivered_until(lane: Lane) -> float:
    """Epoch seconds: the time of the oldest change that may not be durable at this sink yet."""
    for given in lane.tracker.open:
        if given.first_created is not None:
            return given.first_created
    known = [lane.since.wall]
    if lane.through is not None:
        known.append(lane.through)
    if lane.evidence.last is not None and lane.tracker.clear:
        known.append(lane.evidence.last.wall)
    return max(known)


def _through(lane: Lane) -> float | None:
    return None if lane.through is None else float(int(lane.through - THROUGH_SLACK_SECONDS))


def _waits_for(world: World, entry: ShardEntry, lane: Lane, letters: Unwritten | None) -> str:
    sink = world.sinks[lane.sink]
    unsaved = _unsaved(world)
    if lane.state is LaneState.HALTED:
        return lane.halted_because
    if lane.unrecorded:
        return "a gap here is not saved yet" + (f": {unsaved.error.message}" if unsaved is not None else "")
    if unsaved is not None and not world.lineages[entry.stream.arn].begun:
        return f"where it begins is not saved: {unsaved.error.message}"
    if not sink.is_open:
        return f"sink {sink.name} is {sink.state.value}"
    if lane.state is LaneState.WAITING:
        return "its parent is not finished at this sink"
    return _held_up(world, lane, letters)


def _held_up(world: World, lane: Lane, letters: Unwritten | None) -> str:
    """Why a lane that began does not go on, although its sink is open."""
    unaccepted = lane.tracker.unaccepted
    if lane.hold is not None:
        return lane.hold.error.message
    if letters is not None:
        return f"its dead letters cannot be written: {letters.error.message}"
    if unaccepted is not None and world.now.monotonic - unaccepted.given_at > 1.0:
        return (
            f"sink {lane.sink} has not accepted a batch for {world.now.monotonic - unaccepted.given_at:.0f} s"
        )
    return ""
