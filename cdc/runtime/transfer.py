"""`cdc positions export` and `import`: a pipeline's state as a file, for backups and on the way to another store."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cdc.config import Config
from cdc.core.remembrance import lost_pairs
from cdc.errors import ConfigError
from cdc.model import RETENTION_SECONDS
from cdc.observe.plain import duration, utc
from cdc.observe.positions import from_bytes, to_dict
from cdc.ports import Clock, Saved
from cdc.process import is_dead, this_process
from cdc.runtime.assembly import pairs_of, state_of, uncounted, witness_of
from cdc.runtime.registry import registry_of, remembered_registry, unlearnt
from cdc.runtime.witness import write_whole
from cdc.runtime.witnessed import WitnessedStore


@dataclass(frozen=True, slots=True)
class Exported:
    document: dict[str, Any]
    """In the shape of `schemas/positions.schema.json`."""
    warning: str
    """Empty: nothing to be said."""


@dataclass(frozen=True, slots=True)
class Imported:
    positions: int
    sinks: Sequence[str]
    meaning: Sequence[str]
    """What happens with the next run, a sentence each."""


def export_positions(config: Config, clock: Clock) -> Exported:
    """Everything that is saved, also beside a running process. Changes nothing.

    Raises:
        ConfigError: nothing is saved.
        StateError: it cannot be read.
    """
    state = state_of(config, read_only=True)
    state.open()
    try:
        saved, owner = state.load(), state.owner()
    finally:
        state.close()
    if not saved.starts:
        raise ConfigError(
            f"the pipeline {config.pipeline} has nothing saved in {config.state.place}",
            remedy="look at `pipeline` and `state` in the configuration",
        )
    warning = ""
    if owner is not None and not is_dead(owner):
        warning = (
            f"process {owner.pid} on {owner.host} runs the pipeline: these positions are of now, and what it delivers "
            "from now on is delivered again after an import; to move the pipeline, stop it and export again"
        )
    return Exported(to_dict(config.pipeline, saved, at=clock.now().wall), warning)


def write_export(path: Path, content: bytes) -> None:
    """Durable when it returns; a file that was there before is replaced whole, or left as it was.

    Raises:
        ConfigError: it cannot be written there.
    """
    try:
        write_whole(path, content)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", remedy="name another file as --output") from None


def import_positions(config: Config, path: Path, *, replace: bool, clock: Clock) -> Imported:
    """Puts exported positions into the configured state store, as one transaction. The pipeline must not be running.

    Args:
        config: the pipeline, with the store that is to have them.
        path: the exported file.
        replace: instead of positions that the store has.
        clock: the present.

    Raises:
        ConfigError: the file is none, damaged, of a newer version, of another pipeline or for other sinks, or the store
            has positions of its own.
        StateError: the pipeline runs, or the store cannot be written.
    """
    found, saved = from_bytes(_read(path), path=os.fspath(path))
    if found.pipeline != config.pipeline:
        raise ConfigError(
            f"{path}: positions of the pipeline {found.pipeline}; this one is {config.pipeline}",
            remedy="name the configuration of that pipeline, or another file",
        )
    if not saved.starts:
        raise ConfigError(f"{path}: no positions in it", remedy="name another file")
    config.check_remembered(saved.settings or {})
    registry = registry_of(config, unlearnt, uncounted)
    remembered_registry(config, registry, saved.settings or {}, create=False)
    state = WitnessedStore(state_of(config), witness_of(config), clock)
    state.open()
    try:
        lease = state.acquire(this_process(), lease_seconds=config.state.lease_seconds, now=clock.now().wall)
        try:
            present = state.load()
            if (present.starts or present.cursors or present.gaps) and not replace:
                raise ConfigError(
                    f"{config.state.place} has {len(present.cursors)} positions of the pipeline {config.pipeline} already",
                    remedy="--replace, if those of the file are to count instead; `cdc positions export` keeps a copy",
                )
            gone = lost_pairs(witness_of(config).read(), saved, pairs_of(config))
            after = state.adopt(lease, saved, lost=gone, replaces=True)
        finally:
            state.release(lease)
    finally:
        state.close()
    sinks = sorted({start.sink for start in after.starts})
    return Imported(
        len(after.cursors), sinks, _meaning(config, saved, after, found.exported_at, clock.now().wall)
    )


def _meaning(config: Config, saved: Saved, after: Saved, exported_at: float, now: float) -> list[str]:
    said = [f"exported {duration(max(0.0, now - exported_at))} ago, at {utc(exported_at)}"]
    newest = max((cursor.saved_at for cursor in saved.cursors), default=None)
    if newest is not None:
        age = max(0.0, now - newest)
        said.append(
            f"the newest position is {duration(age)} old: what was delivered since is delivered again, and nothing else"
        )
        if age > RETENTION_SECONDS:
            said.append(
                "that is longer than the stream keeps changes: what has expired will be found to be a gap"
            )
    waiting = [gap for gap in after.gaps if not gap.decision]
    if waiting:
        said.append(f"{len(waiting)} gaps in it wait for a decision: `cdc positions reset`")
    raised = sorted(
        sink for sink, epoch in (after.epochs or {}).items() if epoch != (saved.epochs or {}).get(sink, 0)
    )
    if raised:
        said.append(f"positions were reset since at {', '.join(raised)}: the file's count from now on")
    others = sorted({start.sink for start in after.starts} - {sink.name for sink in config.sinks})
    if others:
        said.append(f"not in the configuration, and kept: {', '.join(others)}")
    return said


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{path}: {error.strerror}", remedy="name a file that `cdc positions export` wrote"
        ) from None
