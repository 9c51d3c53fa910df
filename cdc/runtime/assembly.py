"""Makes the parts that a configuration names."""

import importlib.metadata
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

from cdc.config import Config, DynamoDBStateConfig, SqliteStateConfig
from cdc.connector import EnvelopeName, SinkContext, SourceContext
from cdc.core.remembrance import Judgement, judge
from cdc.errors import ConfigError, ErrorKind, SourceError
from cdc.model import Listing, Page, Position, ShardKey, Stream
from cdc.ports import Clock, DeadLetters, Encoder, Saved, Source, StateStore
from cdc.runtime.dispatch import Outlet
from cdc.runtime.encoding import SharedEncoder
from cdc.runtime.witness import WitnessFile
from cdc.runtime.workers import Workers
from connectors.dead_letters import FileDeadLetters
from connectors.state_sqlite import SqliteStateStore
from schemas.document import DocumentEncoder
from schemas.registry.files import FilesRegistry

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
def packages_of(place: str) -> Iterator[None]:
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
            remedy="pip install 'dynamodb-cdc[all]', or the extra that is named after the connector",
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
            from connectors.state_dynamodb import state_store

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


def judgement_of(config: Config, saved: Saved, clock: Clock) -> Judgement:
    """Whether what is saved is that with which the pipeline last ran.

    Raises:
        ConfigError: a newer version wrote the witness.
        StateError: it cannot be read.
    """
    file = witness_of(config)
    return judge(
        file.read(),
        saved,
        pipeline=config.pipeline,
        sinks=[sink.name for sink in config.sinks],
        start=config.source.start,
        now=clock.now().wall,
        place=f"the state {config.state.place}",
        witness=f"the witness {file.path}",
    )


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


_REGISTRY = "schema.registry.files"


def remembered_registry(config: Config, saved: Mapping[str, str], *, create: bool) -> dict[str, str]:
    """What the state remembers of the schema registry, where a sink needs one.

    Raises:
        ConfigError: it is another one than before: ids, and with them keys and their partitions, would change.
    """
    if all(config.envelope_of(sink) is None for sink in config.sinks):
        return {}
    path = config.schema_.registry.path
    identity = FilesRegistry(path).identity(create=create and _REGISTRY not in saved)
    if identity != saved.get(_REGISTRY, identity):
        raise ConfigError(
            f"{path}: not the schema registry with which this pipeline's positions were saved",
            remedy="restore the folder: what was delivered cannot be read without its ids, and new ids would give the "
            "same items other keys; or begin anew under another pipeline name",
        )
    return {_REGISTRY: identity}


def outlets_of(
    config: Config,
    workers: Workers,
    clock: Clock,
    count_call: CountCall,
    *,
    only: Collection[str] | None = None,
) -> dict[str, Outlet]:
    """Every sink, or `only` these, with its thread and its encoder; sinks that want the same bytes share one encoder."""
    encoders: dict[EnvelopeName, Encoder] = {}
    registry = FilesRegistry(config.schema_.registry.path)
    outlets = {}
    for sink, connector in config.sinks_with_connectors():
        if only is not None and sink.name not in only:
            continue
        envelope = config.envelope_of(sink)
        if envelope is not None and envelope not in encoders:
            release = importlib.metadata.version("dynamodb-cdc")
            encoder = DocumentEncoder(registry, envelope, pipeline=config.pipeline, release=release)
            encoders[envelope] = SharedEncoder(encoder)
        with packages_of(f"sink {sink.name}"):
            built = connector.build(sink, sink_context(config, sink.name, workers, clock, count_call))
        thread = workers.pool(f"sink-{sink.name}", 1)
        outlets[sink.name] = Outlet(built, encoders[envelope] if envelope is not None else None, thread)
    return outlets
