"""From shards to what is asked about a table at a sink: how late, how much time is left, complete up to when."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from cdc.core.lineage import LaneState


class LaneFigures(Protocol):
    """One shard at one sink: `cdc.core.status.LaneStatus`, or what is saved of it."""

    @property
    def table(self) -> str: ...
    @property
    def sink(self) -> str: ...
    @property
    def stream(self) -> str: ...
    @property
    def state(self) -> LaneState: ...
    @property
    def lag_seconds(self) -> float | None: ...
    @property
    def headroom_seconds(self) -> float | None: ...
    @property
    def through(self) -> float | None: ...
    @property
    def batches(self) -> int: ...


@dataclass(frozen=True, slots=True)
class TableAtSink:
    """What is known of one table at one sink. None: unknown."""

    table: str
    sink: str
    lag_seconds: float | None
    """The age of the oldest change that may not be durable there."""
    headroom_seconds: float | None
    """How long until the oldest change that is not durable there expires."""
    complete_through: float | None
    """Epoch seconds: every change before it is durable there."""
    batches: int
    """Given and not durable."""
    shards: Mapping[LaneState, int]


def figures(lanes: Iterable[LaneFigures]) -> dict[tuple[str, str], TableAtSink]:
    """By table and sink: the worst of their shards."""
    grouped: dict[tuple[str, str], list[LaneFigures]] = {}
    for lane in lanes:
        grouped.setdefault((lane.table, lane.sink), []).append(lane)
    return {key: _figures(*key, group) for key, group in grouped.items()}


def _figures(table: str, sink: str, lanes: list[LaneFigures]) -> TableAtSink:
    counted = _counted(lanes)
    unfinished = [lane for lane in counted if lane.state is not LaneState.FINISHED]
    return TableAtSink(
        table,
        sink,
        _worst(max, [lane.lag_seconds for lane in unfinished]),
        _worst(min, [lane.headroom_seconds for lane in unfinished]),
        # An ended shard counts as long as it is shown: its children are not known yet.
        # One that waits alone is one whose stream has not been listed: what else there is, nobody knows.
        _worst(min, [None if lane.state is LaneState.WAITING else lane.through for lane in counted]),
        sum(lane.batches for lane in lanes),
        Counter(lane.state for lane in lanes),
    )


def _counted(lanes: list[LaneFigures]) -> list[LaneFigures]:
    """Without those that wait for their parent: what is late there begins after the parent's end, and the parent is
    among the others. Where a stream has no others, they are all that is known of it."""
    going = {lane.stream for lane in lanes if lane.state not in (LaneState.WAITING, LaneState.FINISHED)}
    return [lane for lane in lanes if lane.state is not LaneState.WAITING or lane.stream not in going]


class _Choose(Protocol):
    def __call__(self, values: list[float], /) -> float: ...


def _worst(choose: _Choose, values: list[float | None]) -> float | None:
    """None if one of them is unknown: the worst of the others would say too much."""
    known = [value for value in values if value is not None]
    return choose(known) if known and len(known) == len(values) else None


class Watermarks:
    """Keeps `complete_through` from going back: what was complete once stays so, whatever shards appear later."""

    def __init__(self) -> None:
        self._highest: dict[tuple[str, str], float] = {}

    def advance(self, found: Mapping[tuple[str, str], TableAtSink]) -> Mapping[tuple[str, str], float]:
        """The highest value yet of each table and sink, epoch seconds; absent as long as unknown."""
        for key, table in found.items():
            if table.complete_through is not None:
                self._highest[key] = max(
                    table.complete_through, self._highest.get(key, table.complete_through)
                )
        return dict(self._highest)
