"""Who works on a pipeline's state: the lease, from the beginning to the end."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from cdc.config import Config
from cdc.connector import CountCall
from cdc.errors import ErrorKind, StateError
from cdc.ports import Clock, Lease, Saved
from cdc.process import this_process
from cdc.runtime.assembly import pairs_of, state_of, uncounted, witness_of
from cdc.runtime.witnessed import WitnessedStore

_PASSING = (ErrorKind.UNAVAILABLE, ErrorKind.THROTTLED)
_log = structlog.stdlib.get_logger(__name__)


@contextmanager
def owned(
    config: Config, clock: Clock, unreleased: list[StateError], count_call: CountCall = uncounted
) -> Iterator[tuple[WitnessedStore, Lease, Saved]]:
    """A pipeline's store under its lease, and what was saved in it.

    Args:
        unreleased: gets what kept the lease from being given back, unless it passes and the lease ends by itself: how
            the work ended is the first to be told.

    Raises:
        StateError: the lease is somebody else's, or the store cannot be read.
        ConfigError: a sink has become something else than its positions are of.
    """
    state = WitnessedStore(
        state_of(config, count_call=count_call), witness_of(config), clock, runs=pairs_of(config)
    )
    state.open()
    try:
        lease = state.acquire(this_process(), lease_seconds=config.state.lease_seconds, now=clock.now().wall)
        try:
            saved = state.load()
            config.check_remembered(saved.settings or {})
            yield state, lease, saved
        finally:
            try:
                state.release(lease)
            except StateError as error:  # how the run ended is the first to be told
                if error.kind not in _PASSING:
                    unreleased.append(error)
                _log.warning("lease-not-released", reason=error.message)
    finally:
        state.close()
