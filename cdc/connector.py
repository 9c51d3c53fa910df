"""How a connector presents itself: one object under an entry point of the group `cdc.sources` or `cdc.sinks`.

The module that the entry point names is imported to validate a configuration, so it holds the configuration model and
imports its vendor's library only inside `build` and `probe`.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from cdc.errors import CdcError
from cdc.model import Stream
from cdc.ports import Clock, Sink, Source

EnvelopeName = Literal["debezium", "flat"]

NAME_PATTERN = r"^[a-z0-9][a-z0-9_-]*$"
"""Pipeline and sink names: they become parts of topics, tables, ids and file names."""

Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=64)]


class ConfigModel(BaseModel):
    """Base of every configuration model: unknown keys are errors, and nothing changes after loading.

    The docstring of a field is its description, in the JSON Schema and in `docs/configuration.md`. What a validator
    says in its ValueError is shown as it is, so it repeats no value that may be a secret.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
    )


class SchemaOverride(ConfigModel):
    """`schema:` on a sink: what differs from the pipeline's."""

    mode: Literal["document"] | None = None
    """How items become Avro; null: as the pipeline's."""
    envelope: EnvelopeName | None = None
    """The record around an item; null: the pipeline's, or what this type of sink usually has."""


class SinkConfig(ConfigModel):
    """Base of a sink's configuration. A subclass adds `type: Literal["..."]` and its own keys."""

    name: Name
    """What positions, metrics and logs call it. A new name is a new sink, which has no positions yet."""
    schema_: SchemaOverride | None = Field(default=None, alias="schema")
    """What differs from the pipeline's `schema`."""

    def check_tables(self, tables: Sequence[str]) -> None:
        """Raises ValueError if this sink cannot take changes of these tables together."""


class SourceConfig(ConfigModel):
    """Base of a source's configuration. A subclass adds `type: Literal["..."]` and its own keys.

    What stands here is the engine's and the runtime's; the rest is the connector's.
    """

    tables: Annotated[tuple[str, ...], Field(min_length=1)]
    """Names of the tables."""
    start: Literal["trim-horizon", "latest"] = "trim-horizon"
    """Where a sink begins that has nothing saved."""
    on_gap: Literal["halt", "snapshot", "skip"] = "halt"
    """What follows when changes expired before they were read, or may have: the shard stops at that sink until somebody
    decides (`halt`); it goes on behind the gap, and a snapshot is asked for, which this version cannot take yet and keeps as
    open (`snapshot`); it goes on, and the gap is only recorded (`skip`)."""
    idle_poll_seconds: Annotated[float, Field(gt=0, le=300)] = 1.0
    """How long an idle shard is left alone."""
    readers: Annotated[int, Field(ge=1, le=256)] = 8
    """How many calls run at once."""


def _checked_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("expected http://HOST[:PORT] or https://HOST[:PORT]")
    if parts.username or parts.password:
        raise ValueError("credentials do not belong into a URL")
    return url


EndpointUrl = Annotated[str, AfterValidator(_checked_url)]
"""Where an API answers. Messages name it, so it holds no credentials."""


class AwsAccess(ConfigModel):
    """Base of what calls AWS, or something that speaks as AWS does: whom to ask, and as whom (`cdc.aws.session`)."""

    region: str | None = None
    """The service's region; without it the SDK's own setting (`AWS_REGION`, profile)."""
    endpoint_url: EndpointUrl | None = None
    """An emulator's, a VPC endpoint; without it the region's own."""
    profile: str | None = None
    """Of the SDK's configuration files; without it the SDK's usual places for credentials."""
    role_arn: Annotated[str, Field(pattern=r"^arn:[\w-]+:iam::[\w-]*:role/.+$", max_length=2048)] | None = (
        None
    )
    """A role to assume, with the credentials of `profile` or of the usual places."""
    external_id: Annotated[str, Field(pattern=r"^[\w+=,.@:/-]+$", min_length=2, max_length=1224)] | None = (
        None
    )
    """What the trust policy of `role_arn` asks for (STS API reference, AssumeRole)."""

    @model_validator(mode="after")
    def _external_id_goes_with_a_role(self) -> Self:
        if self.external_id is not None and self.role_arn is None:
            raise ValueError("external_id is used when a role is assumed: it needs role_arn")
        return self


CountCall = Callable[[str, str], None]
"""(operation, outcome): feeds `cdc_api_calls_total`."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One `Allow` statement of an IAM policy: what a run calls, and why."""

    sid: str
    """Letters and digits (IAM user guide, JSON policy elements: Sid)."""
    actions: tuple[str, ...]
    """`dynamodb:GetRecords`: the permission, which is not always the name of the API call."""
    resources: tuple[str, ...]
    """ARNs; `*` where the configuration does not say (account, region)."""
    why: str
    """What does not work without it, in a few words."""


@dataclass(frozen=True, slots=True)
class Note:
    """One thing that a probe saw."""

    text: str
    level: Literal["info", "warning", "problem"] = "info"
    """`warning`: a run works, and somebody should know. `problem`: a run would fail, or lose something."""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Access:
    """A read-only call that needed exactly one permission, and whether it was answered."""

    action: str
    resource: str
    """As `Statement.resources` has it."""
    allowed: bool


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run is going to call, or to be charged for."""

    what: str
    """A noun in the plural: `GetRecords calls`."""
    low: float
    high: float
    per: Literal["day", "minute", "million changes", "write unit of the source"]
    basis: str
    """How the figures come about, in a few words."""


SOURCE_WRITE_UNITS = "write units of the source tables"
"""`Estimate.what` of what a source counted, per day: what sinks tell per write unit of the source is multiplied by it."""

Seen = str | Note | Access | Estimate | Stream | CdcError
"""What a probe gives back.

A plain line is a `Note` that all is well. A `Stream` is one of a source's, and sinks are held against it. A `CdcError` is
what would have been raised, had there been nothing else to say: a problem, with the remedy of its kind.
"""


@dataclass(frozen=True, slots=True)
class SinkContext:
    """What a sink gets of its surroundings."""

    pipeline: str
    base: Path
    """Relative paths of the configuration are relative to this."""
    tables: Sequence[str]
    clock: Clock
    executor: Callable[[int], Executor]
    """A pool of at most so many threads, named after the sink; joined after `close`."""
    count_call: CountCall
    streams: Sequence[Stream] = ()
    """Those of the source that could be found. For `probe` alone: a run learns of them from its batches."""


@dataclass(frozen=True, slots=True)
class SourceContext:
    pipeline: str
    clock: Clock
    readers: int
    """How many threads will call at once: the size of a connection pool."""
    count_call: CountCall


S = TypeVar("S", bound=SinkConfig)
R = TypeVar("R", bound=SourceConfig)


_PARTITIONS = {"cn-": "aws-cn", "us-gov-": "aws-us-gov", "us-iso-": "aws-iso", "us-isob-": "aws-iso-b"}


def arn_start(access: AwsAccess, service: str) -> str:
    """`arn:PARTITION:SERVICE:REGION:ACCOUNT:`, with `*` for what the configuration does not say.

    The account is that of `role_arn`, the partition too (IAM user guide, IAM ARNs); else it goes by the region.
    """
    region = access.region or "*"
    partition = next((name for start, name in _PARTITIONS.items() if region.startswith(start)), "aws")
    role = (access.role_arn or f"arn:{partition}:iam::*:").split(":")
    return f"arn:{role[1]}:{service}:{region}:{role[4]}:"


def no_topic(_config: ConfigModel) -> str:
    """Of a sink that has no topics."""
    return ""


def no_permissions(_config: ConfigModel, _context: SinkContext | SourceContext) -> Sequence[Statement]:
    """Of a connector that calls nothing at AWS."""
    return ()


def not_guarded(config: SinkConfig) -> float | None:  # noqa: ARG001 - the same of any
    """Of a sink to which the order of what comes is the order of what happened."""
    return None


@dataclass(frozen=True, slots=True)
class SinkConnector(Generic[S]):
    config: type[S]
    build: Callable[[S, SinkContext], Sink]
    probe: Callable[[S, SinkContext], Sequence[Seen]]
    """For `cdc check`: read-only calls that find out whether this sink would work; what it saw, a line each.

    Raises SinkError or ConfigError for what is unreachable, denied or missing, if that is all that there is to say.
    """
    envelope: EnvelopeName | None
    """The default envelope; None: takes the changes as they are, without Avro."""
    needs_new_image: bool = False
    """Useless on a stream without new images (KEYS_ONLY, OLD_IMAGE): refused."""
    topic: Callable[[S], str] = no_topic
    """The template of the topic that a table's changes go to ({table} {account} {region} {pipeline}), after which a schema
    registry names its subjects; empty: the sink has no topics."""
    permissions: Callable[[S, SinkContext], Sequence[Statement]] = no_permissions
    """What a run asks of AWS for this sink; it makes no call. Empty for what is not at AWS."""
    guarded_seconds: Callable[[S], float | None] = not_guarded
    """For how long after a change nothing that comes late brings an older state back, not even of an item that was
    deleted since: what `cdc dead-letters replay` goes by. None: versions guard nothing here; what is sent again comes
    behind what is newer."""


@dataclass(frozen=True, slots=True)
class SourceConnector(Generic[R]):
    config: type[R]
    build: Callable[[R, SourceContext], Source]
    probe: Callable[[R, SourceContext], Sequence[Seen]]
    permissions: Callable[[R, SourceContext], Sequence[Statement]] = no_permissions


AnySinkConnector = SinkConnector[Any]
AnySourceConnector = SourceConnector[Any]
