"""Many seeds, in several processes, until enough of them count."""

import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field

from tests.sim.engine.destination import Violation
from tests.sim.engine.profiles import plan_of
from tests.sim.engine.run import Run, Totals


@dataclass(frozen=True, slots=True)
class Outcome:
    seed: int
    totals: Totals
    failure: str = ""
    """The violation, or the traceback of whatever else was raised; empty: every promise was kept."""
    cpu_seconds: float = 0.0

    @property
    def counts(self) -> bool:
        return not self.failure and self.totals.counts


@dataclass
class Summary:
    wanted: int
    """So many seeds that count; 0: as many as there is time for."""
    ran: int = 0
    counted: int = 0
    cpu_seconds: float = 0.0
    totals: Totals = field(default_factory=Totals)
    """Of the seeds that count."""
    failures: list[Outcome] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        self.ran += 1
        self.cpu_seconds += outcome.cpu_seconds
        if outcome.failure:
            self.failures.append(outcome)
        elif outcome.counts:
            self.counted += 1
            self.totals.add(outcome.totals)


def run_seed(seed: int) -> Outcome:
    began = time.process_time()
    run = Run(plan_of(seed))
    failure = ""
    try:
        run.drive()
    except Violation as violation:
        failure = f"{violation} (after {run.time.now - run.began:.1f} s)"
    except Exception:  # noqa: BLE001 - told, and the exit code is 1
        failure = traceback.format_exc()
    return Outcome(seed, run.totals, failure, time.process_time() - began)


def run_many(
    wanted: int,
    *,
    first: int = 0,
    jobs: int = 1,
    seconds: float | None = None,
    told: Callable[[Summary], None] = lambda _: None,
) -> Summary:
    """Seeds from `first` on, one after the other, until so many count, or for so long.

    Args:
        wanted: how many are to count; 0: as many as there is time for.
        seconds: how long seeds are begun; None: until there are enough.
        told: is told of every seed that is through.
    """
    summary = Summary(wanted)
    deadline = None if seconds is None else time.monotonic() + seconds
    for outcome in _outcomes(first, jobs):
        summary.add(outcome)
        told(summary)
        if wanted and summary.counted + len(summary.failures) >= wanted:
            break
        if deadline is not None and time.monotonic() >= deadline:
            break
    return summary


def _outcomes(first: int, jobs: int) -> Iterator[Outcome]:
    """For ever, in the order of the seeds."""
    seed = first
    if jobs == 1:
        while True:
            yield run_seed(seed)
            seed += 1
    with ProcessPoolExecutor(jobs) as pool:
        running: dict[int, Future[Outcome]] = {}
        through = seed
        try:
            while True:
                while len(running) < 4 * jobs:
                    running[seed] = pool.submit(run_seed, seed)
                    seed += 1
                while (future := running.get(through)) is not None and future.done():
                    del running[through]
                    through += 1
                    yield future.result()
                if running:
                    wait(running.values(), return_when=FIRST_COMPLETED)
        finally:
            for future in running.values():
                future.cancel()
