"""Who makes the calls for files in progress, and when: those of one file one after the other, several files side by
side, a call that failed again later."""

import random
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from math import inf
from threading import Condition
from typing import NamedTuple

from cdc.errors import ErrorKind, SinkError
from cdc.ports import Clock

FIRST_RETRY_SECONDS = 0.25
"""Doubles with every failure in a row; half of it is spread by chance, as others fail at the same moment."""

_PASSING = (ErrorKind.UNAVAILABLE, ErrorKind.THROTTLED)


class Call(NamedTuple):
    make: Callable[[], None]
    held: int = 0
    """Bytes that are in memory until it is made."""
    then: Callable[[], None] | None = None
    """What follows its success, under the lock."""


@dataclass(eq=False, slots=True)
class Lane:
    """The calls for one file."""

    calls: deque[Call] = field(default_factory=deque)
    is_busy: bool = False
    """The first call is being made."""
    is_given_up: bool = False
    failures: int = 0
    due: float = -inf
    """When the first call may be made; monotonic seconds."""


class Lanes:
    """Everything but the calls themselves is done under the sink's lock, which all methods want to be held.

    Without a pool a call is made at once, by the thread that asks for it, under the lock.

    A call that failed for a passing reason is made again, up to `attempts` times within seconds: a part that did not
    arrive would otherwise cost its file, and with it everything that is not durable, hundreds of megabytes maybe. It
    waits on the clock, and no thread waits for it. What lasts longer is a failure of the sink.

    Args:
        changed: notified of the end of every call.
        freed: told that a call is made, and its data out of memory, under the lock.
        failed: told of what was tried often enough, under the lock.
        ended_by_bug: told of an exception that no storage may raise, under the lock.
    """

    def __init__(
        self,
        changed: Condition,
        clock: Clock,
        *,
        attempts: int,
        freed: Callable[[], None],
        failed: Callable[[SinkError], None],
        ended_by_bug: Callable[[BaseException], None],
    ) -> None:
        self.pool: Executor | None = None
        self.held = 0
        """Bytes in calls that are not made yet."""
        self._changed = changed
        self._clock = clock
        self._attempts = attempts
        self._freed = freed
        self._failed = failed
        self._ended_by_bug = ended_by_bug
        self._active: set[Lane] = set()
        self._is_closed = False

    @property
    def is_idle(self) -> bool:
        return self._is_closed or not self._active

    @property
    def next_due(self) -> float:
        """When a call is to be made again; monotonic seconds, infinite for none."""
        return min((lane.due for lane in self._active if not lane.is_busy), default=inf)

    def push(self, lane: Lane, call: Call) -> None:
        """Nothing for a lane that was given up."""
        if not lane.is_given_up:
            self._add(lane, call)

    def give_up(self, lane: Lane, make: Callable[[], None]) -> None:
        """Drops all calls but the one that is being made; `make` is the last."""
        if lane.is_given_up:
            return
        lane.is_given_up = True
        while len(lane.calls) > lane.is_busy:
            self.held -= lane.calls.pop().held
        lane.due = -inf
        self._add(lane, Call(make))

    def make_due(self, now: float) -> None:
        """Makes the calls again whose time has come."""
        for lane in [lane for lane in self._active if not lane.is_busy and lane.due <= now]:
            self._go(lane)

    def close(self) -> None:
        """No call is begun from here on. One that is being made ends by itself, and nothing follows."""
        self._is_closed = True

    def _add(self, lane: Lane, call: Call) -> None:
        lane.calls.append(call)
        self.held += call.held
        self._active.add(lane)
        if lane.due <= self._clock.now().monotonic:
            self._go(lane)

    def _go(self, lane: Lane) -> None:
        if lane.is_busy or not lane.calls or self._is_closed:
            return
        lane.is_busy = True
        if self.pool is None:
            self._settle(lane, _made(lane.calls[0]))
        else:
            self.pool.submit(self._work, lane, lane.calls[0])

    def _work(self, lane: Lane, call: Call) -> None:
        """On a thread of the pool."""
        try:
            error = _made(call)
            with self._changed:
                self._settle(lane, error)
                self._changed.notify_all()
        except BaseException as bug:
            with self._changed:
                self._ended_by_bug(bug)
                self._changed.notify_all()
            raise

    def _settle(self, lane: Lane, error: SinkError | None) -> None:
        lane.is_busy = False
        if error is not None and not lane.is_given_up and self._is_made_again(lane, error):
            return
        call = lane.calls.popleft()
        self.held -= call.held
        if not lane.calls:
            self._active.discard(lane)
        if lane.is_given_up:
            self._go(lane)
        elif error is not None:
            self._failed(error)
        else:
            lane.failures = 0
            lane.due = -inf
            if call.then is not None:
                call.then()
            self._freed()
            self._go(lane)

    def _is_made_again(self, lane: Lane, error: SinkError) -> bool:
        lane.failures += 1
        if error.kind not in _PASSING or lane.failures >= self._attempts:
            return False
        seconds = FIRST_RETRY_SECONDS * 2 ** (lane.failures - 1)
        lane.due = self._clock.now().monotonic + seconds * (0.5 + random.random() / 2)  # noqa: S311
        return True


def _made(call: Call) -> SinkError | None:
    try:
        call.make()
    except SinkError as error:
        return error
    return None
