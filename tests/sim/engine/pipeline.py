"""A pipeline in virtual time: its surroundings, and one process of it after the other, or two at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from cdc.core import messages as m
from cdc.core.status import Status
from cdc.core.world import Settings
from cdc.model import Change
from cdc.ports import Saved, Source
from tests.sim.engine.destination import Delivered, Destination, nothing
from tests.sim.engine.dice import Dice
from tests.sim.engine.process import Doom, Outside, Process, Troubles, Watch
from tests.sim.engine.sink import Temper
from tests.sim.engine.virtual_time import VirtualTime


@dataclass(frozen=True, slots=True)
class SinkPlan:
    """A fake sink and its destination."""

    name: str
    keeps_positions: bool = False
    """Exactly once: positions with the data, fencing on claim; else at least once."""
    temper: Temper = field(default_factory=Temper)
    refuses: Callable[[Change], bool] = nothing
    """These changes are refused one by one (`Durability.rejects`)."""
    poison: Callable[[Change], bool] = nothing
    """Batches with one of these are refused as a whole."""


class Pipeline:
    """`start` makes a process; the last one started is the one that the other methods mean.

    Args:
        source: what the processes read from: the shipped connector on a simulated service.
        tables: their names.
        sinks: what they write to.
        settings: of the engine, unless `start` has others.
        time: shared with the service behind `source`.
        seed: of the latencies, and of what goes wrong.
        watch: looks at everything.
    """

    def __init__(
        self,
        source: Source,
        tables: Sequence[str],
        sinks: Sequence[SinkPlan],
        *,
        settings: Settings | None = None,
        time: VirtualTime | None = None,
        seed: int = 0,
        troubles: Troubles | None = None,
        watch: Watch | None = None,
    ) -> None:
        self.time = time or VirtualTime()
        self.settings = settings or Settings()
        self.destinations = {
            sink.name: Destination(sink.name, sink.keeps_positions, sink.refuses, sink.poison)
            for sink in sinks
        }
        self.outside = Outside(
            self.time,
            Dice(seed),
            source,
            list(tables),
            self.destinations,
            {sink.name: sink.temper for sink in sinks},
            troubles or Troubles(),
            watch or Watch(),
        )
        self.processes: list[Process] = []

    @property
    def process(self) -> Process:
        """The last one that was started."""
        return self.processes[-1]

    def start(
        self,
        *,
        until_caught_up: bool = False,
        settings: Settings | None = None,
        sinks: Sequence[str] | None = None,
        doom: Doom | None = None,
        host: str = "host",
        looks_at_clock: bool = True,
    ) -> Process:
        """A new process; by default with all sinks and the pipeline's settings.

        Raises:
            StateError: `NOT_OWNER`: another process lives, or died on another host and its lease still lasts.
        """
        settings = replace(settings or self.settings, until_caught_up=until_caught_up)
        process = Process(
            self.outside,
            len(self.processes) + 1,
            settings,
            list(self.destinations) if sinks is None else sinks,
            host=host,
            doom=doom,
            looks_at_clock=looks_at_clock,
        )
        self.processes.append(process)
        process.begin()
        return process

    def kill(self) -> None:
        self.process.kill()

    def stop(self) -> None:
        """SIGTERM; `advance` until it has `stopped`."""
        self.process.stop()

    def pause(self) -> None:
        self.process.pause()

    def wake(self) -> None:
        self.process.wake()

    def advance(self, until: float, *, done: Callable[[], bool] = lambda: False) -> bool:
        """Lets time pass up to this one (monotonic), or until it is `done`; whether it is."""
        return self.time.advance(until, done=done)

    def pass_time(self, seconds: float) -> None:
        self.time.advance(self.time.now + seconds)

    def wait_for_end(self, seconds: float) -> m.Stop:
        """Lets time pass until the process has stopped."""
        self.time.advance(self.time.now + seconds, done=lambda: not self.process.alive)
        if self.process.stopped is None:
            raise AssertionError(f"not stopped within {seconds} s")
        return self.process.stopped

    def delivered(self, sink: str) -> Sequence[Delivered]:
        """What became durable, in order, redelivered changes each time."""
        return self.destinations[sink].delivered

    @property
    def saved(self) -> Saved:
        return self.outside.state.saved

    @property
    def status(self) -> Status:
        return self.process.status

    @property
    def notices(self) -> Sequence[m.Notice]:
        """Of all processes, in order."""
        return [notice for process in self.processes for _, notice in process.notices]

    @property
    def stopped(self) -> m.Stop | None:
        return self.process.stopped
