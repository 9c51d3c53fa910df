"""The configuration as a model: the top, and the sections that are no connector's."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr

from cdc.config.origin import BasedPath, Origin
from cdc.config.problems import Loc
from cdc.config.registry import RegistryConfig
from cdc.connector import (
    AnySinkConnector,
    AnySourceConnector,
    AwsAccess,
    ConfigModel,
    EnvelopeName,
    Name,
    SinkConfig,
    SourceConfig,
)
from cdc.errors import ConfigError


class SchemaConfig(ConfigModel):
    """How changes become Avro."""

    mode: Literal["document"] = "document"
    """`document`: key attributes typed, images as DynamoDB JSON; lossless, and one schema for ever."""
    envelope: EnvelopeName | None = None
    """The record around an item, at every sink that does not say otherwise; null: what each type of sink usually
    has."""
    registry: RegistryConfig = Field({}, validate_default=True)
    """Where schemas get their ids."""


class StateConfig(ConfigModel):
    """Base of what says where positions are kept: what stands here is the runtime's, the rest the store's."""

    checkpoint_seconds: Annotated[float, Field(gt=0, le=60)] = 1.0
    """How often positions are saved: what at least once may deliver again after a crash."""
    lease_seconds: Annotated[float, Field(ge=1, le=3600)] = 15.0
    """How long a process that is silent, on another host, still owns the pipeline."""

    @property
    def place(self) -> str:
        """What messages call it."""
        raise NotImplementedError


class SqliteStateConfig(StateConfig):
    """One file on a local disk."""

    type: Literal["sqlite"] = "sqlite"
    """Which state store this is. Without this key it is `sqlite`."""
    path: BasedPath = Field("./cdc-state.db", validate_default=True)
    """The file. Several pipelines can share it."""

    @property
    def place(self) -> str:
        return str(self.path)


class DynamoDBStateConfig(AwsAccess, StateConfig):
    """A table in DynamoDB, for a pipeline that may start on any machine. See `docs/state.md`."""

    type: Literal["dynamodb"]
    """Which state store this is."""
    table: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_.-]{3,255}$")] = "cdc_state"
    """The table. Several pipelines can share it."""
    create: bool = True
    """Whether the table is created (on demand) where it is missing."""

    @property
    def place(self) -> str:
        return f"the table {self.table}"


STATES: Mapping[str, type[StateConfig]] = {"sqlite": SqliteStateConfig, "dynamodb": DynamoDBStateConfig}
"""What `state.type` can be."""


class DeadLettersConfig(ConfigModel):
    """Where changes go that a sink can never take."""

    type: Literal["file"] = "file"
    """`file`: a folder on a local disk."""
    path: BasedPath = Field("./cdc-dead-letters", validate_default=True)
    """The folder."""
    max_dead_letters_per_minute: Annotated[int, Field(ge=0)] | None = 60
    """So many changes of one sink may become dead letters within any minute. More say that the destination or the schema
    is wrong, and not single changes: the sink is halted, with nothing lost, until the pipeline is started again. 0: the
    first one halts it; null: as many as there are."""


class AdminConfig(ConfigModel):
    """The HTTP server with /health, /ready, /metrics and /status."""

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    """The address to listen on. What it shows has no values of items, and no password protects it."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8780
    """The port; 0: any that is free."""


class Config(ConfigModel):
    """One pipeline: from a source to its sinks."""

    version: Literal[1]
    """Of this format."""
    pipeline: Name
    """What state, metrics and logs call it."""
    source: SourceConfig
    """Where changes come from."""
    schema_: SchemaConfig = Field({}, validate_default=True, alias="schema")
    """How changes become Avro."""
    sinks: Annotated[tuple[SinkConfig, ...], Field(min_length=1)]
    """Where changes go: every sink gets all of them, and keeps its own position."""
    state: SqliteStateConfig | DynamoDBStateConfig = Field({}, validate_default=True)
    """Where positions are kept."""
    dead_letters: DeadLettersConfig = Field({}, validate_default=True)
    """Where changes go that a sink can never take."""
    admin: AdminConfig | None = Field({}, validate_default=True)
    """The HTTP server with /health, /ready, /metrics and /status; null: none."""

    _origin: Origin = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        if isinstance(context, Origin):
            self._origin = context

    @property
    def base(self) -> Path:
        """The folder of the configuration file, absolute."""
        return self._origin.base

    def source_with_connector(self) -> tuple[Any, AnySourceConnector]:
        """The source's configuration, of the connector's `config` class."""
        if self._origin.source is None:
            raise AssertionError("a configuration is made by `cdc.config.load`")
        return self.source, self._origin.source

    def sinks_with_connectors(self) -> list[tuple[Any, AnySinkConnector]]:
        """Each sink's configuration, of its connector's `config` class."""
        return [
            (sink, connector) for sink, (_, connector) in zip(self.sinks, self._origin.sinks, strict=True)
        ]

    def envelope_of(self, sink: SinkConfig) -> EnvelopeName | None:
        """The envelope of one of `sinks`: its own, the pipeline's, or its type's. None: it takes no Avro."""
        connector = self._origin.sinks[self.sinks.index(sink)][1]
        if connector.envelope is None:
            return None
        own = sink.schema_.envelope if sink.schema_ is not None else None
        return own or self.schema_.envelope or connector.envelope

    def mode_of(self, sink: SinkConfig) -> str:
        """`schema.mode` as it is for one of `sinks`."""
        return (sink.schema_.mode if sink.schema_ is not None else None) or self.schema_.mode

    def remembered(self) -> Mapping[str, str]:
        """What each sink keeps as long as it has positions: `sink.NAME.type`, `sink.NAME.schema` (MODE/ENVELOPE)."""
        settings = {}
        for sink, (type_, _) in zip(self.sinks, self._origin.sinks, strict=True):
            settings[f"sink.{sink.name}.type"] = type_
            envelope = self.envelope_of(sink)
            if envelope is not None:
                settings[f"sink.{sink.name}.schema"] = f"{self.mode_of(sink)}/{envelope}"
        return settings

    def check_remembered(self, saved: Mapping[str, str]) -> None:
        """Compares with what `remembered` was when positions were saved. Sinks that are new or removed are none of it.

        Raises:
            ConfigError: a sink has become something else.
        """
        present = self.remembered()
        problems = self._origin.problems
        changed = []
        for index, sink in enumerate(self.sinks):
            for key in ("type", "schema"):
                setting = f"sink.{sink.name}.{key}"
                then, now = saved.get(setting), present.get(setting)
                if then is not None and then != now:
                    loc: Loc = ("sinks", index, key)
                    changed.append(
                        f"{problems.place(loc)}: sink {sink.name} has positions that were saved with {key} {then}, and "
                        f"is now {now or 'without one'}; allowed: {then}"
                    )
                    break
        if changed:
            raise ConfigError(
                "\n".join(changed),
                remedy="give the changed sink a new name, and it begins as a new sink at `source.start`; or put back "
                "what it was (to drop its positions, a later version has `cdc positions forget`)",
            )
