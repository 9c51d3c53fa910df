"""The time that is left to a pipeline with saved positions."""

from collections.abc import Mapping, Sequence

from cdc.config import Config
from cdc.connector import Note
from cdc.errors import CdcError
from cdc.ports import Clock
from cdc.runtime.inspection import current_report

WARNING_SECONDS = 12 * 3600.0
"""As `docs/operations.md` has it."""


def headroom_notes(config: Config, clock: Clock) -> Mapping[str, Sequence[Note]]:
    """By sink; nothing where nothing is saved, or cannot be read, which the parts themselves tell."""
    try:
        report = current_report(config, clock)
    except CdcError:
        return {}
    notes = {}
    for sink in report.sinks:
        left = [
            table.retention_headroom_seconds
            for table in sink.tables
            if table.retention_headroom_seconds is not None
        ]
        if left:
            notes[sink.name] = [_note(min(left))]
    return notes


def _note(seconds: float) -> Note:
    if seconds <= 0:
        return Note(
            "the oldest undelivered change is older than 24 hours: a gap is coming, or is there",
            "warning",
            "start the pipeline at once; then see `cdc status` (docs/operations.md, A gap)",
        )
    minutes = int(seconds // 60)
    text = f"{minutes // 60}:{minutes % 60:02d} h until the oldest undelivered change expires"
    if seconds < WARNING_SECONDS:
        return Note(text, "warning", "start the pipeline, or mend this sink, before that")
    return Note(text)
