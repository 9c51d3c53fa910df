"""What `cdc status` shows: the running process's own report, or what is saved if none answers."""

import urllib.error
import urllib.request
from dataclasses import replace
from typing import Literal

from cdc.config import Config
from cdc.core.remembrance import Judgement
from cdc.observe.document import AlarmReport, Report, from_json
from cdc.observe.report import report
from cdc.ports import Clock, Owner
from cdc.process import is_dead
from cdc.runtime.assembly import dead_letters_of, judgement_of, state_of
from cdc.runtime.board import facts_of

_TIMEOUT_SECONDS = 3.0


def current_report(config: Config, clock: Clock) -> Report:
    """The report of the process that owns the pipeline; without one that answers, of the saved positions.

    Raises:
        CdcError: neither can be read.
    """
    state = state_of(config, read_only=True)
    letters = dead_letters_of(config, read_only=True)
    state.open()
    letters.open()
    try:
        owner = state.owner()
        living = owner is not None and not is_dead(owner)
        running = _ask(owner) if owner is not None and living and owner.admin else None
        if running is not None and running.pipeline == config.pipeline:
            return running
        saved = state.load()
        facts = replace(
            facts_of(config, running=False, owner=owner, letters=letters),
            alarms=() if living else _alarms(judgement_of(config, saved, clock)),
        )
        return report(saved, facts, at=clock.now().wall)
    finally:
        letters.close()
        state.close()


def _alarms(judgement: Judgement) -> tuple[AlarmReport, ...]:
    """What the next run will say of the state."""
    if not judgement.message:
        return ()
    severity: Literal["error", "warning"] = "error" if judgement.exit_code else "warning"
    return (
        AlarmReport(severity=severity, about="state", message=judgement.message, remedy=judgement.remedy),
    )


def _ask(owner: Owner) -> Report | None:
    try:
        with urllib.request.urlopen(f"http://{owner.admin}/status", timeout=_TIMEOUT_SECONDS) as answer:
            return from_json(answer.read())
    except (urllib.error.URLError, OSError, ValueError):
        return None  # it does not answer, or is something else by now: the saved positions are what is known
