"""Runs a pipeline, from the lease to the last position."""

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import structlog

from cdc.config import Config, DynamoDBStateConfig
from cdc.core import policy
from cdc.core.engine import Engine
from cdc.core.messages import Learnt, Stop, StopRequested
from cdc.core.remembrance import Judgement
from cdc.core.status import Status
from cdc.core.world import Settings
from cdc.errors import CdcError, ConfigError, ErrorKind, RegistryError, SourceError, StateError
from cdc.observe.admin import AdminServer
from cdc.observe.health import LoopHealth
from cdc.observe.metrics import Metrics
from cdc.ports import Clock, Lease, Saved, SchemaRegistry, Source
from cdc.runtime import signals
from cdc.runtime.assembly import (
    dead_letters_of,
    judgement_by_streams,
    outlets_of,
    source_of,
    state_of,
)
from cdc.runtime.board import Board
from cdc.runtime.checks import remedy
from cdc.runtime.clock import SystemClock
from cdc.runtime.dispatch import Dispatcher, Inbox, Outlet, Ports, guarded
from cdc.runtime.loop import Loop
from cdc.runtime.ownership import owned
from cdc.runtime.registry import registry_of, remembered_registry
from cdc.runtime.witnessed import WitnessedStore
from cdc.runtime.workers import Workers

_CLOSE_SECONDS = 1.5
"""After the engine's own end: for a process that ends within ten seconds of a signal."""
_NOT_THE_CONFIGURATION = (ErrorKind.STATE_FORMAT, ErrorKind.THROTTLED, ErrorKind.UNAVAILABLE)
"""Of a state store that cannot be read: another start may find it well."""
_log = structlog.stdlib.get_logger(__name__)


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
    metrics = Metrics(config.pipeline)
    workers = Workers()
    inbox: Inbox = Inbox()
    left_behind: list[str] = []
    unreleased: list[StateError] = []
    with ExitStack() as stack:
        # First of all: a signal during the start is no different from a later one.
        stack.enter_context(signals.handled(lambda: inbox.put(StopRequested())))
        source = source_of(config, clock, metrics.api_call)
        stack.callback(source.close)
        registry = _registry(config, inbox, metrics)
        outlets = outlets_of(config, registry, workers, clock, metrics.api_call)
        refusal = _look_before_the_start(config, source, registry, clock)
        if refusal is not None:
            return Outcome(refusal)
        state, lease, saved = stack.enter_context(owned(config, clock, unreleased, metrics.api_call))
        judgement = _judged(config, saved, clock, source)
        if (refusal := _refusal(judgement)) is not None:
            return Outcome(refusal)
        if judgement.message:
            _log.warning(
                "state",
                finding=judgement.finding.name.lower(),
                reason=judgement.message,
                remedy=judgement.remedy,
            )
        remember = {
            **config.remembered(),
            **remembered_registry(config, registry, saved.settings or {}, create=True, verify=False),
        }
        saved = state.adopt(lease, saved, lost=judgement.lost)
        # Before the lease is released: nothing works on the state any more.
        stack.callback(lambda: left_behind.extend(workers.close(_CLOSE_SECONDS)))
        around = _Surroundings(clock, metrics, workers, inbox, source, outlets, state, lease, saved, remember)
        stop = _run(config, until_caught_up, around)
    if unreleased and not stop.exit_code:
        raise unreleased[0]
    return Outcome(stop, left_behind)


@dataclass(frozen=True, slots=True)
class _Surroundings:
    clock: Clock
    metrics: Metrics
    workers: Workers
    inbox: Inbox
    source: Source
    outlets: Mapping[str, Outlet]
    state: WitnessedStore
    lease: Lease
    saved: Saved
    remember: Mapping[str, str]


def _run(config: Config, until_caught_up: bool, around: _Surroundings) -> Stop:
    clock, metrics, workers = around.clock, around.metrics, around.workers
    inbox, outlets = around.inbox, around.outlets
    for table in config.source.tables:
        for name in outlets:
            # There from the start: an alarm on the increase would miss the first one of a series that begins with it.
            metrics.dead_letters(table, name, 0)
    with ExitStack() as stack:
        letters = dead_letters_of(config)
        letters.open()
        stack.callback(letters.close)
        counted = dead_letters_of(config, read_only=True)
        counted.open()
        stack.callback(counted.close)
        board = Board(config, metrics, clock, around.lease.owner, counted)
        health = LoopHealth(lambda: clock.now().monotonic)
        address = stack.enter_context(_admin(config, board, health, metrics, around))
        board.listens(address)
        ports = Ports(
            config.pipeline, config.source.tables, around.source, outlets, around.state, around.lease, letters, clock, metrics
        )  # fmt: skip

        def publish(status: Status) -> None:
            board.publish(status)
            around.state.saw(status)

        loop = Loop(
            Engine(_settings(config, until_caught_up), list(outlets), around.saved, around.remember),
            Dispatcher(ports, workers, inbox, readers=config.source.readers),
            inbox,
            clock,
            lease_seconds=config.state.lease_seconds,
            admin=address,
            turned=health.turned,
            publish=publish,
        )
        _log.info("running", pipeline=config.pipeline, sinks=",".join(outlets), admin=address or "none")
        try:
            stop = loop.run()
        finally:
            # Who is the owner no longer hurries nothing out: its successor sends it again.
            _close(outlets, _CLOSE_SECONDS if loop.is_owner else 0.0)
        _log.info("ended", exit_code=stop.exit_code, reason=stop.reason)
        return stop


def _registry(config: Config, inbox: Inbox, metrics: Metrics) -> SchemaRegistry:
    """What it learns is saved with the positions."""
    try:
        return registry_of(config, lambda settings: inbox.put(Learnt(settings)), metrics.api_call)
    except RegistryError as error:
        raise ConfigError(error.message, remedy=remedy(policy.SCHEMAS, error)) from error


def _settings(config: Config, until_caught_up: bool) -> Settings:
    return Settings(
        start=config.source.start,
        on_gap=config.source.on_gap,
        until_caught_up=until_caught_up,
        idle_poll_seconds=config.source.idle_poll_seconds,
        checkpoint_seconds=config.state.checkpoint_seconds,
        max_dead_letters_per_minute=config.dead_letters.max_dead_letters_per_minute,
    )


def _look_before_the_start(
    config: Config, source: Source, registry: SchemaRegistry, clock: Clock
) -> Stop | None:
    """What refuses a start changes nothing: on a first one with a wrong source there is not even a state file. What may
    take long is done here too: there is no lease yet that would have to be renewed."""
    try:
        saved = _saved(config)
        refusal = _refusal(_judged(config, saved, clock, source))
    except ConfigError:
        raise
    except CdcError as error:
        if error.kind in _NOT_THE_CONFIGURATION or _may_pass(config, error):
            raise
        raise ConfigError(error.message, remedy=remedy(policy.STATE, error)) from error
    if refusal is None and not saved.starts:
        try:
            for table in config.source.tables:
                source.shards(source.stream(table))  # the streams' own API has permissions of its own
        except CdcError as error:
            raise ConfigError(error.message, remedy=remedy(policy.SOURCE, error)) from error
    if refusal is None:
        remembered_registry(config, registry, saved.settings or {}, create=False)
    return refusal


def _may_pass(config: Config, error: CdcError) -> bool:
    """Credentials of a machine that is still booting, a permission that is being given."""
    return error.kind is ErrorKind.ACCESS_DENIED and isinstance(config.state, DynamoDBStateConfig)


def _judged(config: Config, saved: Saved, clock: Clock, source: Source) -> Judgement:
    try:
        return judgement_by_streams(config, saved, clock, source)
    except SourceError as error:
        raise ConfigError(error.message, remedy=remedy(policy.SOURCE, error)) from error


def _saved(config: Config) -> Saved:
    state = state_of(config, read_only=True)
    try:
        state.open()
        return state.load()
    finally:
        state.close()


def _refusal(judgement: Judgement) -> Stop | None:
    if not judgement.exit_code:
        return None
    return Stop(judgement.exit_code, judgement.message, judgement.remedy)


def _close(outlets: Mapping[str, Outlet], seconds: float) -> None:
    """Closes every sink on its own thread, which has so many seconds to finish; one that hangs delays no other."""
    closing: list[Future[None]] = [
        outlet.thread.submit(outlet.sink.close, deadline=seconds) for outlet in outlets.values()
    ]
    done, _ = wait(closing, timeout=_CLOSE_SECONDS + 0.5)
    for future in done:
        error = future.exception()
        if isinstance(error, CdcError):
            _log.warning("sink-not-closed", reason=error.message)
        elif error is not None:
            raise error


@contextmanager
def _admin(
    config: Config, board: Board, health: LoopHealth, metrics: Metrics, around: _Surroundings
) -> Iterator[str]:
    """The admin server's address, empty if there is to be none."""
    if config.admin is None:
        yield ""
        return
    server = AdminServer(
        config.admin.host,
        config.admin.port,
        health=health,
        ready=board.ready,
        metrics=metrics.render,
        status=board.status,
    )

    def spawn(target: Callable[[], None], /, *, name: str) -> threading.Thread:
        return around.workers.daemon(guarded(around.inbox, target), name=name)

    server.start(spawn)
    try:
        yield server.address
    finally:
        server.stop()
