"""Time that passes only when it is told to, and everything that is going to happen in it."""

import heapq
from collections.abc import Callable

from cdc.ports import Instant

BEGIN = 1000.0
"""Monotonic."""
WALL = 1_767_225_600.0
"""Epoch seconds of the service's clock at the monotonic time 0."""

Action = Callable[[], None]


def _never() -> bool:
    return False


class VirtualTime:
    """One time line for the service, the processes and the destinations."""

    def __init__(self, begin: float = BEGIN) -> None:
        self.now = begin
        """Monotonic seconds."""
        self.jumped = 0.0
        """By how much the wall clock of the processes' host is off."""
        self._heap: list[tuple[float, int, Action]] = []
        self._count = 0

    def service_now(self) -> float:
        """Epoch seconds of the service's clock, which nobody sets."""
        return WALL + self.now

    def instant(self) -> Instant:
        """What a process sees."""
        return Instant(self.now, WALL + self.now + self.jumped)

    def later(self, seconds: float, action: Action) -> None:
        """Has `action` done after so many seconds; of those at the same time the one that was asked for first."""
        self._count += 1
        heapq.heappush(self._heap, (self.now + max(0.0, seconds), self._count, action))

    def at(self, time: float, action: Action) -> None:
        self.later(time - self.now, action)

    def advance(self, until: float, *, done: Callable[[], bool] = _never) -> bool:
        """Lets everything happen up to this time, or until it is `done`; whether it is."""
        while not done():
            if not self._heap or self._heap[0][0] > until:
                self.now = max(self.now, until)
                return done()
            time, _, action = heapq.heappop(self._heap)
            self.now = max(self.now, time)
            action()
        return True
