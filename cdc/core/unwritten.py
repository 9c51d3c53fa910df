"""What the pipeline itself has to write and cannot: its state, and dead letters."""

from dataclasses import dataclass

from cdc.core import policy
from cdc.errors import CdcError

SHOWN_AFTER_SECONDS = 10.0
"""A single failure is shown if nothing was written for so long; a second one in a row at once. Anything shorter is a
moment that the next try ends, and nobody has to look."""


@dataclass(frozen=True, slots=True)
class Unwritten:
    """Failures in a row of one thing to write; a success ends it."""

    error: CdcError
    """The last one."""
    remedy: str
    since: float
    """Monotonic: the first failure."""
    failures: int

    def is_shown(self, now: float) -> bool:
        """Whether an operator should see it, at this time (monotonic)."""
        return self.failures > 1 or now - self.since >= SHOWN_AFTER_SECONDS


def failed_again(before: Unwritten | None, error: CdcError, now: float) -> Unwritten:
    """One more failure, at `now` (monotonic). What it says to do is of `policy.STATE`."""
    remedy = policy.rule(policy.STATE, error).remedy
    if before is None:
        return Unwritten(error, remedy, now, 1)
    return Unwritten(error, remedy, before.since, before.failures + 1)
