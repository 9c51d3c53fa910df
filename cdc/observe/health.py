"""Whether the process lives (`/health`) and whether it does its work (`/ready`)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from cdc.core.lineage import LaneState
from cdc.core.status import SinkStatus, Status
from cdc.observe.metrics import is_open


@dataclass(frozen=True, slots=True)
class Health:
    """An answer: `ok`, or the reasons why not."""

    ok: bool
    reasons: tuple[str, ...] = ()


class LoopHealth:
    """Healthy while the engine's loop turns. `turned` is called by the loop, the rest by any thread.

    Args:
        monotonic: seconds.
        within_seconds: how long one turn may take. Longer than the slowest thing that a turn does by itself.
    """

    def __init__(self, monotonic: Callable[[], float], *, within_seconds: float = 30.0) -> None:
        self._monotonic = monotonic
        self._within = within_seconds
        self._turned_at = monotonic()

    def turned(self) -> None:
        self._turned_at = self._monotonic()

    def __call__(self) -> Health:
        ago = self._monotonic() - self._turned_at
        if ago <= self._within:
            return Health(ok=True)
        return Health(ok=False, reasons=(f"the engine has not turned for {ago:.0f} s",))


def readiness(status: Status | None, *, tables: Sequence[str], sinks: Sequence[str]) -> Health:
    """Ready: every configured table's shards are listed, the source answers, every configured sink is open, none
    of its shards is halted or waits for something outside, its dead letters can be written, and the state can be saved.

    Args:
        status: the newest one; None before the first.
        tables: as configured.
        sinks: their names, as configured.
    """
    if status is None:
        return Health(ok=False, reasons=("starting",))
    known = {sink.name: sink for sink in status.sinks}
    reasons = [
        f"table {table}: its shards are not listed yet" for table in tables if table not in status.tables
    ]
    if status.source_error:
        reasons.append(f"source: {status.source_error}")
    if status.save_error:
        reasons.append(f"state: it cannot be saved: {status.save_error}")
    for name in sinks:
        reasons += _sink(name, known.get(name))
        halted = [lane for lane in status.lanes if lane.sink == name and lane.state is LaneState.HALTED]
        if halted:
            number = "1 shard is" if len(halted) == 1 else f"{len(halted)} shards are"
            reasons.append(f"sink {name}: {number} halted: {halted[0].waits_for}")
    return Health(ok=not reasons, reasons=tuple(reasons))


def _sink(name: str, sink: SinkStatus | None) -> Iterator[str]:
    """Why it does not do its work as a whole."""
    if sink is None:
        yield f"sink {name} is not there yet"
        return
    if not is_open(sink):
        yield f"sink {name} is {sink.state}" + (f": {sink.error}" if sink.error else "")
    elif sink.waits:
        yield f"sink {name}: shards wait: {sink.waits}"
    if sink.letters_error:
        yield f"sink {name}: dead letters cannot be written: {sink.letters_error}"
