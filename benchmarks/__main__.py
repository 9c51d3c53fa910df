"""`python -m benchmarks`: see docs/performance.md."""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import idle, latency, machine, report, throughput
from benchmarks.designs import DESIGNS, Design
from benchmarks.processes import BenchmarkError
from benchmarks.records import SHAPES
from benchmarks.throughput import Case

RECORDS = 200_000
ROUNDS = 5
CHECKED_RECORDS = 2_000
DEFAULT_SHARDS = 20
"""So many that the five calls per second that a shard allows hold up nobody, and pages are full for every design."""
FULL = {1: 50_000, 100: 200_000, 1_000: 200_000}
"""Records by number of shards. One shard gives 5,000 a second at the most, however fast its reader is."""
IDLE_SHARDS, IDLE_SECONDS = 1_000, 30.0
LATENCY_SHARDS, LATENCY_RATE, LATENCY_SECONDS = 4, 1_000, 20.0

PARTS = ("throughput", "idle", "latency")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument(
        "--records", type=int, default=RECORDS, help="a run's, for the quick designs; the others get a tenth"
    )
    parser.add_argument(
        "--full", action="store_true", help="every shape, on 1, 100 and 1,000 shards: an hour or two"
    )
    parser.add_argument(
        "--only", choices=PARTS, action="append", help="this part; may be given more than once"
    )
    parser.add_argument("--design", action="append", help="only designs whose name contains this")
    parser.add_argument("--built-in-kafka", action="store_true", help="no broker, even where one can run")
    parser.add_argument("--smoke", action="store_true", help="everything once and small: does it work")
    parser.add_argument("--json", type=Path, help="every run, into this file")
    parser.add_argument(
        "--write-docs", action="store_true", help="the tables into docs/performance.md, with their JSON"
    )
    chosen = parser.parse_args(arguments)
    if not sys.platform.startswith("linux"):
        print("CPU time is taken from /proc: this needs Linux", file=sys.stderr)
        return 2
    try:
        figures = _measured(chosen)
    except BenchmarkError as error:
        print(f"no figures: {error}", file=sys.stderr)
        return 1
    text = report.markdown(figures)
    print(text)
    every_run = json.dumps(report.as_json(figures), indent=1) + "\n"
    if chosen.json is not None:
        chosen.json.write_text(every_run, "utf-8")
    if chosen.write_docs:
        report.write_docs(text)
        report.KEPT.parent.mkdir(exist_ok=True)
        report.KEPT.write_text(every_run, "utf-8")
    return 0


def _measured(chosen: argparse.Namespace) -> report.Figures:
    parts = chosen.only or PARTS
    rounds, records, checked = chosen.rounds, chosen.records, CHECKED_RECORDS
    cases = [Case("mid", DEFAULT_SHARDS, records)]
    if chosen.full:
        cases = [Case(shape, shards, min(most, records)) for shape in SHAPES for shards, most in FULL.items()]
    idle_shards, idle_seconds, latency_seconds = IDLE_SHARDS, IDLE_SECONDS, LATENCY_SECONDS
    if chosen.smoke:
        rounds, checked, cases = 1, 200, [Case("mid", 2, 1_000)]
        idle_shards, idle_seconds, latency_seconds = 20, 1.0, 2.0
    designs = [design for design in DESIGNS if _is_chosen(design, chosen.design)]
    timed = [design for design in designs if design.sinks == ("null",)] if chosen.smoke else designs
    steps = 0
    if "throughput" in parts:
        steps += len(designs) * len({case.shape for case in cases}) + len(timed) * rounds * len(cases)
    steps += ("idle" in parts) + ("latency" in parts)
    at = datetime.now(UTC)
    results = waited = delay = None
    with _telling(steps) as tell, throughput.bench(built_in_kafka=chosen.built_in_kafka) as of:
        if "throughput" in parts:
            throughput.check_output(of, designs, cases, checked, tell)
            results = throughput.measure(of, timed, cases, rounds, tell)
        if "idle" in parts:
            waited = idle.measure(of, shards=idle_shards, seconds=idle_seconds, tell=tell)
        if "latency" in parts:
            delay = latency.measure(
                of, shards=LATENCY_SHARDS, rate=LATENCY_RATE, seconds=latency_seconds, tell=tell
            )
        kind = of.cluster.kind
    return report.Figures(f"{at:%Y-%m-%d %H:%M}", machine.description(), kind, rounds, results, waited, delay)


def _is_chosen(design: Design, names: Sequence[str] | None) -> bool:
    return not names or any(name in design.name for name in names)


@contextmanager
def _telling(steps: int) -> Iterator[Callable[[str], None]]:
    """A bar on a terminal, a line for each step elsewhere; on stderr, so that stdout has the figures alone."""
    console = Console(stderr=True)
    if not console.is_terminal:

        def line(text: str) -> None:
            print(text, file=sys.stderr, flush=True)

        yield line
        return
    columns = (BarColumn(), TextColumn("{task.completed}/{task.total}"), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.description}"), console=console, transient=True) as progress:
        task = progress.add_task("starting", total=steps)

        def step(text: str) -> None:
            began = progress.tasks[0].fields.get("began", False)
            progress.update(task, description=text, advance=1 if began else 0, began=True)

        yield step


if __name__ == "__main__":
    sys.exit(main())
