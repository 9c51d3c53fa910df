"""One process: the engine and its shell in virtual time. Commands become calls, calls end in events; it can be killed at
any boundary between two commands, be stopped, and be suspended while the world goes on."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from cdc.core import messages as m
from cdc.core.engine import Engine
from cdc.core.status import Status, status
from cdc.core.world import Settings
from cdc.errors import CdcError, DeadLetterError, ErrorKind, SinkError, StateError
from cdc.ports import Lease, Owner, Source, StateChange
from cdc.testing.memory_store import MemoryState, MemoryStore
from tests.sim.engine.destination import ChangeId, Destination, Violation
from tests.sim.engine.dice import Dice
from tests.sim.engine.sink import FakeSink, Temper
from tests.sim.engine.virtual_time import VirtualTime

SourceCommand = m.ResolveStreams | m.ListShards | m.OpenIterator | m.Read
LEASE_SECONDS = 15.0


class Watch:
    """Looks at everything that a run does, and raises `Violation`. Does nothing by itself."""

    def event(self, process: "Process", event: m.Event) -> None:
        """Before the engine has it."""

    def command(self, process: "Process", command: m.Command) -> None:
        """Before it is done."""

    def done(self, process: "Process") -> None:
        """After an event and all commands that followed from it."""

    def saving(self, process: "Process", change: StateChange) -> None:
        """Before the store has it; the store has accepted the owner."""


@dataclass(frozen=True, slots=True)
class Troubles:
    """What goes wrong around a process beside its sinks; seconds, chances from 0 to 1."""

    source_latency: float = 0.05
    """Of either half of a call, at most."""
    save_faults: float = 0.0
    letter_faults: float = 0.0


@dataclass(frozen=True, slots=True)
class Doom:
    """When a process is killed: after so many commands, at the next one, or at the next one that saves."""

    commands: int
    at_save: bool = False


@dataclass
class Outside:
    """What outlives every process."""

    time: VirtualTime
    dice: Dice
    source: Source
    tables: Sequence[str]
    destinations: Mapping[str, Destination]
    tempers: dict[str, Temper]
    troubles: Troubles = field(default_factory=Troubles)
    watch: Watch = field(default_factory=Watch)
    state: MemoryState = field(default_factory=MemoryState)
    letters: dict[str, set[ChangeId]] = field(default_factory=dict)
    """The durable dead letters of each sink."""
    faults: Counter[str] = field(default_factory=Counter)
    """What went wrong, by kind."""


class Process:
    """One incarnation.

    Args:
        outside: its surroundings.
        number: unique among the processes; its pid.
        settings: of the engine.
        sinks: the names of those that are configured.
        host: where it runs: an owner that is dead is known to be so on its own host alone.
        doom: when it is killed; None: by nobody.
        looks_at_clock: ends by itself once its lease may be over, or is not renewed, as the shipped loop does. Without it
            only the store's refusal of a save and the sinks' fences are left.

    Raises:
        StateError: `NOT_OWNER`: another process has the pipeline.
    """

    def __init__(
        self,
        outside: Outside,
        number: int,
        settings: Settings,
        sinks: Sequence[str],
        *,
        host: str = "host",
        doom: Doom | None = None,
        looks_at_clock: bool = True,
    ) -> None:
        self.outside, self.number, self.settings = outside, number, settings
        self.stopped: m.Stop | None = None
        self.killed = False
        self.paused = False
        self.notices: list[tuple[float, m.Notice]] = []
        self.commands = 0
        """Done so far."""
        self._time = outside.time
        self._doom = doom
        self._looks_at_clock = looks_at_clock
        self._held: list[Callable[[], None]] = []
        self._tick_at: float | None = None
        self._latency = outside.dice.of("source latency")
        self._store_dice = outside.dice.of("store")
        self._letters_dice = outside.dice.of("letters")
        self.owner = Owner(host, number, "")
        self.store = MemoryStore(outside.state)
        self.resumed_at = self._time.now
        """When it began, or woke."""
        self._renewed = self._time.now
        self.lease: Lease = self.store.acquire(
            self.owner, lease_seconds=LEASE_SECONDS, now=self._time.instant().wall
        )
        self._sinks = {
            name: FakeSink(
                outside.destinations[name],
                outside.tempers[name],
                number,
                outside.dice.of(f"sink {name}"),
                self.later,
                lambda: self._time.now,
                self.send,
                self._fault,
            )
            for name in sinks
        }
        self.engine = Engine(settings, list(sinks), self.store.load(), {"format": "1"})

    @property
    def alive(self) -> bool:
        return not self.killed and self.stopped is None

    @property
    def running(self) -> bool:
        return self.alive and not self.paused

    @property
    def status(self) -> Status:
        return status(self.engine.world)

    def begin(self) -> None:
        self.later(LEASE_SECONDS / 3, self._renew)
        self.send(m.Started())

    def doom(self, doom: Doom) -> None:
        """Kills it once it has done so many commands more."""
        self._doom = Doom(self.commands + doom.commands, doom.at_save)

    def stop(self) -> None:
        """SIGTERM."""
        self.later(0.0, lambda: self.send(m.StopRequested()))

    def kill(self) -> None:
        """SIGKILL; whoever looks on the same host sees that it is dead."""
        if self.alive:
            self.killed = True
            self._end()

    def pause(self) -> None:
        """SIGSTOP: nothing of it moves; what it has sent is answered to deaf ears."""
        self.paused = True

    def wake(self) -> None:
        """SIGCONT: it goes on with what it was about to do, in order, as if nothing had been."""
        self.paused = False
        self.resumed_at = self._time.now
        held, self._held = self._held, []
        for action in held:
            self.later(0.0, action)

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Does this in so many seconds, unless the process has ended by then."""

        def act() -> None:
            if not self.alive:
                return
            if self.paused:
                self._held.append(action)
            else:
                action()

        if self.alive:
            self._time.later(seconds, act)

    # The loop

    def send(self, event: m.Event) -> None:
        """Gives the engine an event, and does what it asks for."""
        if not self.alive:
            return
        now = self._time.instant()
        if self._looks_at_clock and now.monotonic - self._renewed > LEASE_SECONDS:
            self._stop(
                m.Stop(1, "the lease could not be renewed", "look at the state store, and start again")
            )
            return
        self.outside.watch.event(self, event)
        self._do_all(self.engine.handle(event, now))

    def _do_all(self, commands: Sequence[m.Command]) -> None:
        for command in commands:
            if self._is_due(command):
                self.kill()
            if not self.alive:
                return
            self.outside.watch.command(self, command)
            self.commands += 1
            self._do(command)
        self.outside.watch.done(self)
        self._schedule()

    def _is_due(self, command: m.Command) -> bool:
        doom = self._doom
        if doom is None or self.commands < doom.commands:
            return False
        return isinstance(command, m.Save) or not doom.at_save

    def _schedule(self) -> None:
        due = self.engine.next_due()
        if due is not None and (self._tick_at is None or due < self._tick_at):
            self._tick_at = due
            self.later(due - self._time.now, lambda: self._tick(due))

    def _tick(self, due: float) -> None:
        if self._tick_at != due:
            return  # another one came before it
        self._tick_at = None
        due_now = self.engine.next_due()
        if due_now is not None and due_now <= self._time.now:
            self.send(m.Tick())
        else:
            self._schedule()

    def _renew(self) -> None:
        asked_at = self._time.now
        try:
            self.store.renew(self.lease, now=self._time.instant().wall)
        except StateError as error:
            if self._looks_at_clock:
                self._stop(m.Stop(1, error.message, error.remedy))
        else:
            self._renewed = asked_at
            self.later(LEASE_SECONDS / 3, self._renew)

    def _stop(self, command: m.Stop) -> None:
        self.stopped = command
        self._end()

    def _end(self) -> None:
        for sink in self._sinks.values():
            sink.die()
        self.outside.state.end(self.owner)

    def _do(self, command: m.Command) -> None:
        match command:
            case m.ResolveStreams() | m.ListShards() | m.OpenIterator() | m.Read():
                self._call(command)
            case m.Write(sink, number, batch):
                if self._time.instant().wall - batch.read_at > self.settings.retention_seconds:
                    late = SinkError(ErrorKind.UNAVAILABLE, "a batch waited for a day: it is read again")
                    self.later(0.0, lambda: self.send(m.WriteFailed(sink, batch.shard, number, late)))
                else:
                    self._sinks[sink].submit(command)
            case m.OpenSink() | m.Claim() | m.FlushSink():
                self._sinks[command.sink].submit(command)
            case m.WriteLetters():
                self.later(self._letters_dice.random() * 0.1, lambda: self._write_letters(command))
            case m.Save():
                self.later(self._store_dice.random() * 0.1, lambda: self._save(command))
            case m.Notice():
                self.notices.append((self._time.now, command))
            case m.Stop():
                self._stop(command)

    def _fault(self, kind: str) -> None:
        self.outside.faults[kind] += 1

    # What the workers do

    def _call(self, command: SourceCommand) -> None:
        longest = self.outside.troubles.source_latency

        def work() -> None:
            event = self._answer(command)
            self.later(self._latency.random() * longest, lambda: self.send(event))

        self.later(self._latency.random() * longest, work)

    def _answer(self, command: SourceCommand) -> m.Event:
        source = self.outside.source
        try:
            match command:
                case m.ResolveStreams():
                    return self._resolve()
                case m.ListShards(stream, parent):
                    return m.ShardsListed(stream.arn, parent, source.shards(stream, parent=parent))
                case m.OpenIterator(reader, position, latest):
                    return m.IteratorOpened(reader, source.iterator(reader.shard, position, latest=latest))
                case m.Read(reader, iterator):
                    return m.PageRead(reader, source.read(reader.shard, iterator))
        except CdcError as error:
            return _failure(command, error)

    def _resolve(self) -> m.StreamsResolved:
        streams, failed = [], {}
        for table in self.outside.tables:
            try:
                streams.append(self.outside.source.stream(table))
            except CdcError as error:
                failed[table] = error
        return m.StreamsResolved(streams, failed)

    def _fails(self, chance: float, dice: Callable[[], float], kind: str) -> tuple[bool, bool]:
        """(whether it fails, whether it is done all the same)."""
        if not chance or dice() >= chance:
            return False, True
        done = dice() < 0.5
        self._fault(f"{kind}'s answer lost" if done else f"{kind} fails")
        return True, done

    def _write_letters(self, command: m.WriteLetters) -> None:
        fails, done = self._fails(
            self.outside.troubles.letter_faults, self._letters_dice.random, "dead letter"
        )
        if done:
            letters = self.outside.letters.setdefault(command.sink, set())
            letters.update(ChangeId(command.shard.stream, int(reject.sequence)) for reject in command.rejects)
        if fails:
            error = DeadLetterError(ErrorKind.UNAVAILABLE, "no dead letters")
            self.send(m.LettersFailed(command.sink, command.shard, command.id, error))
        else:
            self.send(m.LettersWritten(command.sink, command.shard, command.id))

    def _save(self, command: m.Save) -> None:
        fails, done = self._fails(self.outside.troubles.save_faults, self._store_dice.random, "save")
        error = StateError(ErrorKind.UNAVAILABLE, "no disk") if fails else None
        if done:
            owns = self.owns
            if owns:
                self.outside.watch.saving(self, command.change)
            try:
                self.store.save(self.lease, command.change)
            except StateError as refusal:
                self._fault("save refused")
                error = refusal
            else:
                if not owns:
                    raise Violation("save by a fenced-off owner", f"process {self.number}")
        self.send(m.CursorsSaved(command.change) if error is None else m.SaveFailed(command.change, error))

    @property
    def owns(self) -> bool:
        """Whether the pipeline is still its own."""
        present = self.outside.state.lease
        return present is not None and present.epoch == self.lease.epoch


def _failure(command: SourceCommand, error: CdcError) -> m.Event:
    match command:
        case m.ResolveStreams():
            raise AssertionError("each table fails by itself")
        case m.ListShards(stream, parent):
            return m.ListingFailed(stream.arn, parent, error)
        case m.OpenIterator(reader) | m.Read(reader):
            return m.ReadFailed(reader, error)
