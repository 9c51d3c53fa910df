"""What happens in a run, all of it: made from a seed, and small enough to be shrunk part by part."""

from dataclasses import dataclass, field
from typing import Literal

from cdc.core.world import Settings
from cdc.testing.sim.behaviour import Behaviour
from tests.sim.engine.process import Doom, Troubles
from tests.sim.engine.sink import Temper

WriteKind = Literal["put", "update", "delete", "transact"]


@dataclass(frozen=True, slots=True)
class Write:
    """One request to a table. Times: seconds since the run began."""

    at: float
    table: int
    kind: WriteKind
    items: tuple[int, ...]
    """One, or for a transaction some different ones."""


@dataclass(frozen=True, slots=True)
class Reshape:
    """A shard is closed: it splits, or rolls over."""

    at: float
    table: int
    split: bool
    which: float
    """Of the open shards, from 0 (the first) to 1."""


@dataclass(frozen=True, slots=True)
class Suspension:
    """The process is suspended, and goes on later, when another one may have taken its place."""

    at: float
    seconds: float
    looks_at_clock: bool


@dataclass(frozen=True, slots=True)
class Jump:
    """The host's wall clock is set forward or back."""

    at: float
    seconds: float


@dataclass(frozen=True, slots=True)
class PlannedSink:
    name: str
    keeps_positions: bool = False
    refuses: int = 0
    """One change in so many is refused for ever; 0: none."""
    poison: int = 0
    """Every batch with one of these changes is refused as a whole, one in so many; 0: none."""
    temper: Temper = field(default_factory=Temper)
    new: bool = False
    """Configured from `Plan.new_sink_at` on."""
    late_after: float | None = None
    """It has no troubles of its own: no change waits longer for it while a process runs, whatever the others do."""


@dataclass(frozen=True, slots=True)
class SourceFaults:
    """Chances of a call."""

    trouble: float = 0.0
    """A throttle, a fault of the service, no answer."""
    lost: float = 0.0
    """Of those: the call was carried out."""
    damaged: float = 0.0
    """The answer cannot be understood."""
    expired: float = 0.0
    """Of a read: its iterator has expired before its time."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Times: seconds since the run began, but for the sinks' outages, which are monotonic."""

    seed: int
    settings: Settings
    behaviour: Behaviour
    tables: int
    writes: tuple[Write, ...]
    sinks: tuple[PlannedSink, ...]
    writing: float
    """How long the writes take."""
    reshapes: tuple[Reshape, ...] = ()
    troubles: Troubles = field(default_factory=Troubles)
    source_faults: SourceFaults = field(default_factory=SourceFaults)
    dooms: tuple[Doom, ...] = ()
    """Of one process after the other."""
    stops: tuple[float, ...] = ()
    """SIGTERM at these times."""
    suspensions: tuple[Suspension, ...] = ()
    jumps: tuple[Jump, ...] = ()
    absence: tuple[float, float] | None = None
    """From when on nobody runs, and for how long."""
    gaps: bool = False
    """Changes may expire before somebody has them."""
    new_sink_at: int = 0
    """The number of the first process that has the new sink; 0: there is none."""
    downtime: float = 2.0
    """How long nobody runs after a crash, at most."""
    redeliver: bool = True
    """Further crashes until one has caused a redelivery."""
    drain: float = 240.0
    """How long after the last write everything is delivered at the latest."""
