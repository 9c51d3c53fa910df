"""Tables for a terminal, plain text elsewhere: findings of a check, saved positions."""

from datetime import UTC, datetime

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from cdc.core.gap_kinds import is_gap
from cdc.model import Place, Position
from cdc.observe.check import CheckReport, EstimateReport
from cdc.ports import Saved

_PLAIN_WIDTH = 240


def plain_console() -> Console:
    """Where a program may read the lines, nothing is cut to fit a screen."""
    console = Console()
    return console if console.is_terminal else Console(width=_PLAIN_WIDTH)


_MARKS = {"info": "", "warning": "[yellow]warning[/]", "problem": "[red]problem[/]"}
_VERDICTS = {
    "verified": "[green]verified[/]",
    "denied": "[red]denied[/]",
    "simulated-allowed": "[green]allowed (simulated)[/]",
    "simulated-denied": "[yellow]denied (simulated)[/]",
    "not-verifiable": "not verifiable without writing",
}


def print_check(report: CheckReport) -> None:
    """Three tables: what was found, the permissions that a run needs, the estimates.

    The remedies of problems are printed by who ends the process; those of warnings stand here.
    """
    console = plain_console()
    found = Table("part", "", "found", box=None, pad_edge=False)
    for part in report.parts:
        rows = [(_MARKS[one.level], one) for one in part.findings]
        if part.ok:
            found.add_row(part.part, "[green]ok[/]", "")
        for number, (mark, finding) in enumerate(rows):
            name = part.part if number == 0 and not part.ok else ""
            remedy = f" (remedy: {finding.remedy})" if finding.level == "warning" and finding.remedy else ""
            found.add_row(name, mark, escape(finding.text + remedy))
    console.print(found)
    permissions = Table(
        "part",
        Column("permission", overflow="fold"),
        "verdict",
        Column("resource", overflow="fold"),  # cut, those of two tables would look alike
        box=None,
        pad_edge=False,
    )
    for part in report.parts:
        for one in part.permissions:
            permissions.add_row(part.part, one.action, _VERDICTS[one.verdict], escape(one.resource))
    if permissions.rows:
        console.print()
        console.print(permissions)
    estimates = Table("part", "estimate", "figure", "per", "basis", box=None, pad_edge=False)
    for part in report.parts:
        for guess in part.estimates:
            estimates.add_row(part.part, guess.what, _range(guess), guess.per, escape(guess.basis))
    if estimates.rows:
        console.print()
        console.print(estimates)


def _range(estimate: EstimateReport) -> str:
    low, high = f"{estimate.low:,.0f}", f"{estimate.high:,.0f}"
    return low if low == high else f"{low} to {high}"


def place_text(position: Position) -> str:
    """A position in words."""
    match position.place:
        case Place.BEGINNING:
            return (
                "beginning"
                if position.not_before is None
                else f"latest since {time_text(position.not_before)}"
            )
        case Place.AFTER:
            return f"after {position.sequence}"
        case Place.END:
            return "end"


def time_text(epoch_seconds: float) -> str:
    return datetime.fromtimestamp(epoch_seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def print_positions(saved: Saved) -> None:
    table = Table("sink", "table", "shard", "position", "saved", box=None, pad_edge=False)
    for cursor in sorted(saved.cursors, key=lambda c: (c.sink, c.table, c.shard)):
        table.add_row(
            cursor.sink,
            cursor.table,
            cursor.shard.shard,
            place_text(cursor.position),
            time_text(cursor.saved_at),
        )
    console = plain_console()
    console.print(table)
    for gap in saved.gaps:
        decision = gap.decision or "waits for a decision: cdc positions reset"
        where = (
            f"shard {gap.shard.shard}"
            if gap.shard.stream
            else f"table {gap.table}, {gap.count} on former shards"
        )
        what = "gap" if is_gap(gap) else "reset"
        console.print(f"{what}: sink {gap.sink}, {where}: {gap.reason}; {decision}", markup=False)
