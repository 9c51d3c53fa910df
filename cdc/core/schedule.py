"""When is what due: a heap of times, and budgets of calls. A thousand shards are a thousand entries here."""

import heapq
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class DueHeap(Generic[K]):
    """One due time for each key; asking for an earlier or later time replaces it.

    Entries that were replaced stay in the heap until they come up, so a change costs log n and no search.
    """

    def __init__(self) -> None:
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._due)

    def __contains__(self, key: K) -> bool:
        return key in self._due

    def at(self, key: K, due: float) -> None:
        """`key` is due at `due`, and at no other time."""
        if self._due.get(key) == due:
            return
        self._due[key] = due
        self._count += 1
        heapq.heappush(self._heap, (due, self._count, key))
        if len(self._heap) > 64 + 4 * len(self._due):
            self._rebuild()

    def next_due(self) -> float | None:
        while self._heap:
            due, _, key = self._heap[0]
            if self._due.get(key) == due:
                return due
            heapq.heappop(self._heap)
        return None

    def pop_due(self, now: float) -> Iterator[K]:
        """Takes out what is due now, in the order of the due times. What is added meanwhile waits for the next call."""
        ready: list[K] = []
        while (due := self.next_due()) is not None and due <= now:
            key = heapq.heappop(self._heap)[2]
            del self._due[key]
            ready.append(key)
        yield from ready

    def _rebuild(self) -> None:
        self._heap = [(due, number, key) for due, number, key in self._heap if self._due.get(key) == due]
        heapq.heapify(self._heap)


@dataclass(slots=True)
class Budget:
    """So many calls a second, with one second's worth of burst: a token bucket."""

    per_second: float
    _tokens: float = 0.0
    _as_of: float | None = None

    def wait(self, now: float) -> float:
        """Seconds until a call is allowed; 0 if now."""
        self._refill(now)
        return 0.0 if self._tokens >= _WHOLE else (1.0 - self._tokens) / self.per_second

    def spend(self, now: float) -> None:
        self._refill(now)
        self._tokens -= 1.0

    def _refill(self, now: float) -> None:
        burst = max(1.0, self.per_second)
        elapsed = burst if self._as_of is None else max(0.0, now - self._as_of) * self.per_second
        self._tokens = min(burst, self._tokens + elapsed)
        self._as_of = now if self._as_of is None else max(self._as_of, now)


_WHOLE = 1.0 - 1e-6
"""A token that came together out of many small times is a whole one."""
