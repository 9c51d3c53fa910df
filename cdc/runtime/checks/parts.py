"""The parts of a pipeline, one after the other."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from cdc.config import Config
from cdc.connector import (
    SOURCE_WRITE_UNITS,
    Access,
    AnySinkConnector,
    ConfigModel,
    Estimate,
    Note,
    Seen,
    SinkContext,
    SourceContext,
    Statement,
)
from cdc.core import policy
from cdc.errors import CdcError, ErrorKind
from cdc.model import Stream
from cdc.observe.check import VERSION, CheckReport, EstimateReport, FindingReport, PartReport
from cdc.ports import Clock
from cdc.runtime.assembly import (
    packages_of,
    refuse_without_images,
    sink_context,
    sinks_that_need_new_images,
    source_of,
)
from cdc.runtime.checks.access import Permissions
from cdc.runtime.checks.headroom import headroom_notes
from cdc.runtime.checks.places import admin, dead_letters, registry, state, state_permissions
from cdc.runtime.checks.remedies import Rules, remedy
from cdc.runtime.workers import Workers


def check(config: Config, clock: Clock) -> CheckReport:
    """One part each: the source, every sink, the registry, the state store, the dead letters, the admin server."""
    workers = Workers()
    try:
        parts = tuple(_parts(config, clock, workers))
    finally:
        workers.close(2.0)
    return CheckReport(
        version=VERSION, pipeline=config.pipeline, ok=all(part.ok for part in parts), parts=parts
    )


def _parts(config: Config, clock: Clock, workers: Workers) -> Iterator[PartReport]:
    settings, connector = config.source_with_connector()
    context = SourceContext(config.pipeline, clock, settings.readers, _uncounted)
    seen = _look(policy.SOURCE, partial(_source, config, context))
    yield _report("source", settings, seen, connector.permissions(settings, context), ())
    streams = [one for one in seen if isinstance(one, Stream)]
    of_source = [one for one in seen if isinstance(one, Estimate)]
    headroom = headroom_notes(config, clock)
    for sink, its in config.sinks_with_connectors():
        around = replace(sink_context(config, sink.name, workers, clock, _uncounted), streams=streams)
        seen = [
            *_look(policy.SINK, partial(_sink, config, its, sink, around)),
            *headroom.get(sink.name, ()),
        ]
        yield _report(f"sink {sink.name}", sink, seen, its.permissions(sink, around), of_source)
    for name, part, look, statements in (
        ("schema registry", config.schema_.registry, registry, ()),
        ("state", config.state, partial(state, clock=clock), state_permissions(config)),
        ("dead letters", config.dead_letters, dead_letters, ()),
        ("admin", config, admin, ()),
    ):
        yield _report(name, part, _look(policy.STATE, partial(look, config)), statements, of_source)


def _look(rules: Rules, look: Callable[[], Sequence[Seen]]) -> list[Seen]:
    """What was seen; errors with the remedy of their kind."""
    try:
        seen = look()
    except CdcError as error:
        seen = [error]
    return [_with_remedy(one, rules) if isinstance(one, CdcError) else one for one in seen]


def _with_remedy(error: CdcError, rules: Rules) -> CdcError:
    return CdcError(error.kind, error.message, remedy=remedy(rules, error))


def _source(config: Config, context: SourceContext) -> Sequence[Seen]:
    settings, connector = config.source_with_connector()
    with packages_of("the source"):
        seen = list(connector.probe(settings, context))
    streams = [one for one in seen if isinstance(one, Stream)]
    if not streams and not any(isinstance(one, CdcError) for one in seen):
        streams = _streams(config, context.clock)  # of a probe that tells nothing of them
        seen += streams
    for stream in streams:
        try:
            refuse_without_images(stream, sinks_that_need_new_images(config))
        except CdcError as error:
            seen.append(error)
        seen += _view_type_notes(config, stream)
    return seen


def _streams(config: Config, clock: Clock) -> list[Stream]:
    source = source_of(config, clock, _uncounted)
    try:
        return [source.stream(table) for table in config.source.tables]
    finally:
        source.close()


def _view_type_notes(config: Config, stream: Stream) -> Iterator[Note]:
    names = [sink.name for sink in config.sinks if config.envelope_of(sink) == "debezium"]
    if names and stream.view_type in ("NEW_IMAGE", "KEYS_ONLY"):
        yield Note(
            f"table {stream.table}: {stream.view_type} has no old images: `before` is empty, or the key alone, "
            f"at: {', '.join(names)}"
        )
    if names and stream.view_type in ("OLD_IMAGE", "KEYS_ONLY"):
        yield Note(
            f"table {stream.table}: {stream.view_type} has no new images: `after` is the key alone at: {', '.join(names)}",
            "warning",
            "give the table a stream with NEW_AND_OLD_IMAGES",
        )


def _sink(config: Config, connector: AnySinkConnector, sink: Any, context: SinkContext) -> Sequence[Seen]:
    envelope = config.envelope_of(sink)
    takes = [f"takes Avro in the envelope {envelope}"] if envelope else []
    with packages_of(f"sink {sink.name}"):
        return [*takes, *connector.probe(sink, context)]


def _report(
    name: str,
    settings: ConfigModel,
    seen: Sequence[Seen],
    statements: Sequence[Statement],
    of_source: Sequence[Estimate],
) -> PartReport:
    calls = [one for one in seen if isinstance(one, Access)]
    permissions = Permissions(settings, statements, calls)
    findings = [*_findings(seen, list(permissions.denied())), *map(_finding, permissions.unasked)]
    estimates = [one for one in seen if isinstance(one, Estimate)]
    return PartReport(
        part=name,
        ok=all(finding.level != "problem" for finding in findings),
        findings=tuple(findings),
        permissions=permissions.reports(),
        policy=permissions.policy,
        assume_role_policy=permissions.assume_role_policy,
        estimates=tuple(_estimates(estimates, of_source)),
    )


def _findings(seen: Sequence[Seen], denied: list[Note]) -> Iterator[FindingReport]:
    """In the order in which they were seen. A refused call and the permission that it lacks are one finding."""
    for one in seen:
        if isinstance(one, str | Note):
            yield _finding(one)
        elif isinstance(one, CdcError):
            operation = one.message.partition(" ")[0]
            missing = next((note for note in denied if f":{operation}" in note.text), None)
            if one.kind is ErrorKind.ACCESS_DENIED and missing is not None:
                denied.remove(missing)
                yield _finding(Note(one.message, "problem", missing.remedy))
            else:
                yield _finding(Note(one.message, "problem", one.remedy))
    yield from map(_finding, denied)


def _finding(seen: str | Note) -> FindingReport:
    note = seen if isinstance(seen, Note) else Note(seen)
    return FindingReport(level=note.level, text=note.text, remedy=note.remedy)


def _estimates(own: Sequence[Estimate], of_source: Sequence[Estimate]) -> Iterator[EstimateReport]:
    """What depends on the source's write units is told for a day where these are known, and left out where not."""
    units = sum(one.high for one in of_source if one.what == SOURCE_WRITE_UNITS and one.per == "day")
    for one in own:
        if one.per != "write unit of the source":
            yield EstimateReport(what=one.what, low=one.low, high=one.high, per=one.per, basis=one.basis)
        elif units:
            low, high = one.low * units, one.high * units
            basis = f"{one.basis}; the source tables wrote {units:,.0f} in the last 24 hours"
            yield EstimateReport(what=one.what, low=low, high=high, per="day", basis=basis)


def _uncounted(operation: str, outcome: str) -> None:
    """A check counts no calls."""
