"""What is seen: lines, and on a terminal a table below them that is always new."""

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cdc.demo.proof import Verdict
from cdc.demo.worker import SinkFigures

_PLAIN_WIDTH = 120
_PLAIN_EVERY_SECONDS = 2.0
_RATE_WINDOW_SECONDS = 3.0


@dataclass(slots=True)
class _Sink:
    """A sink over all processes that were started."""

    delivered: int = 0
    last: int = 0
    """By the process that is running."""
    points: deque[tuple[float, int]] = field(default_factory=deque)

    def update(self, delivered: int, now: float) -> None:
        self.delivered += delivered - self.last if delivered >= self.last else delivered
        self.last = delivered
        self.points.append((now, self.delivered))
        while now - self.points[0][0] > _RATE_WINDOW_SECONDS:
            self.points.popleft()

    @property
    def per_second(self) -> float:
        (start, before), (end, after) = self.points[0], self.points[-1]
        return (after - before) / (end - start) if end > start else 0.0


class Screen:
    """
    Args:
        plain: lines only, also on a terminal.
    """

    def __init__(self, *, plain: bool) -> None:
        is_terminal = Console().is_terminal and not plain
        self._console = (
            Console(highlight=False)
            if is_terminal
            else Console(highlight=False, force_terminal=False, color_system=None, width=_PLAIN_WIDTH)
        )
        self._live = Live(console=self._console, refresh_per_second=5) if is_terminal else None
        self._began = time.monotonic()
        self._shown = 0.0
        self._sinks: dict[str, _Sink] = {}

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end_live()

    def end_live(self) -> None:
        """No more figures; lines go on."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def title(self, text: str) -> None:
        self._console.print(Text(f"\n{text}", style="bold"))

    def say(self, text: str, style: str = "") -> None:
        """One line, with the seconds since the start."""
        seconds = f"{time.monotonic() - self._began:5.1f} s  "
        self._console.print(Text(seconds, style="dim").append(text, style=style or "not dim"), soft_wrap=True)

    def good(self, text: str) -> None:
        self.say(text, "green")

    def bad(self, text: str) -> None:
        self.say(text, "bold red")

    def log(self, lines: Sequence[str]) -> None:
        """The end of a process's log."""
        for line in lines:
            self._console.print(Text(f"    log: {line}", style="dim"), soft_wrap=True)

    def new_process(self) -> None:
        """The counters begin at zero again."""
        for sink in self._sinks.values():
            sink.last = 0

    def show(self, figures: Sequence[SinkFigures], *, written: int) -> None:
        now = time.monotonic()
        for figure in figures:
            self._sinks.setdefault(figure.name, _Sink()).update(figure.delivered, now)
        if not figures:
            return
        if self._live is not None:
            self._live.update(self._table(figures, written))
        elif now - self._shown >= _PLAIN_EVERY_SECONDS:
            self._shown = now
            self.say(" | ".join([f"written {written}", *(self._line(figure) for figure in figures)]))

    def verdicts(self, verdicts: Sequence[Verdict]) -> None:
        table = Table("", *("written", "delivered", "redelivered", "lost", "mismatched"), box=None)
        for column in table.columns[1:]:
            column.justify = "right"
        for verdict in verdicts:
            redelivered = "-" if verdict.redelivered is None else str(verdict.redelivered)
            counts = (verdict.written, verdict.delivered, redelivered, verdict.lost, verdict.mismatched)
            style = "green" if verdict.agrees else "bold red"
            table.add_row(Text(verdict.sink, style=style), *map(str, counts))
        self._console.print(table)

    def _table(self, figures: Sequence[SinkFigures], written: int) -> Table:
        table = Table("sink", "state", *("delivered", "per second", "lag", "headroom"), box=None)
        for column in table.columns[2:]:
            column.justify = "right"
        table.title = f"{written} changes written"
        for figure in figures:
            sink = self._sinks[figure.name]
            table.add_row(
                figure.name,
                Text(figure.state, style="green" if figure.is_up else "red"),
                str(sink.delivered),
                f"{sink.per_second:.0f}",
                _seconds(figure.lag_seconds),
                _hours(figure.headroom_seconds),
            )
        return table

    def _line(self, figure: SinkFigures) -> str:
        sink = self._sinks[figure.name]
        return (
            f"{figure.name} {figure.state} {sink.delivered}, {sink.per_second:.0f}/s, "
            f"lag {_seconds(figure.lag_seconds)}, headroom {_hours(figure.headroom_seconds)}"
        )


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.1f} s"


def _hours(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
