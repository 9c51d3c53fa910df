"""The lease: a process that may have lost it ends."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cdc.core.engine import Engine
from cdc.core.messages import StopRequested
from cdc.core.status import Status
from cdc.core.world import Settings
from cdc.errors import ErrorKind, StateError
from cdc.model import Listing, Page, Position, ShardKey, Stream
from cdc.observe.metrics import Metrics
from cdc.ports import Lease, Saved
from cdc.process import this_process
from cdc.runtime.dispatch import Dispatcher, Inbox, Ports
from cdc.runtime.loop import Loop
from cdc.runtime.workers import Workers
from cdc.testing.batches import stream_of
from cdc.testing.clock import ManualClock
from cdc.testing.fakes import MemoryDeadLetters, MemoryStore

LEASE_SECONDS = 0.3


class OneStream:
    """A source of one stream, which must not be listed. It takes so many seconds to name it."""

    def __init__(self, clock: ManualClock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds

    def stream(self, table: str) -> Stream:
        self._clock.advance(self._seconds)
        return stream_of(table)

    def shards(self, stream: Stream, *, parent: ShardKey | None = None) -> Listing:
        raise AssertionError

    def iterator(self, shard: ShardKey, position: Position, *, latest: bool = False) -> str:
        raise AssertionError

    def read(self, shard: ShardKey, iterator: str) -> Page:
        raise AssertionError

    def close(self) -> None: ...


class SlowStore(MemoryStore):
    """Takes so many seconds for each renewal, and refuses so many after the first; asks for the end at the third."""

    def __init__(self, clock: ManualClock, inbox: Inbox, seconds: float, refused: int) -> None:
        super().__init__()
        self._refused = refused
        self._clock = clock
        self._inbox = inbox
        self._seconds = seconds
        self._renewals = 0

    def renew(self, lease: Lease, *, now: float, admin: str = "") -> None:
        self._clock.advance(self._seconds)
        if self._renewals and self._refused:
            self._refused -= 1
            raise StateError(ErrorKind.THROTTLED, "too many")
        super().renew(lease, now=now, admin=admin)
        self._renewals += 1
        if self._renewals == 3:
            self._inbox.put(StopRequested())


@contextmanager
def _loop(*, renewal: float, resolving: float = 0.0, refused: int = 0, turn: float = 0.1) -> Iterator[Loop]:
    clock, inbox, workers = ManualClock(), Inbox(), Workers()
    state = SlowStore(clock, inbox, renewal, refused)
    state.open()
    lease = state.acquire(this_process(), lease_seconds=LEASE_SECONDS, now=clock.now().wall)
    outlets: dict[str, Any] = {}
    source = OneStream(clock, resolving)
    ports = Ports(
        "p",
        ("orders",) if resolving else (),
        source,
        outlets,
        state,
        lease,
        MemoryDeadLetters(),
        clock,
        Metrics("p"),
    )

    def turned() -> None:
        clock.advance(turn)

    def publish(_status: Status) -> None: ...

    engine = Engine(Settings(), [], Saved())
    dispatcher = Dispatcher(ports, workers, inbox, readers=1)
    try:
        yield Loop(
            engine,
            dispatcher,
            inbox,
            clock,
            lease_seconds=LEASE_SECONDS,
            admin="",
            turned=turned,
            publish=publish,
        )
    finally:
        assert workers.close(5) == []


def test_a_renewal_that_took_longer_than_the_lease_is_none() -> None:
    with _loop(renewal=2 * LEASE_SECONDS) as loop:
        stop = loop.run()
    assert (stop.exit_code, "lease" in stop.reason, loop.is_owner) == (1, True, False)


def test_one_that_was_quick_enough_is() -> None:
    with _loop(renewal=0.01) as loop:
        assert loop.run().exit_code == 0
    assert loop.is_owner


def test_a_renewal_that_was_refused_is_repeated_soon() -> None:
    """By thirds of the lease, the fourth refusal would be its end."""
    with _loop(renewal=0.0, refused=4, turn=0.01) as loop:
        assert loop.run().exit_code == 0
    assert loop.is_owner


def test_one_that_is_refused_for_as_long_as_the_lease_lasts_ends_it() -> None:
    with _loop(renewal=0.0, refused=1000, turn=0.01) as loop:
        stop = loop.run()
    assert (stop.exit_code, "lease" in stop.reason, loop.is_owner) == (1, True, False)


def test_after_a_suspension_longer_than_the_lease_nothing_is_begun() -> None:
    # What would be asked next is a listing, which this source answers with a crash.
    with _loop(renewal=0.0, resolving=2 * LEASE_SECONDS) as loop:
        stop = loop.run()
    assert (stop.exit_code, "lease" in stop.reason, loop.is_owner) == (1, True, False)
