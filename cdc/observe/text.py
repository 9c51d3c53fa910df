"""Tables for a terminal, plain text elsewhere: findings of a check, saved positions."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cdc.model import Place, Position
from cdc.ports import Saved

_PLAIN_WIDTH = 240


class Finding(Protocol):
    @property
    def place(self) -> str: ...
    @property
    def seen(self) -> Sequence[str]: ...
    @property
    def problem(self) -> str: ...


def _console() -> Console:
    """Where a program may read the lines, nothing is cut to fit a screen."""
    console = Console()
    return console if console.is_terminal else Console(width=_PLAIN_WIDTH)


def print_findings(findings: Sequence[Finding]) -> None:
    """One row for each part of the pipeline; the problems' remedies are printed by who ends the process."""
    table = Table("part", "", "found", box=None, pad_edge=False)
    for finding in findings:
        mark = "[red]problem[/]" if finding.problem else "[green]ok[/]"
        table.add_row(finding.place, mark, escape(finding.problem or "\n".join(finding.seen)))
    _console().print(table)


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
    console = _console()
    console.print(table)
    for gap in saved.gaps:
        decision = gap.decision or "waits for a decision: cdc positions reset"
        console.print(
            f"gap: sink {gap.sink}, shard {gap.shard.shard}: {gap.reason}; {decision}", markup=False
        )
