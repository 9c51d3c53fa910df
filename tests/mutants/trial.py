"""One mutant, or the code as it is, on trial: in a process of its own, before seeds of the simulation and named tests.

Every trial is a fork of a process that has imported what others made, and nothing of ours: so it imports ours patched,
and costs little more than what it runs.
"""

import importlib
import os
import sys
import time
import traceback
from collections.abc import Iterable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from tests.mutants.catching import catch, fails
from tests.mutants.mutant import Mutant
from tests.mutants.patching import install

_OTHERS = (
    "botocore.session",
    "confluent_kafka",
    "fastavro",
    "msgspec",
    "prometheus_client",
    "pydantic",
    "pytest",
)
_OURS = ("cdc", "connectors", "schemas", "tests.sim", "tests.conformance", "tests.dynamodb_streams")


@dataclass(frozen=True, slots=True)
class Trial:
    """`mutant` None: the code as it is, which has to pass everything."""

    mutant: Mutant | None
    seeds: tuple[int, ...] = ()
    """One after the other, until one catches it."""
    tests: tuple[str, ...] = ()
    """All of them."""
    once: bool = False
    """It is enough that one catches it: no test, if a seed did."""


@dataclass(frozen=True, slots=True)
class Verdict:
    trial: Trial
    seed: int | None = None
    """The one that caught it."""
    tried: int = 0
    """How many seeds that took."""
    said: str = ""
    """What the simulation found wrong."""
    failed: dict[str, str] = field(default_factory=dict)
    """By test: what it found wrong. Those that passed are not in it."""
    seconds: float = 0.0
    broken: str = ""
    """The trial itself could not be held, and this is why: a traceback, or a process that died."""

    @property
    def is_caught(self) -> bool:
        return not self.broken and (self.seed is not None or bool(self.failed))


def hold(trial: Trial) -> Verdict:
    """In this process, which has imported nothing of ours yet."""
    began = time.perf_counter()
    patched = install(trial.mutant) if trial.mutant is not None else None
    seed, said, tried = None, "", 0
    for seed_tried in trial.seeds:
        tried += 1
        violation = catch(seed_tried)
        if violation is not None:
            seed, said = seed_tried, violation
            break
    tests = () if trial.once and seed is not None else trial.tests
    failed = {test: failure for test in tests if (failure := fails(test)) is not None}
    broken = ""
    if patched is not None and patched.waiting:
        broken = f"nobody has imported {', '.join(sorted(patched.waiting))}: nothing is proved"
    return Verdict(trial, seed, tried, said, failed, time.perf_counter() - began, broken)


def hold_all(trials: Iterable[Trial], *, processes: int, most_seconds: float) -> Iterator[Verdict]:
    """The verdicts as they come. A trial that takes longer than `most_seconds` is broken off."""
    for module in _OTHERS:
        importlib.import_module(module)
    _assert_fresh()
    waiting = list(trials)
    running: dict[Connection, tuple[BaseProcess, Trial, float]] = {}
    while waiting or running:
        while waiting and len(running) < processes:
            trial = waiting.pop(0)
            running |= _begin(trial)
        for end in wait(list(running), timeout=1.0):
            assert isinstance(end, Connection)
            process, trial, _ = running.pop(end)
            yield _ended(end, process, trial)
        now = time.monotonic()
        for end, (process, trial, began) in list(running.items()):
            if now - began > most_seconds:
                process.kill()
                process.join()
                del running[end]
                yield Verdict(trial, seconds=now - began, broken=f"no end within {most_seconds:.0f} s")


def _begin(trial: Trial) -> dict[Connection, tuple[BaseProcess, Trial, float]]:
    fork = get_context("fork")
    ours, theirs = fork.Pipe(duplex=False)
    process = fork.Process(target=_child, args=(trial, theirs), daemon=True)
    process.start()
    theirs.close()
    return {ours: (process, trial, time.monotonic())}


def _ended(end: Connection, process: BaseProcess, trial: Trial) -> Verdict:
    try:
        verdict: Verdict = end.recv()
    except EOFError:
        process.join()
        return Verdict(trial, broken=f"the process died: {process.exitcode}")
    process.join()
    return verdict


def _child(trial: Trial, end: Connection) -> None:
    output = StringIO()
    try:
        with redirect_stdout(output), redirect_stderr(output):
            verdict = hold(trial)
    except BaseException:  # noqa: BLE001 - told, whatever it is
        verdict = Verdict(trial, broken=traceback.format_exc() + output.getvalue())
    end.send(verdict)
    end.close()
    os._exit(0)  # without what the parent would do at its exit


def _assert_fresh() -> None:
    early = [name for name in sys.modules if name.startswith(_OURS)]
    if early:
        raise AssertionError(f"imported before any patch: {', '.join(early)}")
