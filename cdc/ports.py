"""What the core needs of the outside. The docstrings are the contract; `cdc.testing` has the tests that hold an
implementation to it.

Threads: a `Source` is called from several threads at once. A `Sink`, a `StateStore` and `DeadLetters` are called from
one thread at a time. Every method raises only `cdc.errors.CdcError` for what can happen outside; anything else is a
bug and ends the process.
"""

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

from cdc.model import (
    Batch,
    Durability,
    EncodedBatch,
    Listing,
    Page,
    Position,
    RegisteredSchema,
    ShardKey,
    Stream,
)


@dataclass(frozen=True, slots=True)
class Instant:
    """One reading of both clocks. Schedules go by `monotonic`, ages of records by `wall`: the wall clock may jump."""

    monotonic: float
    """Seconds since an arbitrary start; never goes back."""
    wall: float
    """Seconds since the epoch, UTC."""


class Clock(Protocol):
    def now(self) -> Instant: ...


class Source(Protocol):
    """A service that has streams of shards. Makes one call per method and never retries: the engine does."""

    def stream(self, table: str) -> Stream:
        """The current stream of this table.

        Raises:
            SourceError: `NOT_FOUND` if the table is absent, `CONFIGURATION` if it has no enabled stream.
        """
        ...

    def shards(self, stream: Stream, *, parent: ShardKey | None = None) -> Listing:
        """All shards of the stream, all pages of the listing; never a part of it.

        With `parent`, its children are enough, where the service can filter; `Listing.complete` tells.
        """
        ...

    def iterator(self, shard: ShardKey, position: Position, *, latest: bool = False) -> str:
        """An iterator that begins after `position`; for `BEGINNING` at the oldest record; with `latest` at the newest.

        Raises:
            SourceError: `TRIMMED` if the position expired, `NOT_FOUND` if the shard is gone.
        """
        ...

    def read(self, shard: ShardKey, iterator: str) -> Page:
        """The next page. Reading twice with one iterator gives the same records.

        Raises:
            SourceError: `ITERATOR_EXPIRED`, `TRIMMED`, `NOT_FOUND`, `THROTTLED`, `UNAVAILABLE`, `MALFORMED`.
        """
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Receipt:
    """The two answers of a write, in this order. Each is set once, from any thread.

    `accepted`: the sink owns the batch (a crash loses it); the next batch of this shard may come. Delaying it is how a
    sink holds back the reader. `durable`: a crash now does not lose it, nor anything of this shard before it.

    A failure is a `SinkError`. If `accepted` fails, `durable` fails likewise, and nothing of the batch is owned. A
    failed `durable` hands this and all later batches of the shard back: theirs fail too, and the engine sends them
    again, in order, once the sink is better.

    `REJECTED` and `UNENCODABLE` say that this very batch can never be taken because of something in it: the engine
    halves it until it knows which change that is, which becomes a dead letter. Better, where the sink can tell, are
    `Durability.rejects`. Where it is another batch, of another shard, that is to blame, this one's failure is another.
    """

    accepted: "Future[None]"
    durable: "Future[Durability]"


class Sink(Protocol):
    """A destination. All methods are called from one thread, which belongs to this sink alone: a slow call delays this
    sink and no other. What must go on beside it (polling, flushing by time, parallel writes) runs on
    `SinkContext.executor`.
    """

    name: str

    def open(self) -> None:
        """Connects. May be called again after it failed.

        Raises:
            SinkError: `UNAVAILABLE`, `ACCESS_DENIED`, `NOT_FOUND`: retried, and visible in `/ready`.
        """
        ...

    def claim(self, shards: Collection[ShardKey]) -> Mapping[ShardKey, Position] | None:
        """From here on this process is the only writer of these shards: whoever wrote them before is fenced off.

        Returns what the sink holds durably; a shard that it knows nothing of is absent. None: it keeps no positions.
        """
        ...

    def write(self, batch: EncodedBatch) -> Receipt:
        """Takes one batch. At most one unaccepted batch per shard, many undurable ones; batches of a shard come in
        order. Changes of one item (same source key) must take effect in order; different items may overtake each other
        if the sink's own order is not promised.

        Raises nothing for what the outside does: that is what the receipt's futures are for.
        """
        ...

    def flush(self, *, deadline: float) -> "Future[None]":
        """After it, all that was accepted is durable. `deadline`: seconds from now; later it may fail."""
        ...

    def release(self, shards: Collection[ShardKey]) -> None:
        """These shards are not this process's any more; all that was accepted of them is durable."""
        ...

    def close(self, *, deadline: float) -> None:
        """Ends within about `deadline` seconds, its threads too; what is not durable by then is lost here and sent
        again by the next run."""
        ...


class Encoder(Protocol):
    """Turns a whole batch into Avro in one call. Called from the sinks' threads, from several at once."""

    def encode(self, batch: Batch) -> EncodedBatch:
        """A change that has no form in the schema is in `EncodedBatch.rejects`; the others are encoded.

        Raises:
            RegistryError: a schema could not be registered or read.
        """
        ...


class SchemaRegistry(Protocol):
    def register(self, subject: str, schema: str) -> RegisteredSchema:
        """The id of this schema under this subject; the same id for the same schema, however often it is asked."""
        ...

    def schema(self, id: int) -> RegisteredSchema:  # noqa: A002 - the field's own word
        """
        Raises:
            RegistryError: `NOT_FOUND`.
        """
        ...


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One change that one sink could not be given."""

    pipeline: str
    sink: str
    table: str
    shard: ShardKey
    sequence: str
    created_ms: int
    """The stream's creation time: with the sequence number, the change's version."""
    kind: str
    """`ErrorKind` value."""
    reason: str
    at: float
    """Epoch seconds of the refusal."""
    record: bytes
    """The stream record, as the service sent it (JSON)."""
    replayed_at: float | None = None
    """Epoch seconds: when it was sent again and had become durable at its sink. None: it is open."""

    @property
    def id(self) -> str:
        """Twelve characters that name it for a person: of its sink, stream, shard and sequence number, always the
        same."""
        named = "\0".join((self.sink, *self.shard, self.sequence))
        return hashlib.sha256(named.encode()).hexdigest()[:12]


class DeadLetters(Protocol):
    def open(self) -> None: ...

    def write(self, letters: Sequence[DeadLetter]) -> None:
        """Durable when it returns. The same letter written twice (after a crash) is one letter to `read`; one that was
        replayed and is written again is open again.

        A sink that keeps its position with its data must not commit it past a change before the letter of that change is
        durable here: after a crash nobody would read it again. So such a sink names no change in `Durability.rejects`,
        which it would have passed already, and takes no batch with `EncodedBatch.rejects`: it fails the batch, as
        `REJECTED` or `UNENCODABLE`. The engine then finds the change, writes its letter, and only after that gives the
        sink its place, as an empty batch.

        Raises:
            DeadLetterError: nothing of it may count as written; the cursor does not pass.
        """
        ...

    def mark_replayed(self, letters: Sequence[DeadLetter], at: float) -> None:
        """These, which `read` gave, were sent again and are durable at their sink since `at` (epoch seconds). Durable
        when it returns; never called beside a `write` of another process.

        Raises:
            DeadLetterError: nothing of it may count as marked; they may be sent once more.
        """
        ...

    def read(self) -> Iterator[DeadLetter]:
        """Each once, those that were replayed too."""
        ...

    def count(self) -> Mapping[str, int]:
        """Open letters per sink."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Owner:
    """Who runs a pipeline: enough to tell on the same host whether it is still alive."""

    host: str
    pid: int
    process_started: str
    """The process's start time as the operating system tells it: a recycled pid is not the owner."""
    admin: str = ""
    """`host:port` of its admin server, for `cdc status`."""
    heartbeat: float = 0.0
    """Epoch seconds."""


@dataclass(frozen=True, slots=True)
class Lease:
    """Proof of ownership. Every save is conditional on `epoch`."""

    owner: Owner
    epoch: int


@dataclass(frozen=True, slots=True)
class SavedCursor:
    """The durable position of one sink on one shard."""

    sink: str
    shard: ShardKey
    position: Position
    table: str
    kept_by_sink: bool
    """The sink keeps this position too; its absence there would be lost data."""
    saved_at: float
    """Epoch seconds; of a place at the beginning of a shard: since when nobody has read there, if that is earlier."""
    through: float | None = None
    """Every change before this time (epoch seconds) is durable at this sink, as far as this shard goes."""
    last_created: float | None = None
    """Time of the last durable record, epoch seconds. None: there was none, or it is not known."""


@dataclass(frozen=True, slots=True)
class SavedStart:
    """Where a sink began on a stream: decides how shards without a cursor are read."""

    sink: str
    stream: str
    table: str
    start: str
    """`trim-horizon` or `latest`."""
    started_at: float
    """Epoch seconds."""
    table_id: str = ""
    """The service's own id of the table, which a table of the same name that is created later does not have. Empty: not
    known."""


GapKey = tuple[str, ShardKey, float]
"""Of a `SavedGap`: (sink, shard, found_at). One shard can have several."""


@dataclass(frozen=True, slots=True)
class SavedGap:
    """Changes that no stream has any more, or that may have been, before this sink had them; visible for ever.

    Gaps on shards that are gone are added up, for each sink, table, kind and decision: then `shard.stream` is empty.
    """

    sink: str
    shard: ShardKey
    table: str
    found_at: float
    """Epoch seconds: the first one's."""
    reason: str
    decision: str = ""
    """Empty: the shard is halted until somebody decides; else what was decided."""
    kind: str = ""
    """A `cdc.core.gaps.GapKind`. Empty: of a version that did not tell them apart."""
    certain: bool = False
    """Changes are known to be lost; else nobody can know whether there were any."""
    after: str = ""
    """The sequence number of the last change on this shard that the sink had; empty: it had none."""
    decided_at: float | None = None
    """Epoch seconds. None: it is not decided, or when is not known."""
    count: int = 1
    """How many of this kind there have been here, with this decision."""
    last_found_at: float | None = None
    """Epoch seconds: the newest one's, where there were several."""

    @property
    def key(self) -> GapKey:
        return self.sink, self.shard, self.found_at

    @property
    def newest_at(self) -> float:
        """Epoch seconds: when the newest one was found."""
        return self.found_at if self.last_found_at is None else self.last_found_at


@dataclass(frozen=True, slots=True)
class Saved:
    """All that a pipeline has saved."""

    cursors: Sequence[SavedCursor] = ()
    starts: Sequence[SavedStart] = ()
    gaps: Sequence[SavedGap] = ()
    settings: Mapping[str, str] | None = None
    """What a pipeline began with and keeps (`sink.NAME.schema` ...)."""
    epochs: Mapping[str, int] | None = None
    """The reset epoch of each sink that ever had a reset."""


@dataclass(frozen=True, slots=True)
class StateChange:
    """What one save does, as one transaction. Cursors, starts and gaps replace those of the same key."""

    cursors: Sequence[SavedCursor] = ()
    starts: Sequence[SavedStart] = ()
    gaps: Sequence[SavedGap] = ()
    settings: Mapping[str, str] | None = None
    epochs: Mapping[str, int] | None = None
    forget: Sequence[tuple[str, ShardKey]] = ()
    """Cursors to delete: (sink, shard)."""
    forget_gaps: Sequence[GapKey] = ()
    """Gaps to delete: what they say is in the sums that are saved with it."""
    replace_all: bool = False
    """All that the pipeline has saved before goes first, of every kind: what is left is this change alone."""


class StateStore(Protocol):
    """Where cursors are kept. One pipeline per instance; one place may hold many pipelines."""

    def open(self) -> None:
        """
        Raises:
            StateError: `STATE_FORMAT` if it was written by a newer version, or is no state at all.
        """
        ...

    def acquire(self, owner: Owner, *, lease_seconds: float, now: float, above: int = 0) -> Lease:
        """Becomes the owner: at once if nobody is or the owner is dead on this host, else after its lease expired.
        Every acquisition raises the epoch, and beyond `above`: a store that was restored from a copy would else give
        epochs a second time, and with them let a process save that has lost the pipeline long ago.

        Raises:
            StateError: `NOT_OWNER`, naming the living owner and, in `remedy`, how long its lease lasts.
        """
        ...

    def renew(self, lease: Lease, *, now: float, admin: str = "") -> None:
        """
        Raises:
            StateError: `NOT_OWNER` when somebody else has acquired it meanwhile.
        """
        ...

    def owner(self) -> Owner | None:
        """The present owner, dead or alive; None after a release."""
        ...

    def load(self) -> Saved: ...

    def save(self, lease: Lease, change: StateChange) -> None:
        """Durable when it returns.

        Raises:
            StateError: `NOT_OWNER` if the epoch is not the current one (nothing is saved), `UNAVAILABLE`.
        """
        ...

    def release(self, lease: Lease) -> None: ...

    def close(self) -> None: ...
