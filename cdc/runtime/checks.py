"""`cdc check`: finds out with read-only calls whether a run would work. Changes nothing."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from cdc.config import Config, FilesRegistryConfig
from cdc.connector import AnySinkConnector, SinkContext, SourceContext
from cdc.core import policy
from cdc.errors import CdcError, ConfigError, ErrorKind
from cdc.ports import Clock
from cdc.runtime.assembly import (
    dead_letters_of,
    known_subjects,
    packages_of,
    sink_context,
    source_of,
    state_of,
)
from cdc.runtime.registry import confluent_of, registry_of, remembered_registry
from cdc.runtime.workers import Workers

Rules = Mapping[ErrorKind, policy.Rule]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, and what was found. `problem` is empty where all is well."""

    place: str
    seen: Sequence[str]
    problem: str = ""
    remedy: str = ""


def check(config: Config, clock: Clock) -> list[Finding]:
    """One finding for each part: the source, every sink, the registry, the state store, the dead letters."""
    workers = Workers()
    try:
        return list(_findings(config, clock, workers))
    finally:
        workers.close(2.0)


def remedy(rules: Rules, error: CdcError) -> str:
    """The error's own remedy, or the general one for its kind; empty where the message has to say it all."""
    general = rules.get(error.kind)
    return error.remedy or (general.remedy if general is not None else "")


def _findings(config: Config, clock: Clock, workers: Workers) -> Iterator[Finding]:
    yield _find("source", policy.SOURCE, lambda: _source(config, clock))
    for sink, connector in config.sinks_with_connectors():
        context = sink_context(config, sink.name, workers, clock, _uncounted)
        envelope = config.envelope_of(sink)
        takes = [f"takes Avro in the envelope {envelope}"] if envelope else []
        yield _find(f"sink {sink.name}", policy.SINK, partial(_sink, connector, sink, context, takes))
    yield _find("schema registry", policy.SCHEMAS, lambda: _registry(config))
    yield _find("state", policy.STATE, lambda: _state(config))
    yield _find("dead letters", policy.STATE, lambda: _dead_letters(config))


def _find(place: str, rules: Rules, look: Callable[[], Sequence[str]]) -> Finding:
    try:
        return Finding(place, look())
    except CdcError as error:
        return Finding(place, (), error.message, remedy(rules, error))


def _source(config: Config, clock: Clock) -> Sequence[str]:
    settings, connector = config.source_with_connector()
    source = source_of(config, clock, _uncounted)
    try:
        for table in config.source.tables:
            source.stream(table)
    finally:
        source.close()
    return connector.probe(settings, SourceContext(config.pipeline, clock, settings.readers, _uncounted))


def _sink(
    connector: AnySinkConnector, sink: Any, context: SinkContext, takes: Sequence[str]
) -> Sequence[str]:
    with packages_of(f"sink {sink.name}"):
        return [*takes, *connector.probe(sink, context)]


def _registry(config: Config) -> Sequence[str]:
    settings = config.schema_.registry
    if isinstance(settings, FilesRegistryConfig):
        return _folder(settings.path)
    return confluent_of(settings, _uncounted).probe(known_subjects(config))


def _folder(path: Path) -> Sequence[str]:
    """The folder, or the nearest above it that exists, is one that this process may write to."""
    nearest = path
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        raise ConfigError(f"{path}: {nearest} is not a folder", remedy="name another path")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise ConfigError(
            f"{path}: may not write to {nearest}", remedy="give this user the right to write there"
        )
    return [f"{path} " + ("exists" if nearest == path else f"will be made in {nearest}")]


def _state(config: Config) -> Sequence[str]:
    seen = list(_folder(config.state.path.parent))
    state = state_of(config, read_only=True)
    state.open()
    try:
        owner = state.owner()
        saved = state.load()
    finally:
        state.close()
    config.check_remembered(saved.settings or {})
    registry = registry_of(config, _unlearnt, _uncounted)
    remembered_registry(config, registry, saved.settings or {}, create=False)
    if owner is not None:
        seen.append(f"last owner: process {owner.pid} on {owner.host}")
    return [*seen, f"{len(saved.cursors)} positions saved"]


def _dead_letters(config: Config) -> Sequence[str]:
    seen = list(_folder(config.dead_letters.path))
    letters = dead_letters_of(config, read_only=True)
    letters.open()
    try:
        return [*seen, f"{sum(letters.count().values())} dead letters"]
    finally:
        letters.close()


def _unlearnt(settings: Mapping[str, str]) -> None:
    """A check registers nothing."""


def _uncounted(operation: str, outcome: str) -> None:
    """A check counts no calls."""
