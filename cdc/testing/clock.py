"""A clock that goes when it is told to."""

import heapq
from collections.abc import Callable
from itertools import count

from cdc.ports import Instant

START_WALL = 1_767_225_660.0
"""Where a `ManualClock` begins unless it says otherwise: a minute after `cdc.testing.batches.CREATED_MS`."""


class ManualClock:
    """A `Clock`. Time passes in `advance` alone, which also does what became due, in order of its time."""

    def __init__(self, wall: float = START_WALL, monotonic: float = 1000.0) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()

    def now(self) -> Instant:
        return Instant(self._monotonic, self._wall)

    def call_later(self, seconds: float, action: Callable[[], None]) -> None:
        """Has `action` done once `seconds` have passed, inside of `advance`."""
        heapq.heappush(self._due, (self._monotonic + seconds, next(self._order), action))

    def advance(self, seconds: float) -> None:
        """Lets time pass; actions see the time at which they were due."""
        end = self._monotonic + seconds
        while self._due and self._due[0][0] <= end:
            due, _, action = heapq.heappop(self._due)
            self._go_to(max(due, self._monotonic))
            action()
        self._go_to(end)

    def jump_wall(self, seconds: float) -> None:
        """Sets the wall clock forward or back, as an operator or a time service does; the monotonic one goes on."""
        self._wall += seconds

    def _go_to(self, monotonic: float) -> None:
        self._wall += monotonic - self._monotonic
        self._monotonic = monotonic
