"""Makes the parts that a configuration names."""

import importlib.metadata
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from cdc.config import Config, DynamoDBStateConfig, FilesRegistryConfig, SqliteStateConfig
from cdc.connector import AnySinkConnector, EnvelopeName, SinkContext, SourceContext
from cdc.core.remembrance import Finding, Judgement, Names, Pair, judge
from cdc.errors import ConfigError, ErrorKind, SourceError
from cdc.model import Listing, Page, Position, ShardKey, Stream
from cdc.ports import Clock, DeadLetters, Encoder, Saved, SchemaRegistry, Source, StateStore
from cdc.runtime.dispatch import Outlet
from cdc.runtime.encoding import SharedEncoder
from cdc.runtime.witness import WitnessFile
from cdc.runtime.workers import Workers
from connectors.dead_letters import FileDeadLetters
from connectors.state_sqlite import SqliteStateStore
from schemas.document import DocumentEncoder
from schemas.envelope import key_record, value_record
from schemas.subjects import Subjects

CountCall = Callable[[str, str], None]


class CheckedSource:
    """A source that refuses streams of which a configured sink could make nothing."""

    def __init__(self, source: Source, need_new_image: Sequence[str]) -> None:
        self._source = source
        self._need_new_image = need_new_image

    def stream(self, table: str) -> Stream:
        stream = self._source.stream(table)
        refuse_without_images(stream, self._need_new_image)
        return stream

    def shards(self, stream: Stream, *, parent: ShardKey | None = None) -> Listing:
        return self._source.shards(stream, parent=parent)

    def iterator(self, shard: ShardKey, position: Position, *, latest: bool = False) -> str:
        return self._source.iterator(shard, position, latest=latest)

    def read(self, shard: ShardKey, iterator: str) -> Page:
        return self._source.read(shard, iterator)

    def close(self) -> None:
        self._source.close()


def refuse_without_images(stream: Stream, need_new_image: Sequence[str]) -> None:
    """
    Args:
        stream: of any view type.
        need_new_image: names of sinks (`sinks_that_need_new_images`).

    Raises:
        SourceError: `CONFIGURATION`.
    """
    if need_new_image and stream.view_type not in ("NEW_IMAGE", "NEW_AND_OLD_IMAGES"):
        raise SourceError(
            ErrorKind.CONFIGURATION,
            f"table {stream.table}: its stream has the view type {stream.view_type}, and without new images "
            f"there is nothing to give to: {', '.join(need_new_image)}",
            remedy="give the table a stream with NEW_AND_OLD_IMAGES (disable the present one and enable a new "
            "one: a view type cannot be changed), or remove the sink",
        )


def sinks_that_need_new_images(config: Config) -> Sequence[str]:
    return [
        sink.name
        for sink, its in config.sinks_with_connectors()
        if its.needs_new_image or config.envelope_of(sink) == "flat"
    ]


@contextmanager
def packages_of(place: str, *, extra: str = "") -> Iterator[None]:
    """A connector imports its vendor's package when it is built: an extra that is not installed shows here.

    Raises:
        ConfigError: it is missing.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] in ("cdc", "connectors", "schemas"):
            raise
        raise ConfigError(
            f"{place} needs the Python package {error.name}, which is not installed",
            remedy=f"pip install 'dynamodb-cdc[{extra}]'"
            if extra
            else "pip install 'dynamodb-cdc[all]', or the extra that is named after the connector",
        ) from None


def source_of(config: Config, clock: Clock, count_call: CountCall) -> CheckedSource:
    settings, connector = config.source_with_connector()
    context = SourceContext(config.pipeline, clock, settings.readers, count_call)
    with packages_of("the source"):
        return CheckedSource(connector.build(settings, context), sinks_that_need_new_images(config))


def uncounted(operation: str, outcome: str) -> None:
    """Only what runs counts its calls."""


def state_of(config: Config, *, read_only: bool = False, count_call: CountCall = uncounted) -> StateStore:
    """
    Raises:
        StateError: the SDK finds no region, or no credentials.
    """
    match config.state:
        case SqliteStateConfig(path=path):
            return SqliteStateStore(path, config.pipeline, read_only=read_only)
        case DynamoDBStateConfig() as state:
            from connectors.state_dynamodb.build import state_store

            return state_store(
                state,
                state.table,
                config.pipeline,
                create=state.create,
                count_call=count_call,
                read_only=read_only,
            )


def witness_of(config: Config) -> WitnessFile:
    return WitnessFile(config.dead_letters.path, config.pipeline)


def pairs_of(config: Config) -> list[Pair]:
    """Every configured table at every configured sink."""
    return [(table, sink.name) for table in config.source.tables for sink in config.sinks]


def judgement_of(
    config: Config, saved: Saved, clock: Clock, streams: Mapping[str, str] | None = None
) -> Judgement:
    """Whether what is saved is that with which the pipeline last ran.

    Args:
        streams: as for `judge`.

    Raises:
        ConfigError: a newer version wrote the witness.
        StateError: it cannot be read.
    """
    file = witness_of(config)
    return judge(
        file.read(),
        saved,
        pairs=pairs_of(config),
        start=config.source.start,
        now=clock.now().wall,
        names=Names(config.pipeline, f"the state {config.state.place}", f"the witness {file.path}"),
        streams=streams,
    )


def judgement_by_streams(config: Config, saved: Saved, clock: Clock, source: Source) -> Judgement:
    """The same, with a look at the tables' streams where it depends on them.

    Raises:
        SourceError: a stream is not found.
    """
    judgement = judgement_of(config, saved, clock)
    if judgement.finding is not Finding.DELIVERS_AGAIN:
        return judgement
    streams = {table: source.stream(table).arn for table in {table for table, _ in judgement.lost}}
    return judgement_of(config, saved, clock, streams)


def dead_letters_of(config: Config, *, read_only: bool = False) -> DeadLetters:
    return FileDeadLetters(config.dead_letters.path, config.pipeline, read_only=read_only)


def sink_context(
    config: Config, name: str, workers: Workers, clock: Clock, count_call: CountCall
) -> SinkContext:
    return SinkContext(
        config.pipeline,
        config.base,
        config.source.tables,
        clock,
        workers.spawner(f"sink-{name}-io"),
        count_call,
    )


def subjects_of(config: Config, sink: Any, connector: AnySinkConnector) -> Subjects:
    """Under which names this sink's schemas are registered. In a folder ids go by the schema alone."""
    settings = config.schema_.registry
    if isinstance(settings, FilesRegistryConfig) or settings.subject == "record-name":
        return Subjects()
    topic = connector.topic(sink)
    return Subjects(settings.subject, topic, config.pipeline) if topic else Subjects()


def known_subjects(config: Config) -> list[str]:
    """The subjects that a run will use, as far as they do not depend on the account and region of a stream."""
    found: dict[str, None] = {}
    for sink, connector in config.sinks_with_connectors():
        envelope = config.envelope_of(sink)
        subjects = subjects_of(config, sink, connector)
        if envelope is None or "{account}" in subjects.topic or "{region}" in subjects.topic:
            continue
        for table in config.source.tables:
            found[subjects.key(table, key_record(table))] = None
            found[subjects.value(table, value_record(table, envelope))] = None
    return list(found)


def outlets_of(
    config: Config,
    registry: SchemaRegistry,
    workers: Workers,
    clock: Clock,
    count_call: CountCall,
    *,
    only: Collection[str] | None = None,
) -> dict[str, Outlet]:
    """Every sink, or `only` these, with its thread and its encoder; sinks that want the same bytes under the same ids share
    one encoder."""
    encoders: dict[tuple[EnvelopeName, Subjects], Encoder] = {}
    outlets = {}
    for sink, connector in config.sinks_with_connectors():
        if only is not None and sink.name not in only:
            continue
        envelope = config.envelope_of(sink)
        encoder = None
        if envelope is not None:
            subjects = subjects_of(config, sink, connector)
            encoder = encoders.get((envelope, subjects))
            if encoder is None:
                release = importlib.metadata.version("dynamodb-cdc")
                encoder = SharedEncoder(
                    DocumentEncoder(
                        registry, envelope, pipeline=config.pipeline, release=release, subjects=subjects
                    )
                )
                encoders[envelope, subjects] = encoder
        with packages_of(f"sink {sink.name}"):
            built = connector.build(sink, sink_context(config, sink.name, workers, clock, count_call))
        thread = workers.pool(f"sink-{sink.name}", 1)
        outlets[sink.name] = Outlet(built, encoder, thread)
    return outlets
