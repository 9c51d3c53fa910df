"""What the shell tells the engine (events), and what the engine asks of the shell (commands).

Every command is answered by exactly one event, but for `Notice` and `Stop`, which need none, and `Write`, which is
answered by `Accepted` and then `Durable`, or by one `WriteFailed`. Failures are events too: retrying is the engine's
decision, and a scheduled command.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from cdc.errors import CdcError
from cdc.model import Batch, Listing, Page, Position, Reject, ShardKey, Stream
from cdc.ports import StateChange


class ReaderKey(NamedTuple):
    """One of the at most two iterators of a shard."""

    shard: ShardKey
    number: int


# Commands


@dataclass(frozen=True, slots=True)
class ResolveStreams:
    """Ask the source for the current stream of every table."""


@dataclass(frozen=True, slots=True)
class ListShards:
    stream: Stream
    parent: ShardKey | None
    """Only this shard's children are asked for."""


@dataclass(frozen=True, slots=True)
class OpenIterator:
    reader: ReaderKey
    position: Position
    latest: bool


@dataclass(frozen=True, slots=True)
class Read:
    reader: ReaderKey
    iterator: str


@dataclass(frozen=True, slots=True)
class OpenSink:
    sink: str


@dataclass(frozen=True, slots=True)
class Claim:
    sink: str
    shards: Sequence[ShardKey]


@dataclass(frozen=True, slots=True)
class Write:
    sink: str
    id: int
    """Unique in this process: answers name it, late ones are told by it."""
    batch: Batch


@dataclass(frozen=True, slots=True)
class FlushSink:
    sink: str
    deadline: float
    """Seconds from now."""


@dataclass(frozen=True, slots=True)
class WriteLetters:
    sink: str
    id: int
    stream: Stream
    shard: ShardKey
    rejects: Sequence[Reject]


@dataclass(frozen=True, slots=True)
class Save:
    change: StateChange


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that the operator should read: becomes a log line."""

    level: Literal["info", "warning", "error"]
    event: str
    fields: Mapping[str, str | int | float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stop:
    """Nothing is left to do: the process ends with this code."""

    exit_code: int
    reason: str
    remedy: str = ""


Command = (
    ResolveStreams
    | ListShards
    | OpenIterator
    | Read
    | OpenSink
    | Claim
    | Write
    | FlushSink
    | WriteLetters
    | Save
    | Notice
    | Stop
)


# Events


@dataclass(frozen=True, slots=True)
class Started:
    """The first event."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed; something may be due."""


@dataclass(frozen=True, slots=True)
class StreamsResolved:
    streams: Sequence[Stream]
    failed: Mapping[str, CdcError] = field(default_factory=dict)
    """By table: those whose stream could not be found out."""


@dataclass(frozen=True, slots=True)
class ShardsListed:
    stream: str
    parent: ShardKey | None
    listing: Listing


@dataclass(frozen=True, slots=True)
class ListingFailed:
    stream: str
    parent: ShardKey | None
    error: CdcError


@dataclass(frozen=True, slots=True)
class IteratorOpened:
    reader: ReaderKey
    iterator: str


@dataclass(frozen=True, slots=True)
class PageRead:
    reader: ReaderKey
    page: Page


@dataclass(frozen=True, slots=True)
class ReadFailed:
    """`OpenIterator` or `Read` failed."""

    reader: ReaderKey
    error: CdcError


@dataclass(frozen=True, slots=True)
class SinkOpened:
    sink: str


@dataclass(frozen=True, slots=True)
class SinkFailed:
    """`OpenSink` failed."""

    sink: str
    error: CdcError


@dataclass(frozen=True, slots=True)
class Claimed:
    sink: str
    shards: Sequence[ShardKey]
    held: Mapping[ShardKey, Position] | None
    """What the sink holds durably; None: it keeps no positions."""


@dataclass(frozen=True, slots=True)
class ClaimFailed:
    sink: str
    shards: Sequence[ShardKey]
    error: CdcError


@dataclass(frozen=True, slots=True)
class Accepted:
    sink: str
    shard: ShardKey
    id: int


@dataclass(frozen=True, slots=True)
class Durable:
    sink: str
    shard: ShardKey
    id: int
    rejects: Sequence[Reject]
    """What the codec or the sink refused: to be dead letters before the cursor passes."""


@dataclass(frozen=True, slots=True)
class WriteFailed:
    sink: str
    shard: ShardKey
    id: int
    error: CdcError


@dataclass(frozen=True, slots=True)
class Learnt:
    """Something that the pipeline is to know after a restart (an id of a schema registry)."""

    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Flushed:
    sink: str
    error: CdcError | None


@dataclass(frozen=True, slots=True)
class LettersWritten:
    sink: str
    shard: ShardKey
    id: int


@dataclass(frozen=True, slots=True)
class LettersFailed:
    sink: str
    shard: ShardKey
    id: int
    error: CdcError


@dataclass(frozen=True, slots=True)
class CursorsSaved:
    change: StateChange


@dataclass(frozen=True, slots=True)
class SaveFailed:
    change: StateChange
    error: CdcError


@dataclass(frozen=True, slots=True)
class StopRequested:
    """A signal, or whoever embeds the engine, asks for an orderly end."""


Event = (
    Started
    | Tick
    | StreamsResolved
    | ShardsListed
    | ListingFailed
    | IteratorOpened
    | PageRead
    | ReadFailed
    | SinkOpened
    | SinkFailed
    | Claimed
    | ClaimFailed
    | Accepted
    | Durable
    | WriteFailed
    | Learnt
    | Flushed
    | LettersWritten
    | LettersFailed
    | CursorsSaved
    | SaveFailed
    | StopRequested
)
