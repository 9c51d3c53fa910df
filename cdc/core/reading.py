"""Which iterator of a shard reads what, and when.

Sinks may be at different places on one shard. At most two iterators serve them: the *head* at the farthest sink, and
one *catch-up* at the hindmost of those behind. Only sinks count that could take a batch now, or have kept their last
one for no longer than a short grace; a sink that is down or slow is left behind and paces nobody. A page from `f` up to
`t` is offered to a sink at `g` if `f <= g < t`, and the sink gets the records after `g`: that is all the merging there
is, and nothing is buffered for a sink that is behind, since the stream keeps everything for 24 hours.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from cdc.core import policy
from cdc.core.lineage import Lane, LaneState, ShardEntry
from cdc.core.messages import IteratorOpened, OpenIterator, PageRead, Read, ReaderKey, ReadFailed
from cdc.core.schedule import Budget
from cdc.core.world import World
from cdc.errors import ErrorKind
from cdc.model import BEGINNING, Batch, Place, Position, ShardKey, after, end_of_shard

_FIRST_POLL_SECONDS = 0.1
"""After the first empty page; doubles up to `idle_poll_seconds`."""
_STARVED_SECONDS = 1.0
_CATCH_UP_SHARE = 3
"""After so many calls of the head in a row the catch-up has its turn, if only one of the two may call."""


@dataclass(slots=True, eq=False)
class Reader:
    """One iterator of a shard."""

    key: ReaderKey
    at: Position
    iterator: str | None = None
    only_for: frozenset[str] = frozenset()
    """It began at the newest record, or at the oldest instead of one that has gone, for these sinks. What it passed over
    others may still need."""
    oldest: bool = False
    """It began at the oldest record, and whatever it stands after has gone."""
    issued: float = 0.0
    busy: bool = False
    due: float = 0.0
    failures: int = 0
    empty_pages: int = 0
    pages: int = 0
    """Read since it came to where it reads."""
    aside: "Aside | None" = None

    def turn_to(self, position: Position) -> None:
        """Goes there and will come back: with the iterator that it left there, if it did. A new one would begin at the same
        record again, and with as many empty pages as there are before the next one."""
        left, self.aside = self.aside, None
        if self.iterator is not None and not (self.only_for or self.oldest):
            self.aside = Aside(self.at, self.iterator, self.issued)
        self.go_to(position)
        if left is not None and left.at.order == position.order:
            self.iterator, self.issued = left.iterator, left.issued

    def go_to(self, position: Position) -> None:
        self.at, self.iterator = position, None
        self.only_for, self.oldest = frozenset(), False
        self.empty_pages = self.pages = 0
        if not self.failures:
            # What was refused belongs to the shard and not to the place: going elsewhere is no way around it.
            self.due = 0.0


@dataclass(frozen=True, slots=True)
class Aside:
    """Where the only reader of a shard was before, and how it goes on there."""

    at: Position
    iterator: str
    issued: float


@dataclass(slots=True, eq=False)
class ShardReaders:
    budget: Budget
    readers: list[Reader] = field(default_factory=list)
    numbered: int = 0
    head_in_a_row: int = 0
    head_due: float = 0.0
    """Until then the head is left alone, where one iterator has to do for all."""


class Reading:
    """Plans the calls to the source for every shard."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._shards: dict[ShardKey, ShardReaders] = {}

    def plan(self, entry: ShardEntry) -> None:
        """Starts what is due on this shard and sets when to look again."""
        world = self._world
        if world.stopping:
            return
        ready, waits, wake = self._candidates(entry)
        if not ready:
            if wake:
                world.due.at(("shard", *entry.key), min(wake))
            return
        readers = self._shards.setdefault(entry.key, ShardReaders(Budget(world.settings.calls_per_shard)))
        now = world.now.monotonic
        wake.extend(wait for _, wait in waits)
        places = [lane.place for lane in ready] + [lane.place for lane, _ in waits]
        for target in self._targets(places, readers):
            if any(lane.place.order == target.order for lane, _ in waits):
                continue
            reader = self._reader_at(readers, entry.key, target, places)
            if reader is None or reader.busy:
                continue
            due = max(reader.due, now + readers.budget.wait(now))
            if due > now:
                wake.append(due)
                continue
            self._call(reader, readers, [lane for lane in ready if lane.place.order == target.order])
            at_head = target.order == places_head(places).order
            readers.head_in_a_row = readers.head_in_a_row + 1 if at_head else 0
        if wake:
            world.due.at(("shard", *entry.key), min(wake))

    def opened(self, event: IteratorOpened) -> None:
        reader = self._find(event.reader)
        if reader is not None:
            reader.busy = False
            reader.iterator = event.iterator
            reader.issued = self._world.now.monotonic
            self._resolve(reader)

    def page(self, event: PageRead, entry: ShardEntry) -> tuple[Batch, frozenset[str]] | None:
        """The page as a batch, from where its reader stood up to where it stands now; and the sinks that alone may have
        it, if there are such."""
        reader = self._find(event.reader)
        if reader is None:
            return None
        now, page = self._world.now, event.page
        reader.busy = False
        reader.failures = 0
        reader.pages += 1
        reader.issued = now.monotonic
        start = reader.at
        only = reader.only_for
        last = page.changes[-1].sequence if page.changes else ""
        behind = reader.oldest and last and int(last) <= start.order[1]
        if behind:
            # What was called gone is there after all: it is passed over until what comes after it.
            last = ""
        if page.next_iterator is None:
            end = end_of_shard(last or start.sequence)
        else:
            end = after(last) if last else reader.at
        if page.changes:
            reader.empty_pages = 0
            reader.due = now.monotonic
        else:
            idle = self._world.settings.idle_poll_seconds
            reader.due = now.monotonic + min(idle, _FIRST_POLL_SECONDS * 2.0 ** min(reader.empty_pages, 16))
            reader.empty_pages += 1
        reader.at, reader.iterator = end, page.next_iterator
        if last:
            reader.only_for, reader.oldest = frozenset(), False
        if end.place is Place.END:
            self._shards[entry.key].readers.remove(reader)
        return Batch(entry.stream, entry.key, start, end, page.changes, now.wall, page.body), only

    def failed(self, event: ReadFailed, *, passing: bool) -> tuple[policy.Rule, Sequence[Lane]] | None:
        """What the policy says about the failure, and the lanes that this reader served. `passing`: it will be right again,
        whatever it says."""
        world, reader = self._world, self._find(event.reader)
        entry = world.entry(event.reader.shard)
        if reader is None or entry is None:
            return None
        reader.busy = False
        reader.failures += 1
        served = [
            lane
            for lane in entry.lanes.values()
            if lane.state is LaneState.FLOWING and not lane.unrecorded and lane.place.order == reader.at.order
        ]
        rule = policy.rule(policy.SOURCE, event.error)
        if event.error.kind is ErrorKind.TRIMMED and (reader.at.place is Place.BEGINNING or reader.oldest):
            # The oldest record moved on while this iterator stood before it: whether anybody was owed it is for the gaps.
            rule = policy.Rule(policy.Action.REOPEN, rule.remedy)
        if passing:
            rule = policy.Rule(policy.Action.RETRY, "")
            reader.iterator = None
        if rule.action is policy.Action.REOPEN:
            reader.iterator = None
            # At once the first time; a service that gives nothing but expired iterators is asked less and less.
            reader.due = world.now.monotonic + (
                policy.backoff(reader.failures - 1, salt=event.reader.shard.shard)
                if reader.failures > 1
                else 0.0
            )
            reader.only_for = frozenset()
        elif rule.action is policy.Action.RETRY:
            if reader.iterator is None:
                self._resolve(reader)
                reader.only_for = frozenset()
            reader.due = world.now.monotonic + policy.backoff(reader.failures, salt=event.reader.shard.shard)
        else:
            self._shards[entry.key].readers.remove(reader)
        return rule, served

    def failures(self, key: ShardKey) -> int:
        shard = self._shards.get(key)
        return max((reader.failures for reader in shard.readers), default=0) if shard else 0

    def forget(self, key: ShardKey) -> None:
        self._shards.pop(key, None)

    def count(self, key: ShardKey) -> int:
        """Iterators that this shard has; never more than `readers_per_shard`."""
        shard = self._shards.get(key)
        return len(shard.readers) if shard else 0

    def _candidates(self, entry: ShardEntry) -> tuple[list[Lane], list[tuple[Lane, float]], list[float]]:
        """The lanes that can take a batch; those that soon may, with the time until which they are waited for; and when
        to look again at others."""
        world = self._world
        ready: list[Lane] = []
        waits: list[tuple[Lane, float]] = []
        wake: list[float] = []
        for lane in entry.lanes.values():
            if world.ready(lane):
                ready.append(lane)
            elif (
                lane.state is LaneState.FLOWING
                and lane.hold is not None
                and world.now.monotonic < lane.hold.until
            ):
                wake.append(lane.hold.until)
            elif lane.state is LaneState.FLOWING and world.sinks[lane.sink].starved:
                # It is called once there is room; should that take long, it looks for itself.
                wake.append(world.now.monotonic + _STARVED_SECONDS)
            elif (
                lane.state is LaneState.FLOWING
                and world.sinks[lane.sink].is_open
                and not lane.tracker.returning
            ):
                unaccepted = lane.tracker.unaccepted
                if unaccepted is not None:
                    until = unaccepted.given_at + world.settings.grace_seconds
                    if until > world.now.monotonic:
                        waits.append((lane, until))
        return ready, waits, wake

    def _targets(self, places: Sequence[Position], readers: ShardReaders) -> Iterator[Position]:
        head = places_head(places)
        low = min(places, key=lambda place: place.order)
        if low.order == head.order:
            yield head
        elif self._world.settings.readers_per_shard == 1:
            yield self._turn(head, low, readers)
        elif readers.head_in_a_row >= _CATCH_UP_SHARE:
            yield from (low, head)
        else:
            yield from (head, low)

    def _turn(self, head: Position, low: Position, readers: ShardReaders) -> Position:
        """Where the only iterator reads: some pages here, some there. Each change costs a call, and every turn reads
        something."""
        reader = readers.readers[0] if readers.readers else None
        if reader is None:
            return head
        over = reader.pages >= _CATCH_UP_SHARE
        now = self._world.now.monotonic
        if reader.at.order == head.order:
            if not over and not reader.empty_pages:
                return head
            idle = self._world.settings.idle_poll_seconds if reader.empty_pages else 0.0
            readers.head_due = now + idle
            return low
        return low if reader.at.order == low.order and not (over and now >= readers.head_due) else head

    def _reader_at(
        self, readers: ShardReaders, shard: ShardKey, target: Position, places: Sequence[Position]
    ) -> Reader | None:
        """The reader that stands there, or one that is free to go there, or a new one if that is allowed."""
        for reader in readers.readers:
            if reader.at.order == target.order:
                return reader
        wanted = [places_head(places).order, min(place.order for place in places)]
        # One for each place is enough: two that met there are one too many.
        needed = [next((r for r in readers.readers if r.at.order == order), None) for order in wanted]
        free = next((r for r in readers.readers if not r.busy and r not in needed), None)
        alone = self._world.settings.readers_per_shard == 1
        if free is None and alone:
            free = next((r for r in readers.readers if not r.busy), None)
        if free is not None:
            if alone:
                free.turn_to(target)
            else:
                free.go_to(target)
            return free
        if len(readers.readers) >= self._world.settings.readers_per_shard:
            return None
        readers.numbered += 1
        reader = Reader(ReaderKey(shard, readers.numbered), target)
        readers.readers.append(reader)
        return reader

    def _call(self, reader: Reader, readers: ShardReaders, lanes: Sequence[Lane]) -> None:
        world = self._world
        now = world.now.monotonic
        reader.busy = True
        readers.budget.spend(now)
        alike = not reader.only_for or all(lane.sink in reader.only_for for lane in lanes)
        if reader.iterator is not None and alike and now - reader.issued < world.settings.iterator_seconds:
            world.emit(Read(reader.key, reader.iterator))
            return
        latest = all(self._may_begin_at_latest(lane) for lane in lanes)
        reader.iterator = None
        reader.oldest = all(
            lane.goes_on_at_oldest and now - lane.oldest_at < world.settings.iterator_seconds
            for lane in lanes
        )
        apart = latest or reader.oldest
        reader.only_for = frozenset(lane.sink for lane in lanes) if apart else frozenset()
        world.emit(OpenIterator(reader.key, BEGINNING if reader.oldest else reader.at, latest))

    def _may_begin_at_latest(self, lane: Lane) -> bool:
        waited = self._world.now.monotonic - lane.since.monotonic
        return lane.wants_latest and waited <= self._world.settings.latest_seconds

    def _resolve(self, reader: Reader) -> None:
        """Once only: a second iterator at the newest record would pass over what came in between."""
        for sink in reader.only_for:
            self._world.known_lane(sink, reader.key.shard).wants_latest = False

    def _find(self, key: ReaderKey) -> Reader | None:
        shard = self._shards.get(key.shard)
        return next((r for r in shard.readers if r.key == key), None) if shard else None


def places_head(places: Sequence[Position]) -> Position:
    return max(places, key=lambda place: place.order)
