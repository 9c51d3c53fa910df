"""The status as a page for whoever is woken up: alarms with their remedies first, then where every sink stands.

Colours are `rich` styles, which a console writes on terminals only. Texts from outside are `Text`, never markup, and
without control characters.
"""

from collections.abc import Iterable, Iterator, Sequence
from io import StringIO

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from cdc.observe.alarms import HEADROOM_ERROR_SECONDS, HEADROOM_WARNING_SECONDS
from cdc.observe.document import GapReport, Report, ResetReport, ShardReport, SinkReport, TableReport
from cdc.observe.plain import duration, printable

PLAIN_WIDTH = 120
"""Columns where no terminal says how many there are."""

_STATES = {
    "up": "green",
    "probing": "yellow",
    "opening": "yellow",
    "down": "bold red",
    "halted": "bold red",
    "stopped": "yellow",
}
_SEVERITIES = {"error": "bold red", "warning": "yellow"}
_UNKNOWN = "-"
_MOST = 20
"""Lines of one list: a page that scrolls the alarms away helps nobody, and `--json` has them all."""


def render(report: Report) -> RenderableType:
    """What `rich.console.Console.print` shows."""
    return Group(*_page(report))


def to_text(report: Report, *, width: int = PLAIN_WIDTH) -> str:
    """The page without colours, for files and pipes."""
    file = StringIO()
    Console(file=file, width=width, color_system=None, force_terminal=False, legacy_windows=False).print(
        render(report)
    )
    return "".join(f"{line.rstrip()}\n" for line in file.getvalue().splitlines())


def _page(report: Report) -> Iterator[RenderableType]:
    yield _headline(report)
    yield from _alarms(report)
    yield from _section("Sinks", _sinks(report.sinks))
    yield from _section(
        "Counts (changes: of this process; dead letters and gaps: all that are kept)", _counts(report.sinks)
    )
    halted = [shard for shard in report.shards if shard.state == "halted"]
    if halted:
        yield from _section("Halted shards", _halted(halted))
        yield from _more(halted)
    held = [shard for shard in report.shards if shard.waits_for and shard.state not in ("halted", "waiting")]
    if held:
        yield from _section("Held up", _held(held))
        yield from _more(held)
    if report.gaps:
        yield from _section("Gaps (kept for ever)", _gaps(report.gaps))
        yield from _more(report.gaps)
    if report.resets:
        yield from _section("Positions set by hand", _resets(report.resets))
        yield from _more(report.resets)
    if report.exit is not None:
        yield _text("")
        yield _text(
            f"Exit code {report.exit.code}: {report.exit.reason}", "bold red" if report.exit.code else ""
        )
        if report.exit.remedy:
            yield _indented(_text(f"do: {report.exit.remedy}"), 4)


def _headline(report: Report) -> Text:
    line = Text()
    line.append(f"Pipeline {printable(report.pipeline)}", "bold")
    line.append("  ")
    line.append("running" if report.running else "NOT RUNNING", "green" if report.running else "bold yellow")
    if report.owner is not None:
        owner = f"process {report.owner.pid} on {report.owner.host}"
        admin = f", admin {report.owner.admin}" if report.owner.admin else ""
        line.append(printable(f"  {owner}{admin}"))
    line.append(f"  at {printable(report.at)}")
    return line


def _alarms(report: Report) -> Iterator[RenderableType]:
    yield _text("")
    if not report.alarms:
        yield _text("No alarms.", "green")
        return
    yield _text(f"Alarms ({len(report.alarms)})", "bold")
    for alarm in report.alarms[:_MOST]:
        line = Text(f"{alarm.severity.upper():8}", _SEVERITIES[alarm.severity])
        line.append(printable(f"{alarm.about}: {alarm.message}"), "default not bold")
        yield _indented(line, 2)
        if alarm.remedy:
            yield _indented(_text(f"do: {alarm.remedy}"), 10)
    yield from _more(report.alarms)


def _section(title: str, body: RenderableType) -> Iterator[RenderableType]:
    yield _text("")
    yield _text(title, "bold")
    yield body


def _grid(*columns: str, right: Iterable[str] = ()) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    numbers = set(right)
    for column in columns:
        table.add_column(column, overflow="fold", justify="right" if column in numbers else "left")
    return table


def _sinks(sinks: Iterable[SinkReport]) -> Table:
    grid = _grid(
        *("sink", "state", "table", "lag", "time left", "complete through", "shards"),
        right=("lag", "time left"),
    )
    for sink in sinks:
        head = [_text(sink.name, "bold"), _text(sink.state, _STATES.get(sink.state, ""))]
        if not sink.tables:
            grid.add_row(*head)
        for table in sink.tables:
            grid.add_row(*head, *_table(table))
            head = [_text(""), _text("")]
    return grid


def _table(table: TableReport) -> list[Text]:
    shards = ", ".join(f"{number} {state}" for state, number in sorted(table.shards.items()))
    lag, left = table.lag_seconds, table.retention_headroom_seconds
    return [
        _text(table.table),
        _text(duration(lag) if lag is not None else _UNKNOWN),
        _text(_left(left), _urgency(left)),
        _text(table.complete_through or _UNKNOWN),
        _text(shards or "none", "red" if table.shards.get("halted") else ""),
    ]


def _left(seconds: float | None) -> str:
    if seconds is None:
        return _UNKNOWN
    return duration(seconds) if seconds > 0 else "EXPIRED"


def _urgency(headroom: float | None) -> str:
    if headroom is None or headroom >= HEADROOM_WARNING_SECONDS:
        return ""
    return "bold red" if headroom < HEADROOM_ERROR_SECONDS else "yellow"


def _counts(sinks: Iterable[SinkReport]) -> Table:
    numbers = ("delivered", "delivered again", "in flight", "dead letters", "gaps")
    grid = _grid("sink", "type", *numbers, right=numbers)
    for sink in sinks:
        gaps = sum(table.gaps for table in sink.tables)
        letters = sink.dead_letters if sink.dead_letters is not None else sink.dead_letters_written
        grid.add_row(
            _text(sink.name, "bold"),
            _text(sink.type or _UNKNOWN),
            _text(str(sink.delivered)),
            _text(str(sink.redelivered)),
            _text(f"{sink.batches_in_flight}"),
            _text(str(letters), "yellow" if letters else ""),
            _text(str(gaps), "bold red" if gaps else ""),
        )
    return grid


def _halted(shards: Sequence[ShardReport]) -> Table:
    grid = _grid("sink", "table", "shard", "why", "what to do")
    for shard in shards[:_MOST]:
        texts = (shard.sink, shard.table, shard.shard, shard.waits_for, shard.remedy)
        grid.add_row(*(_text(text) for text in texts))
    return grid


def _gaps(gaps: Sequence[GapReport]) -> Table:
    """Those that wait first, then the newest: where there are many, somebody looks for these."""
    grid = _grid("since", "kind", "sink", "table", "shard", "changes", "what was found", "decision")
    newest = sorted(gaps, key=lambda gap: gap.last_found_at or gap.found_at, reverse=True)
    for gap in sorted(newest, key=lambda gap: not gap.open)[:_MOST]:
        several = f"{gap.count} times until {gap.last_found_at}" if gap.count > 1 else ""
        decided = f"{gap.decision} at {gap.decided_at}" if gap.decided_at else gap.decision
        grid.add_row(
            _text(gap.found_at),
            _text(gap.kind or _UNKNOWN),
            _text(gap.sink),
            _text(gap.table),
            _text(gap.shard or "gone by now"),
            _text("are lost" if gap.certain else "may be lost", "red" if gap.certain else ""),
            _text("; ".join(part for part in (gap.reason, several) if part)),
            _text(decided or "waits for one", "bold red" if gap.open else ""),
        )
    return grid


def _resets(resets: Sequence[ResetReport]) -> Table:
    grid = _grid("at", "sink", "table", "shard", "decision")
    for reset in sorted(resets, key=lambda reset: reset.at, reverse=True)[:_MOST]:
        texts = (reset.at, reset.sink, reset.table, reset.shard or "gone by now", reset.decision)
        grid.add_row(*(_text(text) for text in texts))
    return grid


def _held(shards: Sequence[ShardReport]) -> Table:
    grid = _grid("sink", "table", "shard", "by")
    for shard in shards[:_MOST]:
        grid.add_row(*(_text(text) for text in (shard.sink, shard.table, shard.shard, shard.waits_for)))
    return grid


def _more(of: Sequence[object]) -> Iterator[RenderableType]:
    if len(of) > _MOST:
        yield _indented(_text(f"and {len(of) - _MOST} more: see --json"), 2)


def _indented(text: Text, by: int) -> Padding:
    return Padding(text, (0, 0, 0, by), expand=False)


def _text(text: str, style: str = "") -> Text:
    return Text(printable(text), style)
