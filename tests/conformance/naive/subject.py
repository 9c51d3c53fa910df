"""The naive loop as a subject: boto3's own clients, answered by the simulated service inside of this process."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Literal, cast

from botocore.exceptions import BotoCoreError, ClientError

from cdc.testing.sim.service import Sim
from tests.conformance.naive.loop import Loop
from tests.conformance.subject import Options, Report, Start
from tests.conformance.world import Arrival, Destination, World
from tests.dynamodb_streams.sim_boto3 import client

_RESTART_SECONDS = 10.0
_CALL_SECONDS = 0.01
"""What a turn of the loop takes at least."""


class _Present:
    """Answers for the simulation of the present trial: boto3 takes longer to make a client than a trial lasts."""

    sim: Sim

    def answer(self, operation: str, request: Mapping[str, Any]) -> bytes:
        return self.sim.answer(operation, request)


@cache
def _clients() -> tuple[_Present, Any, Any]:
    present = _Present()
    sim = cast("Sim", present)
    return present, client(sim, "dynamodb"), client(sim, "dynamodbstreams")


def _clients_of(sim: Sim) -> tuple[Any, Any]:
    present, tables, streams = _clients()
    present.sim = sim
    return tables, streams


class _Process:
    def __init__(self, steps: list[Iterator[float]]) -> None:
        self.steps = steps
        self.alive = True
        self.paused: list[Callable[[], None]] | None = None
        """While it is: what it would do."""
        self.exit_code: int | None = None


class NaiveLoop:
    """A loop for each table. Nothing but the checkpoints outlives a process."""

    name = "naive"

    def __init__(self, world: World, options: Options) -> None:
        self.world = world
        self._options = options
        self._tables, self._streams = _clients_of(world.sim)
        self._checkpoints: dict[str, dict[str, str]] = {table: {} for table in options.tables}
        self._processes: dict[str, _Process] = {}
        self._loops: list[Loop] = []

    def start(
        self,
        process: str = "a",
        *,
        until_caught_up: bool = False,
        host: str = "host",
        start: Start | None = None,
    ) -> None:
        targets = [_Target(one, self.world) for one in self.world.destinations.values()]
        loops = [
            Loop(
                self._tables,
                self._streams,
                table,
                targets,
                self._checkpoints[table],
                start=start or self._options.start,
                poll_seconds=self._options.idle_poll_seconds,
                time=lambda: self.world.time.instant().wall,
            )
            for table in self._options.tables
        ]
        self._loops = loops
        started = _Process([loop.run() for loop in loops])
        self._processes[process] = started
        for step in started.steps:
            self._later(0.0, started, step)

    def _later(self, seconds: float, process: _Process, step: Iterator[float]) -> None:
        self.world.time.later(max(seconds, _CALL_SECONDS), lambda: self._step(process, step))

    def _step(self, process: _Process, step: Iterator[float]) -> None:
        if not process.alive:
            return
        if process.paused is not None:
            process.paused.append(lambda: self._later(0.0, process, step))
            return
        try:
            seconds = next(step)
        except (ClientError, BotoCoreError):
            process.alive, process.exit_code = False, 1  # a traceback
            self.world.time.later(_RESTART_SECONDS, lambda: self._restart(process))
        else:
            self._later(seconds, process, step)

    def _restart(self, ended: _Process) -> None:
        """As a supervisor does, unless somebody else has started or ended it meanwhile."""
        for name, process in self._processes.items():
            if process is ended and process.exit_code == 1:
                self.start(name)
                return

    def kill(self, process: str = "a") -> None:
        self._processes[process].alive = False
        self._processes[process].exit_code = None

    def terminate(self, process: str = "a") -> None:
        """No handler: the default action. (Redpanda Connect has one, and drops the acknowledgements that come after it.)"""
        self._processes[process].alive = False
        self._processes[process].exit_code = 0

    def pause(self, process: str = "a") -> None:
        self._processes[process].paused = []

    def resume(self, process: str = "a") -> None:
        one = self._processes[process]
        waiting, one.paused = one.paused or [], None
        for action in waiting:
            action()

    def running(self, process: str = "a") -> bool:
        return process in self._processes and self._processes[process].alive

    def exit_code(self, process: str = "a") -> int | None:
        return self._processes[process].exit_code

    def reports(self) -> Sequence[Report]:
        """It has log lines at most: nobody sees those."""
        return ()

    def decide(self, sink: str, to: Literal["trim-horizon", "latest"] = "trim-horizon") -> None:
        """Nothing waits for a decision."""

    def saved_rows(self) -> int:
        return sum(map(len, self._checkpoints.values()))

    def refusals(self) -> set[str]:
        """Nobody refuses anything."""
        return set()

    def entries(self) -> int:
        return sum(len(loop.iterators) for loop in self._loops)


class _Target:
    """A client of a destination: takes a page, and acknowledges it once it is durable."""

    def __init__(self, destination: Destination, world: World) -> None:
        self._destination, self._world = destination, world

    def send(self, stream: str, shard: str, records: Sequence[Any]) -> Callable[[], bool]:
        destination, world = self._destination, self._world
        if world.time.now < destination.down_until:
            raise ConnectionError(f"{destination.name} is down")
        durable: list[bool] = []

        def commit() -> None:
            if world.time.now < destination.down_until:
                world.time.later(destination.down_until - world.time.now, commit)
                return
            destination.arrived += [
                Arrival(stream, shard, int(one["dynamodb"]["SequenceNumber"]), world.now, one)
                for one in records
            ]
            durable.append(True)

        world.time.later(destination.accept_seconds + destination.commit_seconds, commit)
        return lambda: bool(durable)
