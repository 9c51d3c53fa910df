"""Runs a pipeline, from the lease to the last position."""

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from cdc.config import Config
from cdc.core.engine import Engine
from cdc.core.messages import Stop, StopRequested
from cdc.core.status import Status
from cdc.core.world import Settings
from cdc.errors import CdcError, ConfigError, ErrorKind
from cdc.observe.admin import AdminServer
from cdc.observe.log import get_logger
from cdc.observe.metrics import Metrics
from cdc.observe.report import facts_of, report
from cdc.ports import Clock, Lease, Saved, Source, StateStore
from cdc.process import this_process
from cdc.runtime import signals
from cdc.runtime.assembly import dead_letters_of, outlets_of, source_of, state_of
from cdc.runtime.clock import SystemClock
from cdc.runtime.dispatch import Dispatcher, Inbox, Outlet, Ports
from cdc.runtime.loop import Loop
from cdc.runtime.workers import Workers

_CLOSE_SECONDS = 1.5
"""After the engine's own end: for a process that ends within ten seconds of a signal."""
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended. `left_behind`: threads that hang in a call to the outside; only `os._exit` passes them."""

    stop: Stop
    left_behind: list[str] = field(default_factory=list)


def run(config: Config, *, until_caught_up: bool, clock: Clock | None = None) -> Outcome:
    """Runs until there is nothing left to do, a signal comes, or something is wrong.

    Raises:
        ConfigError: the configuration, or on the first start the source, is wrong; nothing was changed.
        CdcError: the lease is somebody else's, or the admin port is busy.
    """
    clock = clock or SystemClock()
    metrics = Metrics(config.pipeline, tables=config.source.tables, sinks=[sink.name for sink in config.sinks])
    workers = Workers()
    stop: Stop | None = None
    try:
        with ExitStack() as stack:
            source = source_of(config, clock, metrics.api_call)
            stack.callback(source.close)
            _look_before_the_first_start(config, source)
            state, lease, saved = stack.enter_context(_owned(config, clock))
            stop = _run(config, until_caught_up, _Surroundings(clock, metrics, workers, source, state, lease, saved))
    finally:
        left = workers.close(_CLOSE_SECONDS)
    return Outcome(stop, left)


@dataclass(frozen=True, slots=True)
class _Surroundings:
    clock: Clock
    metrics: Metrics
    workers: Workers
    source: Source
    state: StateStore
    lease: Lease
    saved: Saved


def _run(config: Config, until_caught_up: bool, around: _Surroundings) -> Stop:  # noqa: FBT001 - private
    clock, metrics, workers = around.clock, around.metrics, around.workers
    inbox: Inbox = Inbox()
    outlets = outlets_of(config, workers, clock, metrics.api_call)
    dead_letters = dead_letters_of(config)
    dead_letters.open()
    ports = Ports(
        config.pipeline, around.source, outlets, around.state, around.lease, dead_letters, clock, metrics
    )  # fmt: skip
    engine = Engine(_settings(config, until_caught_up), list(outlets), around.saved, config.remembered())
    dispatcher = Dispatcher(ports, workers, inbox, readers=config.source.readers)
    board = _Board(config, metrics, clock, around.saved)
    with ExitStack() as stack:
        stack.callback(dead_letters.close)
        address = stack.enter_context(_admin(config, board, workers))
        loop = Loop(
            engine,
            dispatcher,
            inbox,
            clock,
            lease_seconds=config.state.lease_seconds,
            admin=address,
            publish=board.publish,
        )
        board.loop = loop
        stack.enter_context(signals.handled(lambda: inbox.put(StopRequested())))
        _log.info("running", pipeline=config.pipeline, sinks=",".join(outlets), admin=address or "none")
        try:
            return loop.run()
        finally:
            _close(outlets)


def _settings(config: Config, until_caught_up: bool) -> Settings:  # noqa: FBT001 - private
    return Settings(
        start=config.source.start,
        until_caught_up=until_caught_up,
        idle_poll_seconds=config.source.idle_poll_seconds,
        checkpoint_seconds=config.state.checkpoint_seconds,
    )


def _look_before_the_first_start(config: Config, source: Source) -> None:
    """A first start with a wrong source changes nothing, not even a state file."""
    state = state_of(config, read_only=True)
    state.open()
    try:
        if not state.load().starts:
            source.streams()
    except CdcError as error:
        if error.kind is ErrorKind.STATE_FORMAT:
            raise
        raise ConfigError(error.message, remedy=error.remedy) from error
    finally:
        state.close()


@contextmanager
def _owned(config: Config, clock: Clock) -> Iterator[tuple[StateStore, Lease, Saved]]:
    state = state_of(config)
    state.open()
    try:
        lease = state.acquire(this_process(), lease_seconds=config.state.lease_seconds, now=clock.now().wall)
        try:
            saved = state.load()
            config.check_remembered(saved.settings or {})
            yield state, lease, saved
        finally:
            state.release(lease)
    finally:
        state.close()


def _close(outlets: Mapping[str, Outlet]) -> None:
    """Closes every sink on its own thread; one that hangs delays no other."""
    closing: list[Future[None]] = [
        outlet.thread.submit(outlet.sink.close, deadline=_CLOSE_SECONDS) for outlet in outlets.values()
    ]
    done, _ = wait(closing, timeout=_CLOSE_SECONDS + 0.5)
    for future in done:
        error = future.exception()
        if isinstance(error, CdcError):
            _log.warning("sink-not-closed", reason=error.message)
        elif error is not None:
            raise error


class _Board:
    """The newest status, for whoever asks."""

    def __init__(self, config: Config, metrics: Metrics, clock: Clock, saved: Saved) -> None:
        self._config = config
        self._metrics = metrics
        self._clock = clock
        self._saved = saved
        self._status: Status | None = None
        self.loop: Loop | None = None

    def publish(self, status: Status) -> None:
        self._status = status
        self._metrics.publish(status)


@contextmanager
def _admin(config: Config, board: _Board, workers: Workers) -> Iterator[str]:
    yield ""
