"""What `cdc status` shows: the running process's own report, or what is saved if none answers."""

import json
import urllib.error
import urllib.request
from typing import Any

from cdc.config import Config
from cdc.errors import CdcError
from cdc.observe.report import Facts, report
from cdc.ports import Clock, Owner, StateStore
from cdc.process import is_dead
from cdc.runtime.assembly import dead_letters_of, state_of

_TIMEOUT_SECONDS = 3.0


def current_report(config: Config, clock: Clock) -> dict[str, Any]:
    """The report of the process that owns the pipeline; without one, of the saved positions.

    Raises:
        CdcError: neither can be read.
    """
    state = state_of(config, read_only=True)
    state.open()
    try:
        owner = state.owner()
        running = _ask(owner) if owner is not None and owner.admin and not is_dead(owner) else None
        return running if running is not None else _from_state(config, clock, state, owner)
    finally:
        state.close()


def _ask(owner: Owner) -> dict[str, Any] | None:
    try:
        with urllib.request.urlopen(f"http://{owner.admin}/status", timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
            body = json.load(answer)
    except (urllib.error.URLError, OSError, ValueError):
        return None  # it does not answer: the saved positions are what is known
    return body if isinstance(body, dict) else None
