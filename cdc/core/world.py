"""What the engine knows: the settings, the sinks, the lineages, what is due, and the commands of the present step."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from cdc.core.lineage import Lane, LaneState, Lineage, ShardEntry
from cdc.core.messages import Command, Notice, Stop
from cdc.core.schedule import Budget, DueHeap
from cdc.core.unwritten import Unwritten
from cdc.errors import CdcError
from cdc.model import RETENTION_SECONDS, ShardKey
from cdc.ports import GapKey, Instant, SavedGap


@dataclass(frozen=True, slots=True)
class Settings:
    """The engine's own settings; seconds, bytes and calls a second."""

    start: Literal["trim-horizon", "latest"] = "trim-horizon"
    on_gap: Literal["halt", "snapshot", "skip"] = "halt"
    until_caught_up: bool = False
    idle_poll_seconds: float = 1.0
    checkpoint_seconds: float = 1.0
    caught_up_seconds: float = 5.0
    """How long pages have to stay empty before a shard counts as read to its end."""
    relist_seconds: float = 60.0
    grace_seconds: float = 0.25
    """How long a reader waits for a sink that has not accepted its last batch, before it goes on without it."""
    calls_per_shard: float = 5.0
    listings_per_second: float = 5.0
    readers_per_shard: int = 2
    """DynamoDB allows two readers of a shard; on a global table one."""
    max_unaccepted_bytes: int = 64 * 1024 * 1024
    """For each sink: what it has been given and has not accepted."""
    max_dead_letters_per_minute: int | None = None
    """For each sink, in any sixty seconds; None: as many as there are."""
    max_undurable_batches: int = 1000
    """For each shard and sink: beyond that the sink is asked to flush."""
    stalled_seconds: float = 60.0
    stop_seconds: float = 6.0
    iterator_seconds: float = 14 * 60.0
    """Iterators expire after 15 minutes."""
    retention_seconds: float = float(RETENTION_SECONDS)
    long_ago_seconds: float = 23 * 3600.0
    """A sink that began longer ago may have had records on a shard that has expired since."""
    latest_seconds: float = 10.0
    """An iterator at the newest record may stand for the start so long after it; later, what came in between is read
    from the oldest record on."""
    latest_slack_seconds: float = 120.0


class SinkState(StrEnum):
    DOWN = "down"
    """Waiting for its next try to open."""
    OPENING = "opening"
    """Being opened, for the first time or again."""
    PROBING = "probing"
    """Open again after a failure: one batch, to be made durable, before the others."""
    UP = "up"
    """It is claimed and given what is read."""
    HALTED = "halted"
    """Too much would have become dead letters: it is given nothing more in this process."""


class SinkEvent(StrEnum):
    TRY = "try"
    """It is time to open it."""
    OPENED = "opened"
    """It is open, and has not failed before."""
    OPENED_AGAIN = "opened again"
    """It is open after a failure."""
    PROVED = "proved"
    """A batch that it was given since it was opened is durable."""
    FAILED = "failed"
    """It could not be opened or claimed, or a batch failed for a reason that is not the batch's."""
    HALT = "halt"
    """More changes were refused within a minute than may become dead letters."""


SINK: dict[tuple[SinkState, SinkEvent], SinkState] = {
    (SinkState.DOWN, SinkEvent.TRY): SinkState.OPENING,
    (SinkState.OPENING, SinkEvent.OPENED): SinkState.UP,
    (SinkState.OPENING, SinkEvent.OPENED_AGAIN): SinkState.PROBING,
    (SinkState.OPENING, SinkEvent.FAILED): SinkState.DOWN,
    (SinkState.PROBING, SinkEvent.PROVED): SinkState.UP,
    (SinkState.PROBING, SinkEvent.FAILED): SinkState.DOWN,
    (SinkState.UP, SinkEvent.PROVED): SinkState.UP,
    (SinkState.UP, SinkEvent.FAILED): SinkState.DOWN,
    # A late answer of something that was sent before it went down.
    (SinkState.DOWN, SinkEvent.PROVED): SinkState.DOWN,
    (SinkState.OPENING, SinkEvent.PROVED): SinkState.OPENING,
    (SinkState.DOWN, SinkEvent.HALT): SinkState.HALTED,
    (SinkState.OPENING, SinkEvent.HALT): SinkState.HALTED,
    (SinkState.PROBING, SinkEvent.HALT): SinkState.HALTED,
    (SinkState.UP, SinkEvent.HALT): SinkState.HALTED,
    # It was halted while it opened again; and what it has accepted before still becomes durable.
    (SinkState.HALTED, SinkEvent.OPENED_AGAIN): SinkState.HALTED,
    (SinkState.HALTED, SinkEvent.PROVED): SinkState.HALTED,
}


@dataclass(slots=True, eq=False)
class SinkEntry:
    name: str
    state: SinkState = SinkState.DOWN
    openings: int = 0
    failures: int = 0
    """In a row."""
    error: CdcError | None = None
    remedy: str = ""
    batches: int = 0
    """On their way: given and not durable."""
    unaccepted_bytes: int = 0
    starved: bool = False
    """Its share of the memory is used up: lanes wait until half of it is free again."""
    flushing: bool = False
    flush_again: bool = False
    """Something was accepted after the present flush began, and has to be flushed too."""
    keeps_positions: bool = False
    progress_at: float = 0.0
    """Monotonic: when something last became durable."""
    delivered: int = 0
    """Changes that became durable in this process."""
    redelivered: int = 0
    """Changes that came back from the sink and were given again."""
    dead_letters: int = 0
    unwritten_letters: dict[int, tuple[ShardKey, Unwritten]] = field(default_factory=dict)
    """By the id of a batch: its shard, and why its dead letters are not durable yet. Only those that failed."""
    recent_letters: dict[tuple[ShardKey, str], float] = field(default_factory=dict)
    """Shard and sequence number of the last minute's dead letters, the oldest first, with their time (monotonic)."""

    def move(self, event: SinkEvent) -> None:
        self.state = SINK[self.state, event]

    @property
    def has_worked(self) -> bool:
        """It has delivered something in this process."""
        return self.delivered > 0

    @property
    def is_open(self) -> bool:
        return self.state in (SinkState.UP, SinkState.PROBING)

    @property
    def may_be_given(self) -> bool:
        """Whether one more batch is allowed, as far as the sink as a whole goes."""
        return self.state is SinkState.UP or (self.state is SinkState.PROBING and self.batches == 0)


DueKind = Literal["shard", "sink", "streams", "listing", "children", "save", "letters", "flush", "finish"]

DueKey = tuple[DueKind, str, str]
"""What is due: its kind, and for example the two parts of a shard's key."""


@dataclass(slots=True, eq=False)
class World:
    settings: Settings
    sinks: dict[str, SinkEntry]
    lineages: dict[str, Lineage] = field(default_factory=dict)
    due: DueHeap[DueKey] = field(default_factory=DueHeap)
    out: list[Command] = field(default_factory=list)
    now: Instant = field(default_factory=lambda: Instant(0.0, 0.0))
    stopping: bool = False
    stopped: bool = False
    listings: Budget = field(default_factory=lambda: Budget(5.0))
    gaps: dict[GapKey, SavedGap] = field(default_factory=dict)
    """All that were ever found, those that are not saved yet too."""
    table_errors: dict[str, CdcError] = field(default_factory=dict)
    """Of tables whose stream could not be found out, at the last try."""
    source_error: CdcError | None = None
    """The last failure of the source that was not followed by a success."""

    unsaved: Unwritten | None = None
    """Why the state could not be saved, if the last try failed."""

    moved: dict[ShardKey, None] = field(default_factory=dict)
    """Shards where something changed in this step, in the order of it."""

    def touch(self, shard: ShardKey) -> None:
        """Something changed on this shard: its readers are planned anew, and its children looked at."""
        self.moved[shard] = None

    def touch_all(self, sink: SinkEntry) -> None:
        for lane in self.lanes(sink.name):
            self.touch(lane.shard)

    def take_moved(self) -> Sequence[ShardKey]:
        """What was touched since the last call."""
        moved, self.moved = list(self.moved), {}
        return moved

    def emit(self, command: Command) -> None:
        self.out.append(command)

    def notice(self, level: Literal["info", "warning", "error"], event: str, **fields: str | float) -> None:
        self.emit(Notice(level, event, fields))

    def stop(self, exit_code: int, reason: str, remedy: str = "") -> None:
        """The end, once."""
        if not self.stopped:
            self.stopped = True
            self.emit(Stop(exit_code, reason, remedy))

    def later(self, kind: DueKind, key: tuple[str, str], seconds: float) -> None:
        self.due.at((kind, *key), self.now.monotonic + seconds)

    def entry(self, key: ShardKey) -> ShardEntry | None:
        lineage = self.lineages.get(key.stream)
        return lineage.shards.get(key) if lineage is not None else None

    def lane(self, sink: str, key: ShardKey) -> Lane | None:
        entry = self.entry(key)
        return entry.lanes.get(sink) if entry is not None else None

    def known_lane(self, sink: str, key: ShardKey) -> Lane:
        """One that has something on its way, and so cannot have been forgotten."""
        return self.lineages[key.stream].shards[key].lanes[sink]

    def entries(self) -> Iterator[ShardEntry]:
        for lineage in self.lineages.values():
            yield from lineage.shards.values()

    def lanes(self, sink: str | None = None) -> Iterator[Lane]:
        for entry in self.entries():
            for lane in entry.lanes.values():
                if sink is None or lane.sink == sink:
                    yield lane

    def ready(self, lane: Lane) -> bool:
        """Whether this lane could be given a batch now."""
        sink = self.sinks[lane.sink]
        tracker = lane.tracker
        return (
            lane.state is LaneState.FLOWING
            and not lane.unrecorded
            and sink.may_be_given
            and (lane.hold is None or self.now.monotonic >= lane.hold.until)
            and not tracker.returning
            and tracker.unaccepted is None
            and lane.isolation.letter is None
            and (tracker.clear or not lane.isolation.ends)
            and sink.unaccepted_bytes < self.settings.max_unaccepted_bytes
            and len(tracker.open) < self.settings.max_undurable_batches
        )
