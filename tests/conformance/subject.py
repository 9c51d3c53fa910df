"""What is tested: a thing that reads the simulated service's streams and delivers to the world's destinations."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from tests.conformance.world import World

Start = Literal["trim-horizon", "latest"]


@dataclass(frozen=True, slots=True)
class Options:
    """What a scenario asks for. Each subject makes of it what it has."""

    start: Start = "trim-horizon"
    on_gap: Literal["halt", "skip"] = "halt"
    idle_poll_seconds: float = 1.0
    """Raised where a scenario lasts for days."""
    tables: tuple[str, ...] = (World.TABLE,)
    looks_at_clock: bool = True
    """A process ends by itself once its lease may be over; without it only others stop it."""


@dataclass(frozen=True, slots=True)
class Report:
    """A loss that a subject told: as state that stays, not as a line in a log."""

    sink: str
    stream: str
    shard: str
    kind: str
    """`cdc.core.gap_kinds.GapKind`."""
    certain: bool
    """False: nobody can know whether anything was lost."""
    decided: bool
    """False: the shard waits for the operator at this sink."""


class Subject(Protocol):
    """Every process of it is named; most scenarios have one. What it saves is shared by its processes, and outlives them."""

    name: str
    world: World

    def start(
        self,
        process: str = "a",
        *,
        until_caught_up: bool = False,
        host: str = "host",
        start: Start | None = None,
    ) -> None:
        """Starts a process; a dead one of the same name is replaced. Nothing happens before time passes. It may be refused:
        then it has ended with its exit code.

        Args:
            host: the machine. Only there can somebody see that a process is dead.
            start: another one than the options', as if the configuration had been changed.
        """
        ...

    def kill(self, process: str = "a") -> None:
        """`kill -9`: nothing of it happens from now on, but for what has left for a destination already."""
        ...

    def terminate(self, process: str = "a") -> None:
        """SIGTERM; time passes until it has ended, thirty seconds at most."""
        ...

    def pause(self, process: str = "a") -> None:
        """SIGSTOP: it does nothing and believes itself alive, until `resume`."""
        ...

    def resume(self, process: str = "a") -> None: ...

    def running(self, process: str = "a") -> bool: ...

    def exit_code(self, process: str = "a") -> int | None:
        """None: it runs, or was killed."""
        ...

    def reports(self) -> Sequence[Report]:
        """Every loss that was ever told."""
        ...

    def decide(self, sink: str, to: Literal["trim-horizon", "latest"] = "trim-horizon") -> None:
        """The operator's decision about every gap of this sink; no process runs meanwhile."""
        ...

    def saved_rows(self) -> int:
        """How many positions are saved."""
        ...

    def refusals(self) -> set[str]:
        """What of its processes' writes and saves was refused, as another one has their place: `fenced`, `save refused`."""
        ...

    def entries(self) -> int:
        """How many shards the newest process holds in memory."""
        ...
