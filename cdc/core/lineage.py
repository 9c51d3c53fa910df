"""The life of a shard at a sink, as a table, and the tree of shards of one stream.

A *lane* is one shard at one sink. Its states and what moves it from one to the next are all in `LANE`; a pair that is
not there is a fault of the engine and raises.

A lane waits until its parent is finished *at the same sink*: the end of the parent durable there, whatever the other
sinks do. So the changes of one item, which move from parent to child when a shard splits, arrive in order at each sink
(Developer Guide, "Reading and processing a stream").
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum

from cdc.core.isolation import Isolation
from cdc.core.tracker import Tracker
from cdc.errors import CdcError
from cdc.model import Listing, Position, Shard, ShardKey, Stream
from cdc.ports import Instant

_SHARD_ID = re.compile(r"shardId-(\d{20})-")


def created_at(shard: ShardKey) -> float:
    """When a shard was created, by its id (epoch seconds; 0: it does not say). Holds no older record."""
    named = _SHARD_ID.match(shard.shard)
    return int(named[1]) / 1000 if named else 0.0


@dataclass(slots=True)
class Evidence:
    """What empty pages, read exactly at a lane's place, say about how far it is.

    One empty page says nothing (pages are empty in mid-shard too, and records are published late); a run of them that
    lasts `caught_up_seconds` says that nothing from before its start is missing.
    """

    run: Instant | None = None
    """The first page of the present run."""
    last: Instant | None = None
    window: Instant | None = None
    """The start of the part of the run that has not been counted yet."""
    through: float | None = None
    """Epoch seconds: the start of the last window that lasted long enough."""
    looked: Instant | None = None
    """The same by both clocks, in this process: it holds when the run is over, too."""
    saved_at: float = 0.0
    """Monotonic: when `through` was last handed over to be saved."""

    def empty_page(self, now: Instant, *, durable: bool, caught_up_seconds: float) -> None:
        self.run = self.run or now
        self.last = now
        if not durable:
            self.window = None
        elif self.window is None:
            self.window = now
        elif now.monotonic - self.window.monotonic >= caught_up_seconds:
            self.through, self.looked = self.window.wall, self.window
            self.window = now

    def records(self) -> None:
        """Records came: the run is over."""
        self.run = self.last = self.window = None

    def pause(self) -> None:
        """Nothing is read for this lane for a while, and its place stays: a run begins anew, and what was read was read."""
        self.run = self.window = None

    def lasted(self) -> float:
        """Seconds from the first to the last page of the present run."""
        return self.last.monotonic - self.run.monotonic if self.run and self.last else 0.0


@dataclass(frozen=True, slots=True)
class Hold:
    """Why a shard waits at a sink that goes on."""

    error: CdcError
    remedy: str
    until: float
    """Monotonic: when it is tried again."""
    failures: int
    """In a row."""


class LaneState(StrEnum):
    WAITING = "waiting"
    """Its parent is not finished at this sink."""
    UNCLAIMED = "unclaimed"
    """May be read as soon as the sink is open and has been told that this process is its writer."""
    CLAIMING = "claiming"
    """The sink is being told."""
    FLOWING = "flowing"
    """It is read, and given what is read, whenever the sink can take it."""
    ENDING = "ending"
    """The end of the shard was given, and is not durable yet."""
    FINISHED = "finished"
    """The end of the shard is durable: the children may come."""
    HALTED = "halted"
    """A gap, or a batch that the sink will never take: the operator decides."""


class LaneEvent(StrEnum):
    PARENT_FINISHED = "parent finished"
    """At this sink, and so is every earlier stream of the table; or there is no parent any more."""
    CLAIM_SENT = "claim sent"
    """The sink was asked to take this process for its only writer."""
    CLAIMED = "claimed"
    """It does, and has said where it stands, if it keeps positions."""
    CLAIM_FAILED = "claim failed"
    """It does not, or was lost meanwhile."""
    SINK_LOST = "sink lost"
    """The sink is down, with all its lanes. What it already had may still become durable."""
    END_GIVEN = "end given"
    """The sink was given the last batch of the shard."""
    END_DURABLE = "end durable"
    """The whole shard is durable at this sink."""
    HANDED_BACK = "handed back"
    """The sink gave a batch back: it is read again, and given again with all that follows."""
    HALT = "halt"
    """A gap that waits for a decision, a batch that the sink will never take, or a position that it has lost."""


_S, _E = LaneState, LaneEvent

LANE: dict[tuple[LaneState, LaneEvent], LaneState] = {
    (_S.WAITING, _E.PARENT_FINISHED): _S.UNCLAIMED,
    (_S.UNCLAIMED, _E.CLAIM_SENT): _S.CLAIMING,
    (_S.CLAIMING, _E.CLAIMED): _S.FLOWING,
    (_S.CLAIMING, _E.CLAIM_FAILED): _S.UNCLAIMED,
    (_S.FLOWING, _E.END_GIVEN): _S.ENDING,
    (_S.ENDING, _E.END_DURABLE): _S.FINISHED,
    # What the sink or the saved cursor already holds may be the whole shard.
    (_S.FLOWING, _E.END_DURABLE): _S.FINISHED,
    # A batch came back: it is read and given again.
    (_S.FLOWING, _E.HANDED_BACK): _S.FLOWING,
    (_S.ENDING, _E.HANDED_BACK): _S.FLOWING,
    (_S.UNCLAIMED, _E.HANDED_BACK): _S.UNCLAIMED,
    (_S.HALTED, _E.HANDED_BACK): _S.HALTED,
    # The sink is down: it is opened and claimed again. What it already had may still become durable.
    (_S.WAITING, _E.SINK_LOST): _S.WAITING,
    (_S.UNCLAIMED, _E.SINK_LOST): _S.UNCLAIMED,
    (_S.CLAIMING, _E.SINK_LOST): _S.CLAIMING,
    (_S.FLOWING, _E.SINK_LOST): _S.UNCLAIMED,
    (_S.ENDING, _E.SINK_LOST): _S.UNCLAIMED,
    (_S.FINISHED, _E.SINK_LOST): _S.FINISHED,
    (_S.HALTED, _E.SINK_LOST): _S.HALTED,
    (_S.UNCLAIMED, _E.END_DURABLE): _S.FINISHED,
    (_S.WAITING, _E.HALT): _S.HALTED,
    (_S.FLOWING, _E.HALT): _S.HALTED,
    (_S.UNCLAIMED, _E.HALT): _S.HALTED,
}


@dataclass(slots=True, eq=False)
class Lane:
    """One shard at one sink. What it keeps beside its state, and what has a say in which part of its life:

    WAITING     it begins (`Discovery.begin_shard`) once a whole listing was seen and the starts are saved
                (`Lineage.complete`, `begun`), its parent and all earlier streams of the table are FINISHED at this sink.
                Without its parent it has lost what came before, but for one that was there when the sink began
                (`at_start`), was read before (`saved`), or whose gap was `passed`.
    CLAIMING    the answer says where it goes on (`positions.resume`): at the farther of the `tracker`'s place and the
                sink's own of this reset `epoch`; a position that was `kept_by_sink` must be there. `began`: it has been so
                in this process. `wants_latest`: the first iterator may be at the newest record.
    FLOWING     it is given a batch (`World.ready`) unless its sink takes none now (`SINK`, memory), a gap of it is to be
                passed over and still `unrecorded`, it is on `hold` for a schema, its `tracker` has a batch that is not
                accepted, batches come back or too many are not durable, or `isolation` looks for the change that a refused
                batch is refused for. From a place where what followed has gone, it is read at the `oldest` record; the
                service is asked again long after it said so (`oldest_at`).
    FINISHED    its `tracker` is durable to the end of the shard.
    HALTED      `halted_because`, and the `remedy`. A `gap` is saved: the next process begins halted too.

    A gap (`Gaps`) is found by the source's answers, unless the sink `started` too late to have had anything of what is gone;
    where nobody looked for longer than a record lives (`since`, `evidence`), without an answer.
    """

    sink: str
    shard: ShardKey
    tracker: Tracker
    state: LaneState = LaneState.WAITING
    halted_because: str = ""
    remedy: str = ""
    gap: bool = False
    hold: Hold | None = None
    started: float | None = None
    """Monotonic, also below 0: when this sink began on this stream, if that is saved or about to be."""
    epoch: int = 0
    """The sink's reset epoch; every position that is saved or given carries it."""
    at_start: bool = False
    """Listed when the sink began on this stream: it owes nobody its parents."""
    unrecorded: bool = False
    """A gap was found here that is to be passed over, and that is not saved yet: nothing is given before it is."""
    passed: tuple[Position, Instant] | None = None
    """Where a gap was found and passed over, and when: what had gone from there by then is known to be gone."""
    oldest: Position | None = None
    """A place from which what followed has gone: the oldest record that there is comes next."""
    oldest_at: float = 0.0
    """Monotonic: when the service said so. Much later more may have gone, and it is asked again."""
    saved: bool = False
    """A cursor of it is in the state store."""
    kept_by_sink: bool = False
    wants_latest: bool = False
    """`start: latest`, and nothing of this shard was ever asked for: the first iterator may begin at the newest record."""
    isolation: Isolation = field(default_factory=Isolation)
    evidence: Evidence = field(default_factory=Evidence)
    since: Instant = field(default_factory=lambda: Instant(0.0, 0.0))
    """What is known of it before anything is read; no later than the first change that it owes."""
    began: Instant | None = None
    """When it began to flow in this process."""

    def move(self, event: LaneEvent) -> None:
        self.state = LANE[self.state, event]

    @property
    def place(self) -> Position:
        return self.tracker.given

    @property
    def passed_here(self) -> Instant | None:
        """When a gap was passed over at the very place where it stands."""
        if self.passed is None or self.passed[0].order != self.place.order:
            return None
        return self.passed[1]

    @property
    def goes_on_at_oldest(self) -> bool:
        return self.oldest is not None and self.oldest.order == self.place.order

    @property
    def through(self) -> float | None:
        """Epoch seconds: changes from before it are durable here, but for rounding, skew and late publication."""
        known = [time for time in (self.tracker.durable_created, self.evidence.through) if time is not None]
        return max(known) if known else None

    def unread(self, now: Instant, iterator_seconds: float) -> float:
        """Seconds for which nobody has looked here; by the monotonic clock, which does not jump.

        One empty page counts for as long as its iterator lives, which goes on from there. Beyond that only a run of them.
        """
        last = self.evidence.last
        if last is not None and now.monotonic - last.monotonic > iterator_seconds:
            last = None
        looked = [self.since, last, self.evidence.looked, self.passed_here]
        return now.monotonic - max(at.monotonic for at in looked if at is not None)


@dataclass(slots=True, eq=False)
class ShardEntry:
    """A shard and its lanes."""

    shard: Shard
    stream: Stream
    lanes: dict[str, Lane]
    listed: bool = True
    """In the last complete listing."""
    missing_since: float | None = None
    """Monotonic: since when it has been in no complete listing."""
    denied_since: float | None = None
    """Monotonic: since when it is called unknown, although it is listed and cannot have expired."""

    @property
    def key(self) -> ShardKey:
        return self.shard.key

    @property
    def finished(self) -> bool:
        return all(lane.state is LaneState.FINISHED for lane in self.lanes.values())


@dataclass(slots=True, eq=False)
class Lineage:
    """The shards of one stream, by what was listed and what was saved."""

    stream: Stream
    shards: dict[ShardKey, ShardEntry] = field(default_factory=dict)
    children: dict[ShardKey, list[ShardKey]] = field(default_factory=dict)
    complete: bool = False
    """A whole listing has been seen: only then is an unknown parent one that is gone."""
    begun: bool = False
    """The start positions of every sink are saved: only then is anything read."""

    def add(self, shard: Shard, lanes: dict[str, Lane]) -> ShardEntry:
        entry = ShardEntry(shard, self.stream, lanes)
        self.shards[shard.key] = entry
        if shard.parent is not None:
            self.children.setdefault(ShardKey(self.stream.arn, shard.parent), []).append(shard.key)
        return entry

    def merge(self, listing: Listing, now: float) -> list[Shard]:
        """Takes over a listing; the shards that are new. The same shard may be listed open before and closed now."""
        new: list[Shard] = []
        named = set()
        for shard in listing.shards:
            named.add(shard.key)
            known = self.shards.get(shard.key)
            if known is None:
                new.append(shard)
                continue
            if known.shard.parent is None and shard.parent is not None:
                # A shard that was known from its saved cursor alone.
                self.children.setdefault(ShardKey(self.stream.arn, shard.parent), []).append(shard.key)
            # A parent that was named once stays one: its children wait for it, and are known by it.
            known.shard = shard if shard.parent is not None else replace(shard, parent=known.shard.parent)
            known.listed = True
        if listing.complete:
            self.complete = True
            for key, entry in self.shards.items():
                entry.listed = key in named
                if entry.listed:
                    entry.missing_since = None
                elif entry.missing_since is None:
                    entry.missing_since = now
        return new

    def parent(self, entry: ShardEntry) -> ShardEntry | None:
        if entry.shard.parent is None:
            return None
        return self.shards.get(ShardKey(self.stream.arn, entry.shard.parent))

    def may_begin(self, entry: ShardEntry, sink: str) -> bool:
        """Whether the parent is finished at this sink. A parent that is neither listed nor known has left the stream:
        its records expired, or were finished before (old parents vanish while children still name them)."""
        if not (self.complete and self.begun):
            return False
        parent = self.parent(entry)
        if parent is None:
            return True
        lane = parent.lanes.get(sink)
        return lane is None or lane.state is LaneState.FINISHED

    def children_of(self, key: ShardKey) -> Iterator[ShardEntry]:
        for child in self.children.get(key, ()):
            yield self.shards[child]

    def forgettable(self, missing_before: float) -> Iterable[ShardEntry]:
        """Shards that every sink has finished, that left the listing (some time ago: listings are not consistent, and
        one that comes back would be read again), and whose children all have saved cursors: the row of a parent is what
        tells a finished parent from one that vanished unread."""
        return [
            entry
            for entry in self.shards.values()
            if entry.missing_since is not None
            and entry.missing_since <= missing_before
            and entry.finished
            and all(
                lane.saved or lane.state is LaneState.FINISHED
                for child in self.children_of(entry.key)
                for lane in child.lanes.values()
            )
        ]

    def remove(self, entry: ShardEntry) -> None:
        del self.shards[entry.key]
        self.children.pop(entry.key, None)
        if entry.shard.parent is not None:
            parent = ShardKey(self.stream.arn, entry.shard.parent)
            siblings = [key for key in self.children.get(parent, ()) if key != entry.key]
            if siblings:
                self.children[parent] = siblings
            else:
                self.children.pop(parent, None)
