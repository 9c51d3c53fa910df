"""From a file to a `Config`, or to a `ConfigError` that says all that is wrong with it."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from cdc.config.document import Document, read
from cdc.config.installed import Connectors, installed
from cdc.config.later import later
from cdc.config.model import STATES, Config, StateConfig
from cdc.config.origin import Origin
from cdc.config.problems import Loc, did_you_mean, listed, shown
from cdc.config.validation import validated
from cdc.connector import AnySinkConnector, AnySourceConnector, SinkConfig, SourceConfig
from cdc.errors import ConfigError

C = TypeVar("C")

VERSION = 1


@dataclass(frozen=True, slots=True)
class _Sink:
    loc: Loc
    type: str
    connector: AnySinkConnector
    config: SinkConfig | None
    """None: not as the connector wants it."""


def load(
    path: Path, *, environ: Mapping[str, str] | None = None, connectors: Connectors | None = None
) -> Config:
    """Reads a configuration file. Only the connectors in use are imported.

    Args:
        path: the file; relative paths in it are relative to its folder.
        environ: for `${NAME}`; None: this process's environment.
        connectors: what `type` can be; None: the installed ones.

    Raises:
        ConfigError: everything that is wrong, a line each: `FILE:LINE: KEY: what is wrong; what is allowed`. Values
            that may be secrets are not shown.
    """
    document = read(path, os.environ if environ is None else environ)
    _check_version(document)
    return _assemble(document, path.absolute().parent, connectors or installed())


def _check_version(document: Document) -> None:
    """Of a file for another version nothing else can be said."""
    version = document.data.get("version")
    if isinstance(version, int) and version != VERSION:
        raise ConfigError(
            f"{document.problems.place(('version',))}: this program does not know version {version} of the "
            f"configuration; allowed: {VERSION}"
        )


def _assemble(document: Document, base: Path, connectors: Connectors) -> Config:
    problems = document.problems
    source, source_connector = _source(document, connectors)
    sinks = _sinks(document, connectors)
    _check_names(document)
    if source is not None:
        _check_tables(document, source, sinks)
    _check_envelopes(document, sinks)

    origin = Origin(base, problems, source_connector, tuple((sink.type, sink.connector) for sink in sinks))
    data = {**document.data, "source": source, "sinks": [sink.config for sink in sinks]}
    if isinstance(data.get("state"), dict):
        # One of several models: a union's own words would be about all of them. A bad one has been reported.
        state = _state(document, data.pop("state"), origin)
        data |= {"state": state} if state is not None else {}
    if source is None or not sinks or any(sink.config is None for sink in sinks):
        # What is wrong with them has been said; this is for the other sections.
        data |= {"source": SourceConfig.model_construct(), "sinks": [SinkConfig.model_construct()]}
    config = validated(Config, data, (), document, context=origin)
    problems.raise_if_any()
    if config is None:
        raise AssertionError("refused without a reason")
    return config


def _source(
    document: Document, connectors: Connectors
) -> tuple[SourceConfig | None, AnySourceConnector | None]:
    loc: Loc = ("source",)
    data = _mapping(document, document.data.get("source"), loc)
    if data is None:
        return None, None
    type_ = _type(document, data, loc, list(connectors.sources))
    connector = _imported(document, connectors.sources, type_, loc)
    if connector is None:
        return None, None
    source = validated(connector.config, data, loc, document)
    return source, connector


def _sinks(document: Document, connectors: Connectors) -> list[_Sink]:
    entries = document.data.get("sinks")
    problems = document.problems
    if entries is None and "sinks" not in document.data:
        problems.add(
            ("sinks",), f"this key is missing; allowed: a list of sinks ({listed(connectors.sinks)})"
        )
        return []
    if not isinstance(entries, list) or not entries:
        is_what = "empty" if not entries else "no list"
        allowed = f"a list of at least one sink ({listed(connectors.sinks)})"
        problems.add(("sinks",), f"is {is_what}; allowed: {allowed}")
        return []
    sinks = [_sink(document, entry, ("sinks", index), connectors) for index, entry in enumerate(entries)]
    return [sink for sink in sinks if sink is not None]


def _sink(document: Document, entry: object, loc: Loc, connectors: Connectors) -> _Sink | None:
    data = _mapping(document, entry, loc)
    if data is None:
        return None
    if (*loc, "type") in document.nulls and "null" in connectors.sinks:
        data = {**data, "type": "null"}  # what YAML makes of `type: null`
    type_ = _type(document, data, loc, list(connectors.sinks))
    connector = _imported(document, connectors.sinks, type_, loc)
    if connector is None:
        return None
    config = validated(connector.config, data, loc, document, sink_type=type_)
    return _Sink(loc, type_, connector, config)


def _state(document: Document, data: dict[str, Any], origin: Origin) -> StateConfig | None:
    loc: Loc = ("state",)
    type_ = _type(document, {"type": "sqlite", **data}, loc, list(STATES), unknown="is no state store")
    if not type_:
        return None
    return validated(STATES[type_], {**data, "type": type_}, loc, document, context=origin)


def _mapping(document: Document, value: object, loc: Loc) -> dict[str, Any] | None:
    if isinstance(value, dict):
        return value
    if len(loc) == 1 and loc[0] not in document.data:
        document.problems.add(
            loc, "this key is missing; allowed: a mapping with type and the keys of that type"
        )
    else:
        document.problems.add(loc, "is no mapping; allowed: a mapping with type and the keys of that type")
    return None


def _type(
    document: Document,
    data: Mapping[str, Any],
    loc: Loc,
    known: list[str],
    *,
    unknown: str = "is not installed",
) -> str:
    """The type, one of `known`; empty if it is not, which has been reported."""
    at = (*loc, "type")
    type_ = data.get("type")
    problems = document.problems
    if isinstance(type_, str) and type_ in known:
        return type_
    if what := later(at, "", type_):
        problems.not_in_this_version(at, what, listed(known))
    elif "type" not in data:
        misspelt = [key for key in data if did_you_mean(key, ["type"])]
        hint = f" (is it meant by {misspelt[0]}?)" if misspelt else ""
        problems.add(at, f"this key is missing{hint}; allowed: {listed(known)}")
    elif isinstance(type_, str):
        given = problems.without_environment(f"{shown(type_)} {unknown}{did_you_mean(type_, known)}")
        problems.add(at, f"{given}; allowed: {listed(known)}")
    else:
        problems.add(at, f"is no word; allowed: {listed(known)}")
    return ""


def _imported(document: Document, known: Mapping[str, Callable[[], C]], type_: str, loc: Loc) -> C | None:
    if not type_:
        return None
    try:
        return known[type_]()
    except ConfigError as error:
        document.problems.add(
            (*loc, "type"), f"{type_}: {error.message}; the others: {listed(known.keys() - {type_})}"
        )
        return None


def _check_names(document: Document) -> None:
    """Names of sinks, also of those that are wrong otherwise."""
    entries = document.data.get("sinks")
    lines: dict[str, int] = {}
    for index, entry in enumerate(entries if isinstance(entries, list) else []):
        name = entry.get("name") if isinstance(entry, dict) else None
        if isinstance(name, str):
            loc: Loc = ("sinks", index, "name")
            if name in lines:
                text = f"the sink in line {lines[name]} has this name; allowed: one that no other sink has"
                document.problems.add(loc, text)
            lines.setdefault(name, document.problems.line_of(loc))


def _check_tables(document: Document, source: SourceConfig, sinks: list[_Sink]) -> None:
    problems = document.problems
    for index, table in enumerate(source.tables):
        if table in source.tables[:index]:
            problems.add(("source", "tables", index), "this table stands here twice; allowed: each once")
    for sink in sinks:
        if sink.config is not None:
            try:
                sink.config.check_tables(source.tables)
            except ValueError as error:
                problems.add(sink.loc, problems.without_environment(str(error)))


def _check_envelopes(document: Document, sinks: list[_Sink]) -> None:
    for sink in sinks:
        override = sink.config.schema_ if sink.config is not None else None
        if override is not None and override.envelope is not None and sink.connector.envelope is None:
            document.problems.add(
                (*sink.loc, "schema", "envelope"),
                f"a sink of type {sink.type} takes changes as they are, without an envelope; allowed: no such key",
            )
