"""Calls that fail: those that were asked for, and by chance."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from cdc.testing.sim.failures import NoAnswerError, ServiceError

Failure = ServiceError | NoAnswerError
Predicate = Callable[[Mapping[str, Any]], bool]
"""Of a request."""

THROTTLED = ServiceError("ThrottlingException", "Rate exceeded")
"""The one that no model of the API names, and that comes all the same."""
LIMIT_EXCEEDED = ServiceError("LimitExceededException", "Too many operations for a given subscriber")
TABLE_THROTTLED = ServiceError(
    "ProvisionedThroughputExceededException",
    "The level of configured provisioned throughput for the table was exceeded",
)
INTERNAL = ServiceError("InternalServerError", "Internal server error", status=500)
UNAVAILABLE = ServiceError("ServiceUnavailable", "Service is unavailable", status=503)
NO_ANSWER = NoAnswerError("no answer in time")

TROUBLES: tuple[Failure, ...] = (THROTTLED, LIMIT_EXCEEDED, INTERNAL, UNAVAILABLE, NO_ANSWER)
"""What any call may meet with."""


@dataclass(frozen=True, slots=True)
class Fault:
    error: Failure
    lost: bool
    """The call is carried out, and its answer is lost."""

    def raised(self) -> Failure:
        """A new exception each time: one that is raised again keeps the frames of every time. A lost answer is none."""
        if self.lost or isinstance(self.error, NoAnswerError):
            return NoAnswerError("no answer in time")
        one = self.error
        return ServiceError(one.code, one.message, status=one.status, members=one.members)


@dataclass(slots=True)
class _Planned:
    operation: str | None
    fault: Fault
    times: int
    where: Predicate | None


@dataclass(frozen=True, slots=True)
class _Chance:
    operation: str | None
    probability: float
    errors: Sequence[Failure]
    lost: float


@dataclass(slots=True)
class _Limit:
    """How many calls may still be made: more with time, up to one second's worth."""

    per_second: float
    fault: Fault
    left: float
    filled_at: float

    def admits(self, now: float) -> bool:
        self.left = min(max(1.0, self.per_second), self.left + (now - self.filled_at) * self.per_second)
        self.filled_at = now
        if self.left < 1:
            return False
        self.left -= 1
        return True


class Faults:
    def __init__(self, seed: str) -> None:
        self._rng = Random(f"{seed} faults")
        self._planned: list[_Planned] = []
        self._chances: list[_Chance] = []
        self._limits: dict[str, _Limit] = {}
        self.count = 0
        """Of all that were met with."""

    def plan(
        self, operation: str | None, error: Failure, *, times: int, where: Predicate | None, lost: bool
    ) -> None:
        self._planned.append(_Planned(operation, Fault(error, lost), times, where))

    def chance(
        self, operation: str | None, probability: float, errors: Sequence[Failure], *, lost: float
    ) -> None:
        self._chances = [one for one in self._chances if one.operation != operation]
        if probability:
            self._chances.append(_Chance(operation, probability, errors, lost))

    def limit(self, operation: str, per_second: float | None, error: Failure, *, now: float) -> None:
        self._limits.pop(operation, None)
        if per_second is not None:
            saved = max(1.0, per_second) if per_second else 0.0
            self._limits[operation] = _Limit(per_second, Fault(error, lost=False), saved, now)

    def clear(self) -> None:
        self._planned, self._chances, self._limits = [], [], {}

    def draw(self, operation: str, request: Mapping[str, Any], now: float) -> Fault | None:
        """What this call meets with."""
        for planned in self._planned:
            applies = planned.operation in (None, operation) and (
                planned.where is None or planned.where(request)
            )
            if applies and planned.times > 0:
                planned.times -= 1
                self._planned = [one for one in self._planned if one.times > 0]
                self.count += 1
                return planned.fault
        limit = self._limits.get(operation)
        if limit is not None and not limit.admits(now):
            self.count += 1
            return limit.fault
        for chance in self._chances:
            if chance.operation in (None, operation) and self._rng.random() < chance.probability:
                self.count += 1
                return Fault(self._rng.choice(chance.errors), self._rng.random() < chance.lost)
        return None
