"""Makes the parts that a configuration names."""

import importlib.metadata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from pydantic import SecretStr

from cdc.config import Config, ConfluentRegistryConfig, FilesRegistryConfig
from cdc.connector import AnySinkConnector, EnvelopeName, SinkContext, SourceContext
from cdc.errors import ConfigError, ErrorKind, RegistryError, SourceError
from cdc.model import Listing, Page, Position, ShardKey, Stream
from cdc.ports import Clock, DeadLetters, Encoder, SchemaRegistry, Source, StateStore
from cdc.runtime.dispatch import Outlet
from cdc.runtime.encoding import SharedEncoder
from cdc.runtime.workers import Workers
from connectors.dead_letters import FileDeadLetters
from connectors.state_sqlite import SqliteStateStore
from schemas.document import DocumentEncoder
from schemas.registry.files import FilesRegistry
from schemas.registry.remembering import RememberingRegistry
from schemas.subjects import Subjects

if TYPE_CHECKING:
    from schemas.registry.confluent import Access

CountCall = Callable[[str, str], None]
Learnt = Callable[[Mapping[str, str]], None]
_log = structlog.stdlib.get_logger(__name__)


class CheckedSource:
    """A source that refuses streams of which a configured sink could make nothing."""

    def __init__(self, source: Source, need_new_image: Sequence[str]) -> None:
        self._source = source
        self._need_new_image = need_new_image

    def stream(self, table: str) -> Stream:
        stream = self._source.stream(table)
        if self._need_new_image and stream.view_type not in ("NEW_IMAGE", "NEW_AND_OLD_IMAGES"):
            raise SourceError(
                ErrorKind.CONFIGURATION,
                f"table {table}: its stream has the view type {stream.view_type}, and without new images "
                f"there is nothing to give to: {', '.join(self._need_new_image)}",
                remedy="give the table a stream with NEW_AND_OLD_IMAGES (disable the present one and enable a new "
                "one: a view type cannot be changed), or remove the sink",
            )
        return stream

    def shards(self, stream: Stream, *, parent: ShardKey | None = None) -> Listing:
        return self._source.shards(stream, parent=parent)

    def iterator(self, shard: ShardKey, position: Position, *, latest: bool = False) -> str:
        return self._source.iterator(shard, position, latest=latest)

    def read(self, shard: ShardKey, iterator: str) -> Page:
        return self._source.read(shard, iterator)

    def close(self) -> None:
        self._source.close()


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
    need_new_image = [
        sink.name
        for sink, its in config.sinks_with_connectors()
        if its.needs_new_image or config.envelope_of(sink) == "flat"
    ]
    with packages_of("the source"):
        return CheckedSource(connector.build(settings, context), need_new_image)


def state_of(config: Config, *, read_only: bool = False) -> StateStore:
    return SqliteStateStore(config.state.path, config.pipeline, read_only=read_only)


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


def registry_of(config: Config, learnt: Learnt, count_call: CountCall) -> SchemaRegistry:
    """The schema registry, which is not asked anything yet.

    Args:
        config: names it.
        learnt: takes what a registry wants to know after a restart; called from the sinks' threads.
        count_call: as the connectors'.

    Raises:
        ConfigError: its package is not installed.
        RegistryError: `CONFIGURATION` if its certificates cannot be read.
    """
    settings = config.schema_.registry
    if isinstance(settings, FilesRegistryConfig):
        return FilesRegistry(settings.path)
    with packages_of("the schema registry"):
        from schemas.registry.confluent import ConfluentRegistry

    server = ConfluentRegistry(
        access_of(settings), auto_register=settings.auto_register, count_call=count_call
    )
    return RememberingRegistry(server, learnt)


def access_of(settings: ConfluentRegistryConfig) -> "Access":
    from schemas.registry.confluent import Access

    basic = settings.basic
    return Access(
        settings.url,
        username=basic.username if basic is not None else "",
        password=_secret(basic.password if basic is not None else None),
        bearer_token=_secret(settings.bearer_token),
        logical_cluster=settings.logical_cluster or "",
        ca_file=settings.ca_file,
        certificate_file=settings.certificate_file,
        key_file=settings.key_file,
        key_password=_secret(settings.key_password),
        timeout_seconds=settings.timeout_seconds,
    )


def _secret(value: SecretStr | None) -> str:
    return value.get_secret_value() if value is not None else ""


_TYPE = "schema.registry.type"
_FILES = "schema.registry.files"
_SUBJECT = "schema.registry.subject"


def remembered_registry(
    config: Config, registry: SchemaRegistry, saved: Mapping[str, str], *, create: bool
) -> dict[str, str]:
    """What the state remembers of the schema registry, where a sink needs one; a registry gets back what it learnt.

    Raises:
        ConfigError: it is another one than before: ids, and with them keys and their partitions, would change.
    """
    if all(config.envelope_of(sink) is None for sink in config.sinks):
        return {}
    settings = config.schema_.registry
    present = {_TYPE: settings.type}
    # The type was not saved when there was but one.
    before = {_TYPE: "files"} | dict(saved) if _FILES in saved else dict(saved)
    if isinstance(settings, ConfluentRegistryConfig):
        present[_SUBJECT] = settings.subject
    for key in (_TYPE, _SUBJECT):
        if before.get(key, present.get(key)) != present.get(key) and (key == _TYPE or _SUBJECT in present):
            raise ConfigError(
                f"{key} is {present[key]}, and this pipeline's positions were saved with {before[key]}",
                remedy="put it back: new ids would give the same items other keys; or begin anew under another pipeline "
                "name",
            )
    if isinstance(registry, RememberingRegistry):
        registry.recall(saved)
        _verify(registry)
    elif isinstance(registry, FilesRegistry) and isinstance(settings, FilesRegistryConfig):
        present[_FILES] = _identity(registry, settings.path, saved, create=create)
    return present


def _identity(registry: FilesRegistry, path: Path, saved: Mapping[str, str], *, create: bool) -> str:
    identity = registry.identity(create=create and _FILES not in saved)
    if identity != saved.get(_FILES, identity):
        raise ConfigError(
            f"{path}: not the schema registry with which this pipeline's positions were saved",
            remedy="restore the folder: what was delivered cannot be read without its ids, and new ids would give the "
            "same items other keys; or begin anew under another pipeline name",
        )
    return identity


def _verify(registry: RememberingRegistry) -> None:
    try:
        registry.verify()
    except RegistryError as error:
        if error.kind is ErrorKind.CONFIGURATION:
            raise ConfigError(error.message, remedy=error.remedy) from error
        # What is known needs no registry, and before anything new is registered it is asked again.
        _log.warning("schema-registry-not-verified", reason=error.message, remedy=error.remedy)


def subjects_of(config: Config, sink: Any, connector: AnySinkConnector) -> Subjects:
    """Under which names this sink's schemas are registered. In a folder ids go by the schema alone."""
    settings = config.schema_.registry
    if isinstance(settings, FilesRegistryConfig) or settings.subject == "record-name":
        return Subjects()
    topic = connector.topic(sink)
    return Subjects(settings.subject, topic, config.pipeline) if topic else Subjects()


def outlets_of(
    config: Config, registry: SchemaRegistry, workers: Workers, clock: Clock, count_call: CountCall
) -> dict[str, Outlet]:
    """Every sink with its thread and its encoder; sinks that want the same bytes under the same ids share one encoder."""
    encoders: dict[tuple[EnvelopeName, Subjects], Encoder] = {}
    outlets = {}
    for sink, connector in config.sinks_with_connectors():
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
