"""What has to hold all the time. Each promise has a name, which a violation of it carries."""

from collections import defaultdict
from collections.abc import Callable, Mapping

from cdc.core import messages as m
from cdc.errors import ErrorKind
from cdc.model import Change, Place, Position, ShardKey
from cdc.ports import StateChange
from tests.sim.engine.calls import Calls
from tests.sim.engine.destination import ChangeId, Delivered, Destination, Violation
from tests.sim.engine.gap_checks import GapChecks
from tests.sim.engine.memory import Memory
from tests.sim.engine.plan import Plan
from tests.sim.engine.process import Process, Watch
from tests.sim.engine.saves import Saves
from tests.sim.engine.trace import Line
from tests.sim.engine.truth import Known, Truth, Written
from tests.sim.engine.virtual_time import VirtualTime

LATEST_SLACK = 12.0
"""`latest` begins at some time within so many seconds of the saved start."""


class Checks(Watch):
    """Raises `Violation`."""

    def __init__(
        self,
        plan: Plan,
        truth: Truth,
        time: VirtualTime,
        destinations: Mapping[str, Destination],
        letters: Mapping[str, set[ChangeId]],
    ) -> None:
        self.plan, self.truth, self.destinations, self._letters = plan, truth, destinations, letters
        self._time = time
        self.calls = Calls(plan.settings)
        self.gaps = GapChecks(plan, truth, time)
        self._memory = Memory(truth)
        self._saves = Saves()
        self.killed: set[int] = set()
        self.redelivered = 0
        """Changes that came again to an at-least-once sink since a process before had been killed."""
        self.begun_at: dict[tuple[str, str], float] = {}
        """(sink, stream): when its start was saved."""
        self.trace: list[Line] | None = None
        """If it is a list, everything is written there."""
        self.longest_wait = 0.0
        """Of what a sink without troubles of its own has waited for."""
        self._fenced = 0
        self._unaccepted: dict[tuple[int, str, ShardKey], int] = {}
        self._frontier: dict[tuple[str, ShardKey], int] = {}
        self._asked: dict[tuple[int, str], dict[ChangeId, float]] = defaultdict(dict)
        self._oldest: dict[str, int] = {}
        for destination in destinations.values():
            destination.owes = self._owes(destination.name)
            destination.heard = self._heard(destination)

    # While it runs

    def event(self, process: Process, event: m.Event) -> None:
        if self.trace is not None:
            self.trace.append(Line(self._time.now, process.number, event))
        self.gaps.heard()
        match event:
            case m.Accepted() | m.Durable():
                self._answered(process, event)
            case m.WriteFailed():
                self._answered(process, event)
                if event.error.kind is ErrorKind.FENCED:
                    self._fenced = process.number
            case m.SaveFailed():
                self._saves.answered(process)
                if event.error.kind is ErrorKind.NOT_OWNER:
                    self._fenced = process.number
            case m.CursorsSaved():
                self._saves.answered(process)
            case m.IteratorOpened() | m.PageRead() | m.ReadFailed():
                self.calls.answered(process.number, event, self._time.now)
            case _:
                pass

    def command(self, process: Process, command: m.Command) -> None:
        if self.trace is not None:
            self.trace.append(Line(self._time.now, process.number, command))
        match command:
            case m.OpenIterator() | m.Read():
                self.calls.asked(process, command, self._time.now)
            case m.ListShards():
                self.calls.listed(process.number, self._time.now)
            case m.Write():
                self._write(process, command)
            case m.WriteLetters():
                self._write_letters(process, command)
            case m.Save():
                self._saves.asked(process)
            case _:
                pass

    def done(self, process: Process) -> None:
        if self._fenced == process.number and process.alive:
            raise Violation("fenced and goes on", f"process {process.number}")

    def _answered(self, process: Process, event: m.Accepted | m.Durable | m.WriteFailed) -> None:
        lane = (process.number, event.sink, event.shard)
        if self._unaccepted.get(lane) == event.id:
            del self._unaccepted[lane]

    def _write(self, process: Process, command: m.Write) -> None:
        batch, sink = command.batch, command.sink
        destination = self.destinations[sink]
        lane = (process.number, sink, batch.shard)
        if lane in self._unaccepted:
            raise Violation("two unaccepted", batch.shard.shard, sink=sink, shard=batch.shard)
        self._unaccepted[lane] = command.id
        if (sink, batch.shard.stream) not in self.begun_at:
            raise Violation("start", "is not saved, and it is given something", sink=sink, shard=batch.shard)
        shard = self.truth.shard(batch.shard)
        parent = self.truth.shards[shard.parent] if shard.parent is not None else None
        if parent is not None and parent.gone_at is None and not self.ended(destination, parent):
            raise Violation("child before parent", f"{batch.shard.shard}", sink=sink, shard=batch.shard)
        passed = {int(change.sequence) for change in batch.changes}
        letters = self._letters.get(sink, set())
        for record in shard.records[shard.index(batch.start) : shard.index(batch.end)]:
            if record.id.sequence in passed or record.id in letters:
                continue
            if self.owes(sink, record):
                raise Violation(
                    "passed over",
                    f"{record.id.sequence}, which is no dead letter yet",
                    sink=sink,
                    shard=batch.shard,
                    item=record.item,
                )

    def _write_letters(self, process: Process, command: m.WriteLetters) -> None:
        sink, now = command.sink, self._time.now
        destination = self.destinations[sink]
        asked = self._asked[process.number, sink]
        for reject in command.rejects:
            change = ChangeId(command.shard.stream, int(reject.sequence))
            if change not in destination.refused and change not in destination.blamed:
                raise Violation(
                    "dead letter", f"{change.sequence}, which nobody refused", sink=sink, shard=command.shard
                )
            if asked.get(change, now - 60.0) <= now - 60.0:
                asked[change] = now
        limit = process.settings.max_dead_letters_per_minute
        if limit is not None and sum(at > now - 60.0 for at in asked.values()) > limit:
            raise Violation("dead letters", f"more than {limit} in a minute", sink=sink)

    def ended(self, destination: Destination, shard: Known) -> bool:
        if destination.ended(shard.key):
            return True
        # `latest` passes over what was closed when it began.
        begun = self.begun_at.get((destination.name, shard.key.stream), 0.0)
        closed = shard.closed_at
        return self.plan.settings.start == "latest" and closed is not None and closed <= begun

    def saving(self, process: Process, change: StateChange) -> None:
        for start in change.starts:
            self.begun_at.setdefault((start.sink, start.stream), self._time.now)
        for gap in change.gaps:
            self.gaps.saving(gap)
        for cursor in change.cursors:
            self.check_covered(cursor.sink, cursor.shard, cursor.position)

    def check_covered(self, sink: str, key: ShardKey, position: Position) -> None:
        """Everything up to there is durable at this sink, or a durable dead letter, or was never its to have."""
        shard = self.truth.shard(key)
        durable, letters = self.destinations[sink].durable, self._letters.get(sink, set())
        end = shard.index(position)
        for record in shard.records[self._frontier.get((sink, key), 0) : end]:
            if record.id in durable or record.id in letters:
                continue
            if self.owes(sink, record):
                raise Violation(
                    "position ahead",
                    f"the cursor of {key.shard} passed {record.id.sequence}, which is not durable",
                    sink=sink,
                    shard=key,
                    item=record.item,
                )
        self._frontier[sink, key] = max(end, self._frontier.get((sink, key), 0))
        if position.place is Place.END and shard.closed_at is None:
            raise Violation("open and finished", key.shard, sink=sink, shard=key)

    # What a sink is owed

    def owes(self, sink: str, record: Written) -> bool:
        """Whether the sink has to get it: it may have begun later, and it may have been told that it has gone."""
        return self._began_before(sink, record.id.stream, record.written_at) and not self.gaps.excuses(
            sink, record
        )

    def _began_before(self, sink: str, stream: str, written_at: float) -> bool:
        begun = self.begun_at.get((sink, stream))
        if begun is None:
            return True
        if self.plan.settings.start == "latest":
            return written_at > begun + LATEST_SLACK
        # What was there when it began is its to have as long as it is there.
        return written_at > begun or written_at + self.plan.behaviour.retention_seconds > self._time.now

    def _owes(self, sink: str) -> Callable[[ShardKey, Change], bool]:
        def owes(shard: ShardKey, change: Change) -> bool:
            return self.owes(sink, self.truth.by_id[ChangeId(shard.stream, int(change.sequence))])

        return owes

    def _heard(self, destination: Destination) -> Callable[..., None]:
        def heard(delivered: Delivered, *, again: bool) -> None:
            if again and not destination.keeps_positions:
                first = destination.durable[delivered.id]
                self.redelivered += first in self.killed and first < delivered.process

        return heard

    def missing(self, sink: str) -> list[Written]:
        """What it is owed and has not got, as a change or as a dead letter."""
        self.truth.update()
        durable, letters = self.destinations[sink].durable, self._letters.get(sink, set())
        return [
            record
            for record in self.truth.records
            if record.id not in durable and record.id not in letters and self.owes(sink, record)
        ]

    # From time to time

    def look(self, process: Process) -> None:
        """Lateness, saves and memory, while a process runs."""
        self.truth.update()
        for sink in self.plan.sinks:
            if sink.late_after is not None and sink.name in process.engine.world.sinks:
                self._look_for_lateness(sink.name, sink.late_after, process)
        self._memory.look(process)
        self._saves.look(process)

    def _look_for_lateness(self, sink: str, seconds: float, process: Process) -> None:
        now = self._time.now
        durable, letters = self.destinations[sink].durable, self._letters.get(sink, set())
        at = self._oldest.get(sink, 0)
        records = self.truth.records
        while at < len(records):
            record = records[at]
            if record.id not in durable and record.id not in letters and self.owes(sink, record):
                waited = now - max(record.visible_at, process.resumed_at)
                self.longest_wait = max(self.longest_wait, waited)
                if waited > seconds:
                    raise Violation(
                        "waits for another",
                        f"{record.id.sequence} could be read {waited:.0f} s ago",
                        sink=sink,
                        shard=record.shard,
                        item=record.item,
                    )
                break
            at += 1
        self._oldest[sink] = at
