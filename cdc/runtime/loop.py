"""The owner loop: the only thread that touches the engine."""

import queue
from collections.abc import Callable

import structlog

from cdc.core import policy
from cdc.core.engine import Engine
from cdc.core.messages import Command, SaveFailed, Started, Stop, StopRequested, Tick
from cdc.core.status import Status, status
from cdc.errors import CdcError, ErrorKind
from cdc.ports import Clock
from cdc.runtime.dispatch import Crashed, Dispatcher, Inbox

_PUBLISH_SECONDS = 1.0
_RENEWALS_WHEN_FAILING = 15
"""How often a renewal that fails is tried while the lease lasts; one that succeeds, three times."""
_log = structlog.stdlib.get_logger(__name__)


class Loop:
    """Takes events from the inbox, gives them to the engine, and has its commands done, until it says stop.

    Beside the events it renews the lease and publishes the status, both by time.
    """

    def __init__(
        self,
        engine: Engine,
        dispatcher: Dispatcher,
        inbox: Inbox,
        clock: Clock,
        *,
        lease_seconds: float,
        admin: str,
        turned: Callable[[], None],
        publish: Callable[[Status], None],
    ) -> None:
        self._engine = engine
        self._dispatcher = dispatcher
        self._inbox = inbox
        self._clock = clock
        self._lease_seconds = lease_seconds
        self._admin = admin
        self._publish = publish
        self._turned = turned
        now = clock.now().monotonic
        self._renewed = now
        self._renew_due = now
        self._publish_due = now
        self._lost: CdcError | None = None
        self._not_renewed = ""
        self.is_owner = True
        """False once the lease was lost, or may have been: nothing is to be written any more."""

    def run(self) -> Stop:
        stop = self._do(self._engine.handle(Started(), self._clock.now()))
        while stop is None:
            stop = self._beside() or self._turn()
        self._publish(status(self._engine.world))
        return stop

    def _turn(self) -> Stop | None:
        due = min(self._renew_due, self._publish_due, self._engine.next_due() or float("inf"))
        try:
            event = self._inbox.get(timeout=max(0.0, due - self._clock.now().monotonic))
        except queue.Empty:
            event = Tick()
        if isinstance(event, Crashed):
            raise event.error
        if isinstance(event, StopRequested):
            _log.info("stopping")
        if isinstance(event, SaveFailed) and event.error.kind is ErrorKind.NOT_OWNER:
            self.is_owner = False
        now = self._clock.now()
        self._turned()
        if (stop := self._expired(now.monotonic)) is not None:
            return stop
        return self._do(self._engine.handle(event, now))

    def _do(self, commands: list[Command]) -> Stop | None:
        for command in commands:
            if isinstance(command, Stop):
                return command
            self._dispatcher.do(command)
        return None

    def _beside(self) -> Stop | None:
        """What is due by time, and not the engine's business."""
        now = self._clock.now().monotonic
        if (stop := self._expired(now)) is not None:
            return stop
        if now >= self._publish_due:
            self._publish_due = now + _PUBLISH_SECONDS
            self._publish(status(self._engine.world))
        if now >= self._renew_due:
            self._renew_due = now + self._lease_seconds / 3
            self._dispatcher.renew(self._admin, lambda error: self._renewal(error, asked_at=now))
        return None

    def _expired(self, now: float) -> Stop | None:
        """Looked at before anything more is done: the process may have been suspended."""
        if self._lost is not None:
            self.is_owner = False
            return Stop(1, self._lost.message, self._lost.remedy)
        if now - self._renewed > self._lease_seconds:
            self.is_owner = False
            return Stop(
                1,
                f"the lease could not be renewed for {now - self._renewed:.0f} s: "
                + (self._not_renewed or "another process may own the pipeline"),
                "look at the state store, and start again",
            )
        return None

    def _renewal(self, error: CdcError | None, *, asked_at: float) -> None:
        """Called from the state store's thread. The lease lasts from when the call began, however long it took: the
        process may have been suspended meanwhile."""
        if error is None:
            self._renewed = asked_at
            self._not_renewed = ""
        elif policy.rule(policy.STATE, error).action is not policy.Action.RETRY:
            self._lost = error
        else:
            self._not_renewed = error.message
            # Soon again: one call that was throttled or lost is not to cost a third of the lease.
            self._renew_due = min(self._renew_due, asked_at + self._lease_seconds / _RENEWALS_WHEN_FAILING)
            _log.warning("lease-not-renewed", reason=error.message)
