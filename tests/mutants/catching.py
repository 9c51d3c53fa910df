"""Who catches a mutant: the simulation at a seed, or named tests. Imports what is tested only when it is asked to, so that
patches come first."""

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

_REWRITTEN = "ignore::pytest.PytestAssertRewriteWarning"
_WITHOUT = ("-pno:cacheprovider", "-pno:xdist", "-pno:anyio", "-pno:doctest", "-pno:junitxml")
_MOST_SECONDS = 60
"""A run of the simulation takes about one."""


class EndlessError(Exception):
    """It goes round and round, and virtual time stands still."""


def catch(seed: int) -> str | None:
    """What one seed's run of the simulation finds wrong; None: nothing."""
    from tests.sim.engine.profiles import plan_of
    from tests.sim.engine.run import Run

    run = Run(plan_of(seed))
    try:
        with _limited(_MOST_SECONDS):
            run.drive()
    except Exception as error:  # noqa: BLE001 - the engine's own assertions catch mutants, too
        return _told(error)
    return None


def fails(test: str) -> str | None:
    """What the named test finds wrong; None: it passes.

    Raises:
        RuntimeError: there is no such test, or it did not run.
    """
    import pytest

    told = _Told()
    folder = Path(test.partition("::")[0]).parent
    # The conftest of all tests starts with what the engine's need not, and has to come before what it rewrites.
    options = ["-q", "-x", "--no-header", f"--confcutdir={folder}", f"-W{_REWRITTEN}"]
    status = pytest.main([*options, *_WITHOUT, test], [told])
    if status == pytest.ExitCode.OK and told.passed:
        return None
    if status == pytest.ExitCode.TESTS_FAILED and told.failure:
        return told.failure
    raise RuntimeError(f"{test}: pytest ended with {status!r}: {told.failure}")


class _Told:
    """A plugin of pytest that keeps the first failure."""

    def __init__(self) -> None:
        self.passed = 0
        self.failure = ""

    def pytest_runtest_logreport(self, report: object) -> None:
        when, failed = getattr(report, "when", ""), getattr(report, "failed", False)
        self.passed += when == "call" and not failed
        if when == "call" and failed:
            crash = getattr(getattr(report, "longrepr", None), "reprcrash", None)
            self.failure = self.failure or _first_line(str(getattr(crash, "message", "it failed")))


def _told(error: Exception) -> str:
    """A violation begins with the name of the promise that was broken."""
    name, text = type(error).__name__, _first_line(str(error))
    return text if name == "Violation" else f"{name}: {text}"


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]


@contextmanager
def _limited(seconds: int) -> Iterator[None]:
    def alarm(number: int, frame: FrameType | None) -> None:
        raise EndlessError(f"nothing came of {seconds} s")

    before = signal.signal(signal.SIGALRM, alarm)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def first_caught(seeds: Sequence[int]) -> tuple[int, str] | None:
    """The first of these seeds that catches it, and what it says."""
    for seed in seeds:
        violation = catch(seed)
        if violation is not None:
            return seed, violation
    return None
