"""The service as a subject: the whole core and the shipped connector, on fake sinks and a store in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import msgspec

from cdc.core.world import Settings
from cdc.errors import ErrorKind, SourceError, StateError
from cdc.model import Shard, ShardKey
from cdc.ports import Owner
from cdc.runtime.anew import Target
from cdc.runtime.positions import reset_of
from cdc.testing.memory_store import MemoryStore
from tests.conformance.subject import Options, Report, Start
from tests.conformance.world import Arrival, Destination, World
from tests.dynamodb_streams.sim_api import source_on
from tests.sim.engine.destination import Delivered
from tests.sim.engine.pipeline import Pipeline, SinkPlan
from tests.sim.engine.process import Process
from tests.sim.engine.sink import Temper
from tests.sim.engine.virtual_time import VirtualTime

_STOPS_WITHIN_SECONDS = 30.0


class Service:
    """Its processes share the connector, which remembers nothing of what it read."""

    name = "service"

    def __init__(self, world: World, options: Options) -> None:
        self.world = world
        self._source = source_on(world.sim, *options.tables)
        self._tables = options.tables
        self._pipeline = Pipeline(
            self._source,
            options.tables,
            [
                SinkPlan(
                    one.name,
                    one.exactly_once,
                    _Weather(accept=one.accept_seconds, commit=one.commit_seconds, destination=one),
                )
                for one in world.destinations.values()
            ],
            settings=Settings(
                start=options.start, on_gap=options.on_gap, idle_poll_seconds=options.idle_poll_seconds
            ),
            time=world.time,
            seed=world.seed,
        )
        for destination in world.destinations.values():
            self._pipeline.destinations[destination.name].heard = _Recorder(destination, world.time)
        self._looks_at_clock = options.looks_at_clock
        self._processes: dict[str, Process] = {}
        self._refused: dict[str, StateError] = {}

    def start(
        self,
        process: str = "a",
        *,
        until_caught_up: bool = False,
        host: str = "host",
        start: Start | None = None,
    ) -> None:
        self._refused.pop(process, None)
        settings = self._pipeline.settings
        try:
            self._processes[process] = self._pipeline.start(
                until_caught_up=until_caught_up,
                settings=settings if start is None else replace(settings, start=start),
                host=host,
                looks_at_clock=self._looks_at_clock,
            )
        except StateError as error:
            if error.kind is not ErrorKind.NOT_OWNER:
                raise
            self._processes.pop(process, None)
            self._refused[process] = error

    def kill(self, process: str = "a") -> None:
        self._processes[process].kill()

    def terminate(self, process: str = "a") -> None:
        one = self._processes[process]
        one.stop()
        time = self.world.time
        time.advance(time.now + _STOPS_WITHIN_SECONDS, done=lambda: not one.alive)

    def pause(self, process: str = "a") -> None:
        self._processes[process].pause()

    def resume(self, process: str = "a") -> None:
        self._processes[process].wake()

    def running(self, process: str = "a") -> bool:
        return process in self._processes and self._processes[process].alive

    def exit_code(self, process: str = "a") -> int | None:
        if process in self._refused:
            return 1
        stopped = self._processes[process].stopped
        return None if stopped is None else stopped.exit_code

    def reports(self) -> Sequence[Report]:
        return [
            Report(gap.sink, gap.shard.stream, gap.shard.shard, gap.kind, gap.certain, bool(gap.decision))
            for gap in self._pipeline.saved.gaps
        ]

    def decide(self, sink: str, to: Target = "trim-horizon") -> None:
        """What `cdc positions reset` saves for all that waits."""
        saved = self._pipeline.saved
        waiting = [gap.shard for gap in saved.gaps if gap.sink == sink and not gap.decision]
        listed = self._listed()
        wall = self.world.time.instant().wall
        change, _ = reset_of(saved, listed, sink, waiting, to, wall)
        store = MemoryStore(self._pipeline.outside.state)
        # On the same host: it sees that the process is dead.
        lease = store.acquire(Owner("host", 0, "operator"), lease_seconds=15.0, now=wall)
        store.save(lease, change)
        store.release(lease)

    def _listed(self) -> dict[ShardKey, Shard]:
        while True:  # as the operator does, who types the command again
            try:
                streams = [self._source.stream(table) for table in self._tables]
                return {shard.key: shard for one in streams for shard in self._source.shards(one).shards}
            except SourceError as error:
                if error.kind not in (ErrorKind.THROTTLED, ErrorKind.UNAVAILABLE):
                    raise

    def saved_rows(self) -> int:
        return len(self._pipeline.saved.cursors)

    def refusals(self) -> set[str]:
        return {"fenced", "save refused"} & set(self._pipeline.outside.faults)

    def entries(self) -> int:
        return sum(1 for _ in self._pipeline.process.engine.world.entries())


@dataclass(frozen=True, slots=True)
class _Recorder:
    """Writes down what became durable."""

    destination: Destination
    time: VirtualTime

    def __call__(self, delivered: Delivered, *, again: bool) -> None:
        change, (stream, shard) = delivered.change, delivered.shard
        self.destination.arrived.append(
            Arrival(
                stream,
                shard,
                int(change.sequence),
                self.time.service_now(),
                msgspec.json.decode(msgspec.json.encode(change)),
            )
        )


@dataclass(frozen=True, slots=True)
class _Weather(Temper):
    """A sink is down when its destination is."""

    destination: Destination = field(default_factory=lambda: Destination(""))

    def outage_ends(self, now: float) -> float | None:
        ends = self.destination.down_until
        return ends if now < ends else None
