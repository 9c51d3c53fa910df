"""One seed's run: the engine, its shell in virtual time, crashes and restarts from what is durable, and the checks."""

import heapq
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from cdc.core import messages as m
from cdc.core.engine import Engine
from cdc.core.lineage import LaneState
from cdc.core.world import Settings
from cdc.errors import CdcError, ErrorKind, SourceError, StateError
from cdc.model import Place, Position, ShardKey, after
from cdc.ports import Instant, Lease, Owner, StateChange
from cdc.testing.batches import stream_of
from cdc.testing.memory_store import MemoryState, MemoryStore
from tests.sim.engine.sink_model import Destination, SimSink, Temper, Violation, ended
from tests.sim.engine.stream_model import Shape, SimShard, StreamModel

WALL = 1_767_225_600.0


@dataclass(frozen=True, slots=True)
class Profile:
    """What happens in a run; seconds, chances from 0 to 1."""

    settings: Settings = field(
        default_factory=lambda: Settings(relist_seconds=10.0, caught_up_seconds=3.0, checkpoint_seconds=0.5)
    )
    shape: Shape = field(default_factory=Shape)
    shards: int = 2
    items: int = 12
    changes: int = 250
    writing: float = 40.0
    """How long the changes take."""
    closings: int = 6
    """Rollovers and splits."""
    tempers: tuple[Temper, ...] = (Temper(), Temper(), Temper())
    refuses: tuple[int, ...] = (0, 0, 0)
    poison: tuple[int, ...] = (0, 0, 0)
    keeps: tuple[bool, ...] = (False, True, False)
    source_faults: float = 0.0
    source_latency: float = 0.05
    save_faults: float = 0.0
    letter_faults: float = 0.0
    crashes: tuple[int, ...] = ()
    """After so many commands of each incarnation."""
    stops: tuple[float, ...] = ()
    """SIGTERM at these times."""
    jumps: tuple[tuple[float, float], ...] = ()
    """(when, by how much the wall clock is set forward or back)."""
    new_sink_at: int = 0
    """From this incarnation on the last sink is configured."""
    drain: float = 120.0
    """How long after the last change everything is delivered at the latest."""


@dataclass
class Totals:
    changes: int = 0
    splits: int = 0
    crashes: int = 0
    stops: int = 0
    faults: int = 0
    commands: int = 0
    duplicates: int = 0
    letters: int = 0

    def add(self, other: "Totals") -> None:
        for name in self.__dataclass_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Simulation:
    def __init__(self, seed: int, profile: Profile) -> None:
        self.rng = random.Random(seed)
        self.profile = profile
        self.totals = Totals()
        self.time = 1000.0
        self._heap: list[tuple[float, int, int | None, Callable[[], None]]] = []
        self._count = 0
        self.jumped = 0.0
        self.stream = StreamModel(self.rng, stream_of(), profile.shape, lambda: self.time, WALL)
        self.stream.begin(profile.shards)
        self.destinations = [
            Destination(f"sink{index}", keeps, refuses, poison)
            for index, (keeps, refuses, poison) in enumerate(
                zip(profile.keeps, profile.refuses, profile.poison, strict=True)
            )
        ]
        for destination in self.destinations:
            destination.counts = self._counts(destination.name)
        self.letters: dict[str, set[int]] = {d.name: set() for d in self.destinations}
        self._asked: dict[str, dict[int, float]] = {}
        self.state = MemoryState()
        self.incarnation = 0
        self.stopped: m.Stop | None = None
        self.calm = False
        self.engine: Engine
        self._sinks: dict[str, SimSink] = {}
        self._frontier: dict[tuple[str, ShardKey], int] = {}
        self._unaccepted: dict[tuple[str, ShardKey], int] = {}
        self._calls: Counter[m.ReaderKey] = Counter()
        self._begun_at: dict[str, float] = {}
        self._crash_in: int | None = None
        self._tick_at: float | None = None
        self.notices: Counter[str] = Counter()
        self.log: list[str] = []
        self.seen: list[tuple[float, m.Event | m.Command]] = []
        self.keep_log = False

    # Time

    def later(self, seconds: float, action: Callable[[], None], *, outlives: bool = False) -> None:
        """`outlives`: happens outside of the process."""
        self._count += 1
        incarnation = None if outlives else self.incarnation
        heapq.heappush(self._heap, (self.time + max(0.0, seconds), self._count, incarnation, action))

    def instant(self) -> Instant:
        return Instant(self.time, WALL + self.time + self.jumped)

    def advance(self, until: float, *, done: Callable[[], bool] = lambda: False) -> None:
        """Lets everything happen up to this time, or until it is `done`."""
        while self._heap and self._heap[0][0] <= until and not done():
            time, _, incarnation, action = heapq.heappop(self._heap)
            if incarnation is None or incarnation == self.incarnation:
                self.time = max(self.time, time)
                action()
        if not done():
            self.time = until

    # The process

    def start(self, *, until_caught_up: bool = False, crash_in: int | None = None) -> None:
        self.incarnation += 1
        self.stopped = None
        self._crash_in = crash_in
        self._tick_at = None
        self._unaccepted.clear()
        self._calls.clear()
        self._asked = {d.name: {} for d in self.destinations}
        store = MemoryStore(self.state)
        self.state.lease = None
        self.lease: Lease = store.acquire(
            Owner("host", self.incarnation, ""), lease_seconds=15.0, now=self.time
        )
        self.store = store
        names = [d.name for d in self.destinations]
        if self.profile.new_sink_at > self.incarnation and not until_caught_up:
            names.pop()
        incarnation = self.incarnation

        def later(seconds: float, action: Callable[[], None]) -> None:
            if incarnation == self.incarnation:  # else the process died in the midst of what asks
                self.later(seconds, action)

        self._sinks = {
            d.name: SimSink(
                d,
                temper if not self.calm else Temper(),
                self.rng,
                later,
                lambda: self.time,
                lambda event: self.send(event, incarnation),
            )
            for d, temper in zip(self.destinations, self.profile.tempers, strict=True)
            if d.name in names
        }
        settings = replace(self.profile.settings, until_caught_up=until_caught_up)
        if self.calm:
            # Whoever saw the alarm has raised it.
            settings = replace(settings, max_dead_letters_per_minute=None)
        self.engine = Engine(settings, names, store.load(), {"format": "1"})
        self.send(m.Started(), incarnation)

    def send(self, event: m.Event, incarnation: int | None = None) -> None:
        if self.stopped is not None or (incarnation is not None and incarnation != self.incarnation):
            return
        self._answered(event)
        if self.keep_log:
            self.seen.append((self.time, event))
        commands = self.engine.handle(event, self.instant())
        incarnation = self.incarnation
        for command in commands:
            if self._crash_in is not None:
                self._crash_in -= 1
                if self._crash_in < 0:
                    self.crash()
                    return
            if self.keep_log:
                self.seen.append((self.time, command))
            self.totals.commands += 1
            self._do(command)
            if self.incarnation != incarnation:
                return
        due = self.engine.next_due()
        if due is not None and (self._tick_at is None or due < self._tick_at or self._tick_at <= self.time):
            self._tick_at = due
            self.later(due - self.time + self.rng.random() * 0.01, self._tick)

    def _answered(self, event: m.Event) -> None:
        match event:
            case m.Accepted() | m.Durable() | m.WriteFailed():
                if self._unaccepted.get((event.sink, event.shard)) == event.id:
                    del self._unaccepted[event.sink, event.shard]
            case m.IteratorOpened() | m.PageRead() | m.ReadFailed():
                self._calls[event.reader] -= 1
            case _:
                pass

    def _tick(self) -> None:
        due = self.engine.next_due()
        if due is None or due > self.time:
            if due is not None and (self._tick_at is None or self._tick_at <= self.time):
                self._tick_at = due
                self.later(due - self.time, self._tick)
            return
        self.send(m.Tick())

    def crash(self) -> None:
        self.totals.crashes += 1
        for sink in self._sinks.values():
            sink.die()
        self.incarnation += 1
        self._sinks = {}

    @property
    def running(self) -> bool:
        return bool(self._sinks) and self.stopped is None

    def stop(self) -> None:
        self.send(m.StopRequested())

    # The shell

    def _do(self, command: m.Command) -> None:
        match command:
            case m.ResolveStreams() | m.ListShards() | m.OpenIterator() | m.Read():
                self._source(command)
            case m.OpenSink() | m.Claim() | m.FlushSink():
                self._sinks[command.sink].submit(command)
            case m.Write():
                self._check_write(command)
                self._sinks[command.sink].submit(command)
            case m.WriteLetters():
                self._check_letters(command)
                self.later(self.rng.random() * 0.1, lambda: self._write_letters(command))
            case m.Save():
                self.later(self.rng.random() * 0.1, lambda: self._save(command))
            case m.Notice():
                self.notices[command.event] += 1
                if self.keep_log:
                    self.log.append(
                        f"{self.time:9.3f} {command.level} {command.event} {dict(command.fields)}"
                    )
            case m.Stop():
                self.stopped = command
                for sink in self._sinks.values():
                    sink.die()
                self.incarnation += 1
                self._sinks = {}

    def _fault(self, chance: float) -> bool:
        if self.calm or self.rng.random() >= chance:
            return False
        self.totals.faults += 1
        return True

    def _source(self, command: m.ResolveStreams | m.ListShards | m.OpenIterator | m.Read) -> None:
        if isinstance(command, m.OpenIterator | m.Read):
            self._calls[command.reader] += 1
            self._check_readers(command.reader)
        latency = self.rng.random() * self.profile.source_latency

        def work() -> None:
            fails = self._fault(self.profile.source_faults)
            kind = self.rng.choice([ErrorKind.THROTTLED, ErrorKind.UNAVAILABLE, ErrorKind.MALFORMED])
            event: m.Event
            try:
                if fails and self.rng.random() < 0.5:
                    raise SourceError(kind, "a fault")
                event = self._answer(command)
                if fails:
                    raise SourceError(kind, "the answer was lost")
            except CdcError as error:
                event = _failure(command, error)
            incarnation = self.incarnation
            self.later(self.rng.random() * self.profile.source_latency, lambda: self.send(event, incarnation))

        self.later(latency, work)

    def _answer(self, command: m.ResolveStreams | m.ListShards | m.OpenIterator | m.Read) -> m.Event:
        match command:
            case m.ResolveStreams():
                return m.StreamsResolved([self.stream.stream])
            case m.ListShards(stream, None):
                return m.ShardsListed(stream.arn, None, self.stream.listing())
            case m.ListShards(stream, parent):
                assert parent is not None
                return m.ShardsListed(stream.arn, parent, self.stream.children(parent))
            case m.OpenIterator(reader, position, latest):
                return m.IteratorOpened(reader, self.stream.iterator(reader.shard, position, latest=latest))
            case m.Read(reader, iterator):
                if self._fault(self.profile.source_faults / 4):
                    raise SourceError(ErrorKind.ITERATOR_EXPIRED, "expired")
                return m.PageRead(reader, self.stream.read(reader.shard, iterator))

    def _write_letters(self, command: m.WriteLetters) -> None:
        fails = self._fault(self.profile.letter_faults)
        if not fails or self.rng.random() < 0.5:
            self.letters[command.sink].update(int(reject.sequence) for reject in command.rejects)
        if fails:
            error = StateError(ErrorKind.UNAVAILABLE, "no dead letters")
            self.send(m.LettersFailed(command.sink, command.shard, command.id, error))
        else:
            self.totals.letters += len(command.rejects)
            self.send(m.LettersWritten(command.sink, command.shard, command.id))

    def _save(self, command: m.Save) -> None:
        fails = self._fault(self.profile.save_faults)
        if not fails or self.rng.random() < 0.5:
            self._check_save(command.change)
            self.store.save(self.lease, command.change)
        if fails:
            self.send(m.SaveFailed(command.change, StateError(ErrorKind.UNAVAILABLE, "no disk")))
        else:
            self.send(m.CursorsSaved(command.change))

    # What has to hold all the time

    def _check_readers(self, reader: m.ReaderKey) -> None:
        if self._calls[reader] > 1:
            raise Violation(f"two calls at once with one iterator: {reader}")
        most = self.profile.settings.readers_per_shard
        if self.engine.reading.count(reader.shard) > most:
            raise Violation(f"more than {most} iterators on {reader.shard.shard}")

    def _check_write(self, command: m.Write) -> None:
        batch = command.batch
        destination = next(d for d in self.destinations if d.name == command.sink)
        lane = (command.sink, batch.shard)
        if lane in self._unaccepted:
            raise Violation(f"two unaccepted batches: {lane}")
        self._unaccepted[lane] = command.id
        parent = self.parent(self.stream.shards[batch.shard])
        if parent is not None and not parent.gone and not self._ended(destination, parent):
            raise Violation(f"{command.sink}: {batch.shard.shard} before the end of its parent")

        passed = {int(change.sequence) for change in batch.changes} | self.letters[command.sink]
        for record in self.stream.shards[batch.shard].records:
            place = after(str(record.sequence)).order
            if (
                batch.start.order < place <= batch.end.order
                and record.sequence not in passed
                and self.owes(command.sink, record.written_at)
            ):
                raise Violation(f"{command.sink}: passes {record.sequence}, which is no dead letter yet")

    def _check_letters(self, command: m.WriteLetters) -> None:
        destination = next(d for d in self.destinations if d.name == command.sink)
        asked = self._asked[command.sink]
        for reject in command.rejects:
            sequence = int(reject.sequence)
            if not destination.is_poison(sequence) and sequence not in destination.refused:
                raise Violation(f"{command.sink}: a dead letter of {sequence}, which nobody refused")
            if asked.get(sequence, -60.0) <= self.time - 60.0:
                asked[sequence] = self.time
        limit = self.engine.world.settings.max_dead_letters_per_minute
        if limit is not None and sum(at > self.time - 60.0 for at in asked.values()) > limit:
            raise Violation(f"{command.sink}: more than {limit} dead letters in a minute")

    def parent(self, shard: SimShard) -> SimShard | None:
        return self.stream.shards[ShardKey(shard.key.stream, shard.parent)] if shard.parent else None

    def _ended(self, destination: Destination, shard: SimShard) -> bool:
        if ended(destination, shard.key):
            return True
        # `latest` passes over what was closed when it began.
        begun = self._begun_at.get(destination.name, 0.0)
        return self.profile.settings.start == "latest" and (
            shard.closed_at is not None and shard.closed_at <= begun
        )

    def _check_save(self, change: StateChange) -> None:
        for start in change.starts:
            self._begun_at.setdefault(start.sink, self.time)
        for cursor in change.cursors:
            self.check_covered(cursor.sink, cursor.shard, cursor.position)

    def check_covered(self, sink: str, key: ShardKey, position: Position) -> None:
        """Everything up to there is durable at this sink, or a durable dead letter, or was never its to have."""
        shard = self.stream.shards[key]
        destination = next(d for d in self.destinations if d.name == sink)
        index = self._frontier.get((sink, key), 0)
        while index < len(shard.records):
            record = shard.records[index]
            if position.place is not Place.END and (
                position.place is Place.BEGINNING or record.sequence > int(position.sequence)
            ):
                break
            known = record.sequence in destination.durable or record.sequence in self.letters[sink]
            if not known and self.owes(sink, record.written_at):
                raise Violation(
                    f"{sink}: the cursor of {key.shard} passed {record.sequence}, which is not durable"
                )
            index += 1
        self._frontier[sink, key] = index
        if position.place is Place.END and shard.closed_at is None:
            raise Violation(f"{sink}: {key.shard} is open and counts as finished")

    def owes(self, sink: str, written_at: float) -> bool:
        begun = self._begun_at.get(sink)
        if begun is None:
            return True
        if self.profile.settings.start == "latest":
            return written_at > begun + 12.0
        return written_at > begun - self.profile.shape.retention

    def _counts(self, sink: str) -> Callable[[int], bool]:
        return lambda sequence: self.owes(sink, self.stream.records[sequence].written_at)

    # What has to hold in the end

    def missing(self, destination: Destination) -> list[int]:
        durable, letters = destination.durable, self.letters[destination.name]
        return [
            record.sequence
            for record in self.stream.records.values()
            if record.sequence not in durable
            and record.sequence not in letters
            and self.owes(destination.name, record.written_at)
        ]

    def lane_states(self) -> Sequence[str]:
        return [
            f"{lane.sink} {lane.shard.shard[-4:]} {lane.state.value} {lane.place} {lane.tracker.durable} "
            f"{lane.halted_because} open={len(lane.tracker.open)}"
            for lane in self.engine.world.lanes()
            if lane.state is not LaneState.FINISHED
        ]


def _failure(command: m.ResolveStreams | m.ListShards | m.OpenIterator | m.Read, error: CdcError) -> m.Event:
    match command:
        case m.ResolveStreams():
            return m.StreamsResolved([], {"table": error})
        case m.ListShards(stream, parent):
            return m.ListingFailed(stream.arn, parent, error)
        case m.OpenIterator(reader) | m.Read(reader):
            return m.ReadFailed(reader, error)
