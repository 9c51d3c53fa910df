"""What goes wrong in a stand-in, and when: one queue of faults per operation, and whole outages."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from cdc.errors import ErrorKind
from cdc.model import Change

Operation = Literal["open", "claim", "write", "flush", "release", "acquire", "renew", "load", "save", "read"]


@dataclass(frozen=True, slots=True)
class Refuse:
    """Fails before anything is done. A write is not even accepted."""

    kind: ErrorKind = ErrorKind.UNAVAILABLE


@dataclass(frozen=True, slots=True)
class FailAfterAccept:
    """A write is accepted and then fails; nothing of it is at the destination."""

    kind: ErrorKind = ErrorKind.UNAVAILABLE


@dataclass(frozen=True, slots=True)
class FailAfterWrite:
    """It is done, but the answer is lost: the caller is told that it failed."""

    kind: ErrorKind = ErrorKind.UNAVAILABLE


@dataclass(frozen=True, slots=True)
class Hold:
    """A write is accepted, or with `before_accept` not even that, until `MemorySink.let_go`."""

    before_accept: bool = False


@dataclass(frozen=True, slots=True)
class Slow:
    """A write becomes durable only so many seconds later, by the stand-in's `ManualClock`."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Reject:
    """A write is durable but for the changes that are `unwanted`: those can never be delivered."""

    unwanted: Callable[[Change], bool]


@dataclass(frozen=True, slots=True)
class Break:
    """Raises this very exception: a bug or a vendor's surprise, nothing that the ports know."""

    error: BaseException


Fault = Refuse | FailAfterAccept | FailAfterWrite | Hold | Slow | Reject | Break


class Faults:
    """Queued faults, each taken by one call of its operation, the first first; an outage is what holds for every call
    that has nothing queued.

        faults.next("write", FailAfterWrite(), None, Refuse())  # the second write is well
        faults.outage("write", "open")                         # until faults.mend()
    """

    def __init__(self) -> None:
        self._queues: dict[Operation, deque[Fault | None]] = {}
        self._outages: dict[Operation, Fault] = {}

    def next(self, operation: Operation, *faults: Fault | None) -> None:
        """Queues what the next calls of `operation` meet; None: that call is well."""
        self._queues.setdefault(operation, deque()).extend(faults)

    def outage(self, *operations: Operation, fault: Fault | None = None) -> None:
        """From now on every call of these operations meets `fault`; UNAVAILABLE unless it says otherwise."""
        for operation in operations:
            self._outages[operation] = fault if fault is not None else Refuse()

    def mend(self) -> None:
        """Ends all outages; what is queued stays."""
        self._outages.clear()

    def take(self, operation: Operation) -> Fault | None:
        """The fault that this call meets."""
        queue = self._queues.get(operation)
        return queue.popleft() if queue else self._outages.get(operation)
