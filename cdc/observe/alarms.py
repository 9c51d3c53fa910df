"""What somebody has to look at, the worst first: the same list in the JSON and on top of the page."""

from collections.abc import Collection, Iterable, Iterator

from cdc.observe.document import AlarmReport, GapReport, ShardReport, SinkReport, SourceReport, StateReport
from cdc.observe.plain import duration

HEADROOM_ERROR_SECONDS = 4 * 3600.0
"""So little is left that the one who is woken up has to begin now."""
HEADROOM_WARNING_SECONDS = 12 * 3600.0
"""Half of the retention time is gone."""

_SOURCE = "mend what the reason names (the table, its stream, permissions, the endpoint); it is tried again until then"
_CATCH_UP = "find out what slows this sink down: its changes expire 24 hours after they were made"


def alarms(
    *,
    running: bool,
    source: SourceReport,
    sinks: Iterable[SinkReport],
    shards: Iterable[ShardReport],
    gaps: Iterable[GapReport],
    state: StateReport,
    more: Iterable[AlarmReport] = (),
) -> tuple[AlarmReport, ...]:
    """Errors first; within them in the order: what was found elsewhere, shards, sinks, state, source."""
    found = [
        *more,
        *_shards(shards, gaps),
        *_sinks(sinks, running=running),
        *_state(state),
        *_source(source, running=running),
    ]
    return tuple(sorted(found, key=lambda alarm: alarm.severity != "error"))


def _shards(shards: Iterable[ShardReport], gaps: Iterable[GapReport]) -> Iterator[AlarmReport]:
    halted = set()
    waiting = set()
    for shard in shards:
        if shard.state == "flowing" and shard.waits_for and shard.remedy:
            cause = (shard.sink, shard.table, shard.waits_for)
            if cause not in waiting:  # one for all shards of the table
                waiting.add(cause)
                yield AlarmReport(
                    severity="error",
                    about=f"sink {shard.sink}, table {shard.table}",
                    message=f"waits: {shard.waits_for}",
                    remedy=shard.remedy,
                )
        if shard.state == "halted":
            halted.add((shard.sink, shard.stream, shard.shard))
            what = "halted at a gap" if shard.gap else "halted"
            yield AlarmReport(
                severity="error",
                about=f"sink {shard.sink}, table {shard.table}, {shard.shard}",
                message=f"{what}: {shard.waits_for}" if shard.waits_for else what,
                remedy=shard.remedy,
            )
    yield from _gaps(gaps, halted)


def _gaps(gaps: Iterable[GapReport], halted: Collection[tuple[str, str, str]]) -> Iterator[AlarmReport]:
    """Those that wait: for a decision, where no halted shard says so, or for a snapshot."""
    requests: dict[tuple[str, str], list[GapReport]] = {}
    for gap in gaps:
        if not gap.decision and (gap.sink, gap.stream, gap.shard) not in halted:
            yield AlarmReport(
                severity="error",
                about=f"sink {gap.sink}, table {gap.table}, {gap.shard}",
                message=f"a gap: {gap.reason}",
                remedy=gap.remedy,
            )
        elif gap.decision and gap.open:
            requests.setdefault((gap.sink, gap.table), []).append(gap)
    for (sink, table), waiting in requests.items():  # one for all: a snapshot is of a table
        number = sum(gap.count for gap in waiting)
        yield AlarmReport(
            severity="error",
            about=f"sink {sink}, table {table}",
            message=f"a snapshot is requested, for {number} gap{'' if number == 1 else 's'}: {waiting[-1].reason}",
            remedy=waiting[-1].remedy,
        )


def _sinks(sinks: Iterable[SinkReport], *, running: bool) -> Iterator[AlarmReport]:
    for sink in sinks:
        if sink.state == "not configured":
            continue
        if running and sink.state != "up" and (sink.error or sink.state == "down"):
            yield AlarmReport(
                severity="error",
                about=f"sink {sink.name}",
                message=f"is {sink.state}: {sink.error}" if sink.error else f"is {sink.state}",
                remedy=sink.remedy,
            )
        if sink.dead_letters_error:
            yield AlarmReport(
                severity="error",
                about=f"sink {sink.name}",
                message=f"dead letters cannot be written, and what they are of waits: {sink.dead_letters_error}",
                remedy=sink.dead_letters_remedy,
            )
        for table in sink.tables:
            left = table.retention_headroom_seconds
            if left is not None and left < HEADROOM_WARNING_SECONDS:
                yield AlarmReport(
                    severity="error" if left < HEADROOM_ERROR_SECONDS else "warning",
                    about=f"sink {sink.name}, table {table.table}",
                    message=f"undelivered changes expire in {duration(left)}"
                    if left > 0
                    else "undelivered changes may have expired",
                    remedy=_CATCH_UP if running else "start the pipeline: `cdc run`",
                )
        if sink.dead_letters or sink.dead_letters_written:
            number = max(sink.dead_letters or 0, sink.dead_letters_written)
            yield AlarmReport(
                severity="warning",
                about=f"sink {sink.name}",
                message=f"{number} dead letter{'' if number == 1 else 's'}",
                remedy="see why (`cdc dead-letters list`), mend the cause, and send them again (`cdc dead-letters replay`)",
            )


def _state(state: StateReport) -> Iterator[AlarmReport]:
    if state.error:
        yield AlarmReport(
            severity="error", about="state", message=f"cannot be saved: {state.error}", remedy=state.remedy
        )


def _source(source: SourceReport, *, running: bool) -> Iterator[AlarmReport]:
    if not running:
        yield AlarmReport(
            severity="warning",
            about="pipeline",
            message="is not running: what is shown is what was saved",
            remedy="start it: `cdc run`",
        )
        return
    if source.error:
        yield AlarmReport(severity="error", about="source", message=source.error, remedy=_SOURCE)
    for table in source.missing:
        yield AlarmReport(
            severity="warning",
            about=f"table {table}",
            message="its shards have not been listed yet",
            remedy="" if source.error else "wait a minute, then look at the log",
        )
