"""Builds the status document, of a running pipeline and of one that isn't, in one and the same way."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, cast

from cdc.core.gap_kinds import is_gap, is_request, remedy
from cdc.core.lineage import LaneState
from cdc.core.messages import Stop
from cdc.core.status import LaneStatus, SinkStatus, Status
from cdc.model import Position
from cdc.observe.alarms import alarms
from cdc.observe.document import (
    AlarmReport,
    ExitReport,
    GapReport,
    OwnerReport,
    PositionReport,
    Report,
    ResetReport,
    ShardReport,
    SinkReport,
    SourceReport,
    StateReport,
    TableReport,
)
from cdc.observe.figures import TableAtSink, Watermarks, figures
from cdc.observe.plain import utc
from cdc.observe.saved import SavedLane, saved_lanes
from cdc.ports import Owner, Saved, SavedGap

Lane = LaneStatus | SavedLane
_State = Literal["down", "opening", "probing", "up", "halted", "stopped", "not configured"]


@dataclass(frozen=True, slots=True)
class Facts:
    """What the engine does not know about its pipeline."""

    pipeline: str
    tables: Sequence[str]
    """As configured."""
    sinks: Mapping[str, str]
    """Type by name, as configured."""
    running: bool
    owner: Owner | None = None
    dead_letters: Mapping[str, int] | None = None
    """Kept letters by sink (`DeadLetters.count`); None: not asked."""
    gaps: Sequence[SavedGap] = ()
    """All that were ever saved; of `Saved`, its own are taken."""
    exit: Stop | None = None
    alarms: Sequence[AlarmReport] = ()
    """What was found outside of the engine."""


@dataclass(frozen=True, slots=True)
class _View:
    """A `Status`, or as much of one as saved positions make."""

    lanes: Sequence[Lane]
    """Unfinished ones, and finished ones that still count."""
    sinks: Mapping[str, SinkStatus] = field(default_factory=dict)
    finished: int = 0
    listed: Sequence[str] = ()
    source_error: str = ""
    state: StateReport = StateReport()  # noqa: RUF009 - frozen
    gaps: Sequence[SavedGap] = ()
    through: Mapping[tuple[str, str], float] = field(default_factory=dict)


def report(what: Status | Saved, facts: Facts, *, at: float, watermarks: Watermarks | None = None) -> Report:
    """The status of a pipeline.

    Args:
        what: the newest status of this process, or what a pipeline that isn't running has saved.
        facts: the rest.
        at: epoch seconds, now.
        watermarks: of this process, kept from report to report so that `complete_through` never goes back.
    """
    view = _of_saved(what, at) if isinstance(what, Saved) else _of_status(what, facts, watermarks)
    found = figures(view.lanes)
    gaps = _gaps(view)
    shards = tuple(_shard(lane) for lane in view.lanes if lane.state is not LaneState.FINISHED)
    names = [*facts.sinks, *sorted({lane.sink for lane in view.lanes} - set(facts.sinks))]
    sinks = tuple(_sink(name, facts, view, found, gaps) for name in names)
    listed = sorted(view.listed)
    source = SourceReport(
        listed=tuple(listed),
        missing=tuple(table for table in facts.tables if table not in listed) if facts.running else (),
        error=view.source_error,
    )
    in_order = sorted(view.gaps, key=lambda gap: gap.found_at)
    saved = tuple(_gap(gap) for gap in in_order if is_gap(gap))
    return Report(
        version=1,
        pipeline=facts.pipeline,
        at=utc(at),
        running=facts.running,
        owner=_owner(facts.owner) if facts.owner is not None else None,
        alarms=alarms(
            running=facts.running,
            source=source,
            sinks=sinks,
            shards=shards,
            gaps=saved,
            state=view.state,
            more=facts.alarms,
        ),
        source=source,
        sinks=sinks,
        shards=shards,
        finished_shards=view.finished,
        gaps=saved,
        exit=ExitReport(code=facts.exit.exit_code, reason=facts.exit.reason, remedy=facts.exit.remedy)
        if facts.exit is not None
        else None,
        state=view.state,
        resets=tuple(_reset(gap) for gap in in_order if not is_gap(gap)),
    )


def _of_status(status: Status, facts: Facts, watermarks: Watermarks | None) -> _View:
    through = (watermarks or Watermarks()).advance(figures(status.lanes))
    sinks = {sink.name: sink for sink in status.sinks}
    return _View(
        status.lanes,
        sinks,
        status.finished_lanes,
        status.tables,
        status.source_error,
        StateReport(error=status.save_error, remedy=status.save_remedy),
        facts.gaps,
        through,
    )


def _of_saved(saved: Saved, at: float) -> _View:
    """`complete_through` stays unknown: an ended shard may have children of which nothing is saved yet."""
    lanes = list(saved_lanes(saved, at=at))
    unfinished = [lane for lane in lanes if lane.state is not LaneState.FINISHED]
    return _View(unfinished, finished=len(lanes) - len(unfinished), gaps=saved.gaps)


def _sink(
    name: str,
    facts: Facts,
    view: _View,
    found: Mapping[tuple[str, str], TableAtSink],
    gaps: Mapping[tuple[str, str], int],
) -> SinkReport:
    known = view.sinks.get(name)
    tables = [*facts.tables, *sorted({table for table, sink in found if sink == name} - set(facts.tables))]
    return SinkReport(
        name=name,
        type=facts.sinks.get(name, ""),
        state=_state(name, known, facts),
        error=known.error if known else "",
        remedy=known.remedy if known else "",
        delivered=known.delivered if known else 0,
        redelivered=known.redelivered if known else 0,
        dead_letters=facts.dead_letters.get(name, 0) if facts.dead_letters is not None else None,
        dead_letters_written=known.dead_letters if known else 0,
        batches_in_flight=known.batches if known else 0,
        tables=tuple(
            _table(
                table, found.get((table, name)), view.through.get((table, name)), gaps.get((table, name), 0)
            )
            for table in tables
        ),
        dead_letters_error=known.letters_error if known else "",
        dead_letters_remedy=known.letters_remedy if known else "",
    )


def _state(name: str, known: SinkStatus | None, facts: Facts) -> _State:
    if name not in facts.sinks:
        return "not configured"
    if not facts.running:
        return "stopped"
    return cast(_State, known.state) if known else "down"


def _table(table: str, figure: TableAtSink | None, through: float | None, gaps: int) -> TableReport:
    return TableReport(
        table=table,
        lag_seconds=figure.lag_seconds if figure else None,
        retention_headroom_seconds=figure.headroom_seconds if figure else None,
        complete_through=utc(through) if through is not None else None,
        batches_in_flight=figure.batches if figure else 0,
        shards={
            state.value: number for state, number in figure.shards.items() if state is not LaneState.FINISHED
        }
        if figure
        else {},
        gaps=gaps,
    )


def _shard(lane: Lane) -> ShardReport:
    return ShardReport(
        table=lane.table,
        sink=lane.sink,
        stream=lane.stream,
        shard=lane.shard,
        state=cast(
            Literal["waiting", "unclaimed", "claiming", "flowing", "ending", "halted"], lane.state.value
        ),
        position=_position(lane.position),
        lag_seconds=lane.lag_seconds,
        retention_headroom_seconds=lane.headroom_seconds,
        through=utc(lane.through) if lane.through is not None else None,
        batches_in_flight=lane.batches,
        waits_for=lane.waits_for,
        gap=lane.gap,
        remedy=lane.remedy,
    )


def _position(position: Position) -> PositionReport:
    return PositionReport(
        place=cast(Literal["beginning", "after", "end"], position.place.name.lower()),
        sequence=position.sequence,
        not_before=utc(position.not_before) if position.not_before is not None else None,
        epoch=position.epoch,
    )


def _gaps(view: _View) -> Mapping[tuple[str, str], int]:
    """How many there were of each table at each sink."""
    counts: Counter[tuple[str, str]] = Counter()
    for gap in view.gaps:
        if is_gap(gap):
            counts[gap.table, gap.sink] += gap.count
    return counts


def _gap(gap: SavedGap) -> GapReport:
    return GapReport(
        table=gap.table,
        sink=gap.sink,
        stream=gap.shard.stream,
        shard=gap.shard.shard if gap.shard.stream else "",
        found_at=utc(gap.found_at),
        reason=gap.reason,
        decision=gap.decision,
        kind=gap.kind,
        certain=gap.certain,
        open=not gap.decision or is_request(gap),
        remedy=remedy(gap),
        after=gap.after,
        decided_at=_utc(gap.decided_at),
        count=gap.count,
        last_found_at=_utc(gap.last_found_at),
    )


def _reset(gap: SavedGap) -> ResetReport:
    return ResetReport(
        table=gap.table,
        sink=gap.sink,
        stream=gap.shard.stream,
        shard=gap.shard.shard if gap.shard.stream else "",
        at=utc(gap.decided_at if gap.decided_at is not None else gap.newest_at),
        decision=gap.decision,
        count=gap.count,
    )


def _utc(at: float | None) -> str | None:
    return None if at is None else utc(at)


def _owner(owner: Owner) -> OwnerReport:
    return OwnerReport(
        host=owner.host,
        pid=owner.pid,
        admin=owner.admin,
        heartbeat=utc(owner.heartbeat) if owner.heartbeat else None,
    )
