"""The newest status, for whoever asks: the metrics, `/status`, `/ready`."""

import threading
from dataclasses import replace

from cdc.config import Config
from cdc.core.messages import Stop
from cdc.core.status import Status
from cdc.observe.document import Report, to_json
from cdc.observe.figures import Watermarks
from cdc.observe.health import Health, readiness
from cdc.observe.metrics import Metrics
from cdc.observe.report import Facts, report
from cdc.ports import Clock, DeadLetters, Owner


class Board:
    """Written by the loop, read by the admin server's threads: what is published is never changed.

    Args:
        letters: for counting; used by nobody else.
    """

    def __init__(
        self, config: Config, metrics: Metrics, clock: Clock, owner: Owner, letters: DeadLetters
    ) -> None:
        self._config = config
        self._metrics = metrics
        self._clock = clock
        self._owner = owner
        self._letters = letters
        self._watermarks = Watermarks()
        self._lock = threading.Lock()
        self._status: Status | None = None

    def listens(self, address: str) -> None:
        """The admin server's `host:port`, known once it listens."""
        self._owner = replace(self._owner, admin=address)

    def publish(self, status: Status) -> None:
        self._status = status
        self._metrics.publish(status)

    def ready(self) -> Health:
        return readiness(
            self._status, tables=self._config.source.tables, sinks=[sink.name for sink in self._config.sinks]
        )

    def status(self) -> bytes:
        """`cdc status --json` of this process."""
        return to_json(self.report())

    def report(self, stop: Stop | None = None) -> Report:
        status = self._status or Status((), (), "", (), 0)
        with self._lock:  # the dead letters too are for one thread at a time
            facts = facts_of(
                self._config, running=True, owner=self._owner, letters=self._letters, stop=stop, status=status
            )
            return report(status, facts, at=self._clock.now().wall, watermarks=self._watermarks)


def facts_of(
    config: Config,
    *,
    running: bool,
    owner: Owner | None,
    letters: DeadLetters,
    status: Status | None = None,
    stop: Stop | None = None,
) -> Facts:
    """What the configuration and the dead letters say of a pipeline."""
    return Facts(
        config.pipeline,
        config.source.tables,
        {sink.name: sink.type for sink, _ in config.sinks_with_connectors()},
        running,
        owner,
        letters.count(),
        status.gaps if status is not None else (),
        stop,
    )
