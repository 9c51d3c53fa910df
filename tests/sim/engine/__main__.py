"""Runs seeds of the deterministic simulation.

python -m tests.sim.engine --seeds 500 --jobs 2     until 500 of them count
python -m tests.sim.engine --minutes 10 --jobs 2    as many as there is time for
python -m tests.sim.engine --seed 17                one, with its trace
python -m tests.sim.engine --shrink 17              one that breaks a promise: the least that still does
"""

import argparse
import sys
import time
import traceback
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tests.sim.engine.profiles import plan_of
from tests.sim.engine.run import Run, Totals, drive
from tests.sim.engine.runner import Summary, run_many
from tests.sim.engine.shrink import report, shrink, try_out
from tests.sim.engine.trace import told

_SECONDS_BETWEEN_LINES = 10.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sim.engine", description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=0, metavar="N", help="until so many seeds count")
    parser.add_argument("--minutes", type=float, metavar="M", help="no longer than so")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="the first seed (0)")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="so many processes (1)")
    parser.add_argument("--seed", type=int, metavar="N", help="this one alone, with its trace")
    parser.add_argument(
        "--shrink", type=int, metavar="N", help="the smallest plan that fails as this seed does"
    )
    arguments = parser.parse_args()
    if arguments.seed is not None:
        return replay(arguments.seed)
    if arguments.shrink is not None:
        if try_out(plan_of(arguments.shrink)) is None:
            parser.error(f"seed {arguments.shrink} breaks no promise: there is nothing to shrink")
        for line in report(shrink(plan_of(arguments.shrink))):
            print(line)
        return 1
    if not arguments.seeds and arguments.minutes is None:
        parser.error("one of --seeds, --minutes, --seed and --shrink is needed")
    return many(arguments.seeds, arguments.first, arguments.jobs, arguments.minutes)


def replay(seed: int) -> int:
    run = Run(plan_of(seed))
    run.checks.trace = []
    violation = drive(run)
    for line in told(run.checks.trace, *([violation] if violation else [])):
        print(line)
    if violation is not None:
        if violation.__cause__ is not None:
            traceback.print_exception(violation.__cause__)
        print(f"VIOLATION {violation}")
        print(f"shrunk: python -m tests.sim.engine --shrink {seed}")
        return 1
    print(f"seed {seed}: {figures(run.totals)}{'' if run.totals.counts else '; does not count'}")
    return 0


def many(seeds: int, first: int, jobs: int, minutes: float | None) -> int:
    began = time.monotonic()
    seconds = None if minutes is None else minutes * 60
    with _Progress(seeds) as progress:
        summary = run_many(seeds, first=first, jobs=jobs, seconds=seconds, told=progress.tell)
    took = time.monotonic() - began
    print(
        f"simulation: {summary.counted} seeds count of {summary.ran} that ran, in {took:.0f} s "
        f"({summary.cpu_seconds / max(1, summary.ran):.2f} CPU seconds each)"
    )
    print(f"  {figures(summary.totals)}")
    for name, count in summary.totals.faults.most_common():
        print(f"  {count:8d} {name}")
    for outcome in summary.failures:
        print(f"FAILED seed {outcome.seed}: {outcome.failure}")
        print(f"  again:   python -m tests.sim.engine --seed {outcome.seed}")
        print(f"  smaller: python -m tests.sim.engine --shrink {outcome.seed}")
    return 1 if summary.failures else 0


def figures(totals: Totals) -> str:
    return (
        f"{totals.changes} changes, {totals.rollovers} rollovers, {totals.splits} splits, "
        f"{totals.faults.total()} faults, {totals.crashes} crashes, {totals.redelivered} changes redelivered "
        f"because of them, {totals.stops} stops, {totals.zombies} zombies, {totals.letters} dead letters, "
        f"{totals.gaps} gaps, {totals.commands} commands"
    )


class _Progress:
    """A bar on a terminal, a line now and then elsewhere."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._line_due = time.monotonic() + _SECONDS_BETWEEN_LINES
        self._bar: Progress | None = None
        self._failed = 0
        if sys.stderr.isatty():
            columns = (
                TextColumn("simulation"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.fields[failed]} failed"),
            )
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
            self._task = self._bar.add_task("seeds", total=self._wanted or None, failed=0)
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def tell(self, summary: Summary) -> None:
        if len(summary.failures) > self._failed:
            self._failed = len(summary.failures)
            print(f"FAILED seed {summary.failures[-1].seed}", file=sys.stderr, flush=True)
        if self._bar is not None:
            self._bar.update(self._task, completed=summary.counted, failed=len(summary.failures))
        elif time.monotonic() >= self._line_due:
            self._line_due = time.monotonic() + _SECONDS_BETWEEN_LINES
            of = f" of {self._wanted}" if self._wanted else ""
            print(f"simulation: {summary.counted}{of} seeds, {len(summary.failures)} failed", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
