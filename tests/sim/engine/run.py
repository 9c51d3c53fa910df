"""One run of a plan: writes, crashes, restarts; then everything is delivered, and looked through."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from zlib import crc32

from cdc.core.lineage import LaneState
from cdc.errors import StateError
from cdc.model import Change
from cdc.testing.sim.service import Sim
from tests.sim.engine.checks import Checks
from tests.sim.engine.destination import Violation, nothing
from tests.sim.engine.dice import Dice
from tests.sim.engine.pipeline import Pipeline, SinkPlan
from tests.sim.engine.plan import Plan, PlannedSink, Reshape, Suspension, Write
from tests.sim.engine.process import Doom, Process, Troubles
from tests.sim.engine.sink import Temper
from tests.sim.engine.source import TroubledApi, source_on
from tests.sim.engine.truth import Truth
from tests.sim.engine.virtual_time import VirtualTime

LOOK_SECONDS = 5.0
_CRASHES_MORE = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""At these shares of the writes one more crash is had, if none has caused a redelivery yet."""


@dataclass
class Totals:
    """What happened; sums over many runs."""

    seeds: int = 0
    changes: int = 0
    rollovers: int = 0
    splits: int = 0
    crashes: int = 0
    redelivered: int = 0
    """Changes that came again because of a crash."""
    stops: int = 0
    zombies: int = 0
    """Processes that woke when another one had taken their place."""
    letters: int = 0
    gaps: int = 0
    commands: int = 0
    faults: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Totals") -> None:
        for name in self.__dataclass_fields__:
            if name != "faults":
                setattr(self, name, getattr(self, name) + getattr(other, name))
        self.faults += other.faults

    @property
    def counts(self) -> bool:
        """Whether enough happened in this run for it to be one of those that are counted."""
        return (
            self.changes >= 500
            and self.rollovers + self.splits >= 3
            and self.faults.total() >= 5
            and self.redelivered >= 1
        )


def table_name(number: int) -> str:
    return f"table-{number}"


def one_in(count: int, salt: str) -> Callable[[Change], bool]:
    """Which changes are meant: one in so many, the same ones at every try."""
    if not count:
        return nothing
    return lambda change: crc32(f"{salt} {change.sequence}".encode()) % count == 0


class Run:
    """A fresh world for one plan; `drive` it once."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.time = VirtualTime()
        self.began = self.time.now
        self.sim = Sim(now=self.time.service_now, seed=plan.seed, behaviour=plan.behaviour)
        self._tables = [table_name(number) for number in range(plan.tables)]
        for table in self._tables:
            self._create(table)
        self.truth = Truth(self.sim, self._tables)
        self.totals = Totals(seeds=1)
        self._api = TroubledApi(self.sim, Dice(plan.seed), plan.source_faults, self.totals.faults)
        self.pipeline = Pipeline(
            source_on(self._api, self._tables),
            self._tables,
            [_sink_plan(sink) for sink in plan.sinks],
            settings=plan.settings,
            time=self.time,
            seed=plan.seed,
            troubles=plan.troubles,
        )
        outside = self.pipeline.outside
        self.checks = Checks(plan, self.truth, self.time, outside.destinations, outside.letters)
        outside.watch = self.checks
        self._dice = outside.dice.of("driver")
        self._dooms = list(plan.dooms)
        self._value = 0
        self._away_until = self.time.now
        self.current: Process | None = None

    # What happens

    def drive(self) -> Totals:
        """Writes, crashes, restarts; then drains.

        Raises:
            Violation: a promise was broken.
        """
        self.schedule()
        end = self.began + self.plan.writing
        stops = sorted(self.began + at for at in self.plan.stops)
        while self.time.now < end:
            if not self.running:
                self._come_back()
            until = min([at for at in stops if at > self.time.now] + [end])
            self.time.advance(until, done=lambda: not self.running)
            if self.running and until in stops:
                self.stop_orderly()
        self.finish()
        return self.totals

    def schedule(self) -> None:
        """Everything that happens by itself."""
        plan = self.plan
        for write in plan.writes:
            self.time.at(self.began + write.at, partial(self._write, write))
        for reshape in plan.reshapes:
            self.time.at(self.began + reshape.at, partial(self._reshape, reshape))
        for jump in plan.jumps:
            self.time.at(self.began + jump.at, partial(self._jump, jump.seconds))
        for suspension in plan.suspensions:
            self.time.at(self.began + suspension.at, partial(self._suspend, suspension))
        if plan.absence is not None:
            self.time.at(self.began + plan.absence[0], partial(self._go_away, plan.absence[1]))
        if plan.redeliver:
            for share in _CRASHES_MORE:
                self.time.at(self.began + share * plan.writing, self._crash_more)
        self._look_later()

    @property
    def running(self) -> bool:
        return self.current is not None and self.current.running

    def start(self, *, until_caught_up: bool = False, doom: Doom | None = None) -> Process:
        """
        Raises:
            StateError: the one before is suspended, and its lease lasts.
        """
        pipeline, plan = self.pipeline, self.plan
        number = len(pipeline.processes) + 1
        names = [
            sink.name for sink in plan.sinks if not sink.new or number >= plan.new_sink_at or until_caught_up
        ]
        settings = plan.settings
        if until_caught_up:
            # Whoever saw the alarm has raised it.
            settings = replace(settings, max_dead_letters_per_minute=None)
        self.current = pipeline.start(
            until_caught_up=until_caught_up,
            settings=settings,
            sinks=names,
            doom=doom,
            looks_at_clock=self._next_looks_at_clock(),
        )
        return self.current

    def _next_looks_at_clock(self) -> bool:
        """Of the next suspension: it says of its process whether that trusts the clock."""
        ahead = [one for one in self.plan.suspensions if self.began + one.at >= self.time.now]
        return min(ahead, key=lambda one: one.at).looks_at_clock if ahead else True

    def _come_back(self) -> None:
        """Killed, suspended, or the source failed on the very first start (2): whoever runs it starts it again."""
        self._note_end()
        back = max(self._away_until, self.time.now + self._dice.random() * self.plan.downtime)
        self.time.advance(back, done=lambda: self.running)
        if self.running:
            return  # it woke
        doom = self._dooms.pop(0) if self._dooms else None
        try:
            self.start(doom=doom)
        except StateError:
            if doom is not None:
                self._dooms.insert(0, doom)

    def _crash_more(self) -> None:
        """Until a crash has caused something to come again."""
        if self.running and self.current is not None and not self.checks.redelivered:
            self.current.doom(Doom(self._dice.randint(1, 30), at_save=True))

    def _note_end(self) -> None:
        for process in self.pipeline.processes:
            if process.killed and process.number not in self.checks.killed:
                self.checks.killed.add(process.number)
                self.totals.crashes += 1

    def stop_orderly(self) -> None:
        process = self.current
        assert process is not None
        began = self.time.now
        self.totals.stops += 1
        process.stop()
        self.time.advance(began + 15.0, done=lambda: not process.running)
        if process.stopped is None:
            if process.running:
                raise Violation("does not stop", f"after {self.time.now - began:.0f} s")
        elif process.stopped.exit_code != 0 and not self._is_lost(process):
            raise Violation("stop", f"{process.stopped} after {self.time.now - began:.1f} s")

    def _is_lost(self, process: Process) -> bool:
        return not process.owns or process is not self.current

    def finish(self) -> None:
        """The troubles are over: `--until-caught-up` delivers the rest and ends with 0, or with 3 if a snapshot is wanted."""
        plan = self.plan
        self._end_all()
        outages = [end for sink in plan.sinks for _, end in sink.temper.outages]
        written = self.began + plan.writes[-1].at if plan.writes else self.began
        self.time.advance(max([self.time.now, written, *outages]) + 1.0)
        self._end_all()
        self.calm()
        process = self.start(until_caught_up=True)
        self.time.advance(self.time.now + plan.drain, done=lambda: not process.running)
        if process.stopped is None:
            raise Violation("not caught up", "; ".join(lane_states(process)))
        requests = plan.settings.on_gap == "snapshot" and self.checks.gaps.count
        if process.stopped.exit_code != (3 if requests else 0):
            raise Violation("not caught up", f"ended with {process.stopped}")
        self.check_end()

    def _end_all(self) -> None:
        if self.running and self._dice.random() < 0.5:
            self.stop_orderly()
        for process in self.pipeline.processes:
            process.kill()
        self._note_end()

    def calm(self) -> None:
        """Nothing goes wrong any more, and no shard rolls over: where one did every other second, nobody would ever have
        caught up."""
        outside = self.pipeline.outside
        self._api.calm()
        outside.tempers = dict.fromkeys(outside.tempers, Temper())
        for table in self._tables:
            for stream in self.sim.streams.of_table(table):
                for shard in stream.open_shards:
                    shard.rolls_over_at = float("inf")
        outside.troubles = Troubles(source_latency=outside.troubles.source_latency)

    def check_end(self) -> None:
        self.truth.update()
        for sink in self.plan.sinks:
            missing = self.checks.missing(sink.name)
            if missing:
                first = missing[0]
                raise Violation(
                    "lost",
                    f"{len(missing)} changes, the first {first.id.sequence}",
                    sink=sink.name,
                    shard=first.shard,
                    item=first.item,
                )
        saved = self.pipeline.saved
        for cursor in saved.cursors:
            self.checks.check_covered(cursor.sink, cursor.shard, cursor.position)
        totals, outside = self.totals, self.pipeline.outside
        totals.changes = len(self.truth.records)
        totals.rollovers, totals.splits = self.truth.rollovers, self.truth.splits
        totals.redelivered = self.checks.redelivered
        totals.letters = sum(len(letters) for letters in outside.letters.values())
        totals.gaps = self.checks.gaps.count
        totals.commands = sum(process.commands for process in self.pipeline.processes)
        totals.faults += outside.faults

    # What happens by itself

    def _create(self, table: str) -> None:
        self.sim.call(
            "CreateTable",
            {
                "TableName": table,
                "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
                "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
                "BillingMode": "PAY_PER_REQUEST",
                "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
            },
        )

    def _write(self, write: Write) -> None:
        table = {"TableName": table_name(write.table)}
        keys = [{"pk": {"S": f"k{item}"}} for item in write.items]
        self._value += 1
        value = {"value": {"N": str(self._value)}}
        match write.kind:
            case "put":
                self.sim.call("PutItem", {**table, "Item": {**keys[0], **value}})
            case "delete":
                self.sim.call("DeleteItem", {**table, "Key": keys[0]})
            case "update":
                self.sim.call(
                    "UpdateItem",
                    {
                        **table,
                        "Key": keys[0],
                        "UpdateExpression": "SET #v = :v",
                        "ExpressionAttributeNames": {"#v": "value"},
                        "ExpressionAttributeValues": {":v": value["value"]},
                    },
                )
            case "transact":
                puts = [{"Put": {**table, "Item": {**key, **value}}} for key in keys]
                self.sim.call("TransactWriteItems", {"TransactItems": puts})

    def _reshape(self, reshape: Reshape) -> None:
        stream = self.sim.stream(table_name(reshape.table))
        leaves = stream.open_shards
        leaf = leaves[min(int(reshape.which * len(leaves)), len(leaves) - 1)]
        close = self.sim.control.split if reshape.split else self.sim.control.roll
        close(stream.arn, leaf.id)

    def _jump(self, seconds: float) -> None:
        self.time.jumped += seconds

    def _go_away(self, seconds: float) -> None:
        self._away_until = self.time.now + seconds
        for process in self.pipeline.processes:
            process.kill()

    def _suspend(self, suspension: Suspension) -> None:
        process = self.current
        if process is None or not process.running:
            return
        process.pause()

        def wake() -> None:
            if process.alive:
                self.totals.zombies += not process.owns
                process.wake()

        self.time.later(suspension.seconds, wake)

    def _look_later(self) -> None:
        self.time.later(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        if self.current is not None and self.current.running:
            self.checks.look(self.current)
        self._look_later()


def drive(run: Run) -> Violation | None:
    """What the run finds wrong. Whatever else is raised is wrong, too: the engine's own assertions, by their type."""
    try:
        run.drive()
    except Violation as violation:
        return violation
    except Exception as error:  # noqa: BLE001 - it is told
        raised = Violation(type(error).__name__, str(error))
        raised.__cause__ = error
        return raised
    return None


def _sink_plan(sink: PlannedSink) -> SinkPlan:
    return SinkPlan(
        sink.name,
        sink.keeps_positions,
        sink.temper,
        one_in(sink.refuses, f"refuses {sink.name}"),
        one_in(sink.poison, f"poison {sink.name}"),
    )


def lane_states(process: Process) -> list[str]:
    return [
        f"{lane.sink} {lane.shard.shard[-8:]} {lane.state.value} {lane.place} {lane.tracker.durable} "
        f"{lane.halted_because} open={len(lane.tracker.open)}"
        for lane in process.engine.world.lanes()
        if lane.state is not LaneState.FINISHED
    ]
