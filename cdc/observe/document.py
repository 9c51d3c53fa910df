"""The status of a pipeline as one document: `cdc status --json`, `/status`, and what the page shows.

Its shape is versioned: within a version fields are added, and none changes its meaning or goes. The JSON Schema in
`schemas/status.schema.json` is made from these classes (`schema`). Times are RFC 3339 in UTC, ages are seconds, and null
says that nobody knows.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from cdc.errors import CdcError, ErrorKind

VERSION = 1

Time = Annotated[str, Meta(description="RFC 3339, UTC", pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
Count = Annotated[int, Meta(ge=0)]


class AlarmReport(msgspec.Struct, frozen=True, kw_only=True):
    """Something that needs somebody."""

    severity: Annotated[
        Literal["error", "warning"],
        Meta(
            description="error: changes don't move, or are about to be lost. warning: they will be, or look at it"
        ),
    ]
    about: Annotated[str, Meta(description="Which sink, table or shard")]
    message: str
    remedy: Annotated[str, Meta(description="What to do; empty where nothing can be said")]


class OwnerReport(msgspec.Struct, frozen=True, kw_only=True):
    """Who runs the pipeline, or ran it last and did not end in order."""

    host: str
    pid: int
    admin: Annotated[str, Meta(description="host:port of its admin server; empty if it has none")]
    heartbeat: Time | None


class SourceReport(msgspec.Struct, frozen=True, kw_only=True):
    listed: Annotated[tuple[str, ...], Meta(description="Tables whose shards are known")]
    missing: Annotated[tuple[str, ...], Meta(description="Configured tables whose shards are not known yet")]
    error: Annotated[str, Meta(description="The last failure that no success has followed; empty: none")]


class StateReport(msgspec.Struct, frozen=True, kw_only=True):
    """Where positions are saved."""

    error: Annotated[
        str,
        Meta(
            description="Why saving fails, from the second failure in a row or after 10 s; empty: it does not"
        ),
    ] = ""
    remedy: str = ""


class TableReport(msgspec.Struct, frozen=True, kw_only=True):
    """One table at one sink: the worst of its shards."""

    table: str
    lag_seconds: Annotated[
        float | None, Meta(description="Age of the oldest change that may not be durable there")
    ]
    retention_headroom_seconds: Annotated[
        float | None, Meta(description="Until the oldest change that is not durable there expires")
    ]
    complete_through: Annotated[
        Time | None,
        Meta(description="All changes before are durable there. Null also when it is not running"),
    ]
    batches_in_flight: Count
    shards: Annotated[dict[str, int], Meta(description="Unfinished shards, by state")]
    gaps: Annotated[
        int,
        Meta(
            ge=0,
            description="How many there ever were: changes expired before this sink had them, or may have",
        ),
    ]


class SinkReport(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    type: Annotated[str, Meta(description="Empty for one that is saved and no longer configured")]
    state: Annotated[
        Literal["down", "opening", "probing", "up", "halted", "stopped", "not configured"],
        Meta(description="halted: until the pipeline is started again; stopped: the pipeline does not run"),
    ]
    error: str
    remedy: str
    delivered: Annotated[int, Meta(ge=0, description="Changes made durable by this process")]
    redelivered: Annotated[int, Meta(ge=0, description="Changes that came back and were given again")]
    dead_letters: Annotated[
        Count | None, Meta(description="All that are kept for this sink, without those that were replayed")
    ]
    dead_letters_written: Annotated[int, Meta(ge=0, description="By this process")]
    batches_in_flight: Count
    tables: tuple[TableReport, ...]
    dead_letters_error: Annotated[
        str,
        Meta(
            description="Why dead letters cannot be written, from the second failure in a row or after 10 s; empty: "
            "they can, or there are none"
        ),
    ] = ""
    dead_letters_remedy: str = ""


class PositionReport(msgspec.Struct, frozen=True, kw_only=True):
    place: Literal["beginning", "after", "end"]
    sequence: str
    not_before: Annotated[Time | None, Meta(description="Older records are passed over")]
    epoch: Annotated[int, Meta(ge=0, description="Raised by every reset of the positions")]


class ShardReport(msgspec.Struct, frozen=True, kw_only=True):
    """One unfinished shard at one sink."""

    table: str
    sink: str
    stream: str
    shard: str
    state: Literal["waiting", "unclaimed", "claiming", "flowing", "ending", "halted"]
    position: PositionReport
    lag_seconds: float | None
    retention_headroom_seconds: float | None
    through: Annotated[
        Time | None, Meta(description="Every change of this shard before it is durable at this sink")
    ]
    batches_in_flight: Count
    waits_for: Annotated[str, Meta(description="What holds it up; why it is halted; empty: nothing")]
    gap: Annotated[bool, Meta(description="Changes expired before they were read")]
    remedy: str


class GapReport(msgspec.Struct, frozen=True, kw_only=True):
    """Changes that expired before this sink had them, or may have; kept for ever. Gaps on shards that are gone are added
    up, for each sink, table, kind and decision: without stream and shard."""

    table: str
    sink: str
    stream: str
    shard: str
    found_at: Time
    reason: str
    decision: Annotated[
        str,
        Meta(
            description="Empty: the shard is halted until somebody decides. `skipped`, `snapshot requested`, `reset to ...`"
        ),
    ]
    kind: Annotated[
        str,
        Meta(
            description="trimmed, vanished, parent-gone, unread-too-long, new-stream, new-table, stream-left, positions-lost; "
            "empty: found by a version that did not tell them apart"
        ),
    ] = ""
    certain: Annotated[bool, Meta(description="Changes are known to be lost; false: nobody can know")] = False
    open: Annotated[
        bool, Meta(description="It waits: for a decision, or for the snapshot that was requested")
    ] = False
    remedy: Annotated[str, Meta(description="What to do about it")] = ""
    after: Annotated[
        str, Meta(description="Sequence number of the last change that the sink had; empty: none, or a sum")
    ] = ""
    decided_at: Time | None = None
    count: Annotated[
        int, Meta(ge=1, description="How many there have been here, of this kind and decision")
    ] = 1
    last_found_at: Annotated[Time | None, Meta(description="The newest of several; null: there was one")] = (
        None
    )


class ResetReport(msgspec.Struct, frozen=True, kw_only=True):
    """A position that somebody set by hand, where there was no gap; kept for ever, and added up as gaps are."""

    table: str
    sink: str
    stream: str
    shard: str
    at: Annotated[Time, Meta(description="The last time")]
    decision: str
    count: Annotated[int, Meta(ge=1)] = 1


class ExitReport(msgspec.Struct, frozen=True, kw_only=True):
    """How the process ended or is about to."""

    code: int
    reason: str
    remedy: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    version: Literal[1]
    pipeline: str
    at: Time
    running: bool
    owner: OwnerReport | None
    alarms: Annotated[tuple[AlarmReport, ...], Meta(description="The worst first; empty: all is well")]
    source: SourceReport
    sinks: tuple[SinkReport, ...]
    shards: tuple[ShardReport, ...]
    finished_shards: Annotated[int, Meta(ge=0, description="Counted once per sink")]
    gaps: tuple[GapReport, ...]
    exit: ExitReport | None
    state: StateReport = StateReport()
    resets: tuple[ResetReport, ...] = ()


def to_dict(report: Report) -> dict[str, Any]:
    """For `json.dumps` and its like."""
    built: dict[str, Any] = msgspec.to_builtins(report)
    return built


def to_json(report: Report) -> bytes:
    return msgspec.json.encode(report)


def from_json(body: bytes) -> Report:
    """What another process answered at `/status`.

    Raises:
        CdcError: `MALFORMED` if it is no status, or one of another version.
    """
    try:
        return msgspec.json.decode(body, type=Report)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise CdcError(
            ErrorKind.MALFORMED,
            f"the answer is not a status of version {VERSION}",
            remedy="use the same version of cdc as the running process, and look who answers at this address",
        ) from None


def schema() -> dict[str, Any]:
    """The JSON Schema of a report."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The status of a pipeline",
        **msgspec.json.schema(Report),
    }
