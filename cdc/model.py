"""What travels: `Page -> Batch -> EncodedBatch -> Durability -> cursor`.

Images stay the raw JSON slices of the service's answer until a codec or a sink reads them; nothing here is an object
per attribute.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Literal, NamedTuple

import msgspec

from cdc.errors import ErrorKind

ViewType = Literal["KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES"]
EventName = Literal["INSERT", "MODIFY", "REMOVE"]

RETENTION_SECONDS = 24 * 3600
"""How long DynamoDB Streams keeps a record. Trimming may happen at any time after it (Developer Guide, Streams)."""


class KeyAttribute(NamedTuple):
    """One attribute of a table's primary key: the partition key first, then the sort key."""

    name: str
    type: Literal["S", "N", "B"]


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream of one table. A table that had its stream switched off and on has had several."""

    arn: str
    table: str
    table_id: str
    account: str
    region: str
    created_ms: int
    """Creation time in epoch milliseconds: the first part of every version (`version`)."""
    view_type: ViewType
    key: tuple[KeyAttribute, ...]


class ShardKey(NamedTuple):
    """A shard, unique across streams."""

    stream: str
    """The stream's ARN."""
    shard: str
    """`shardId-...`, or for a snapshot `segment-...`."""


class Place(IntEnum):
    """Where on a shard a position lies; ordered along the shard."""

    BEGINNING = 0
    AFTER = 1
    END = 2


@dataclass(frozen=True, slots=True)
class Position:
    """A place on one shard: everything up to here is done with.

    Positions compare within one shard only (`is_before`). Sequence numbers keep the service's own text, since it is
    handed back to the service, and compare as integers, since their lengths vary (API reference, SequenceNumber).
    """

    place: Place
    sequence: str = ""
    """The sequence number of the last record that is done with (`AFTER`), or the last of the shard, if any (`END`)."""
    not_before: float | None = None
    """`BEGINNING` only: records older than this (epoch seconds) are passed over; how `start: latest` survives a restart
    on a shard that has had no record yet."""
    epoch: int = 0
    """The sink's reset epoch: a higher one outranks a farther place."""

    @property
    def order(self) -> tuple[int, int]:
        return (self.place, int(self.sequence) if self.place is Place.AFTER else 0)

    def is_before(self, other: "Position") -> bool:
        """Whether `other` is farther along the same shard. Epochs are not compared here."""
        return self.order < other.order


BEGINNING = Position(Place.BEGINNING)
"""TRIM_HORIZON: the oldest record that the service still has."""


def after(sequence: str, *, epoch: int = 0) -> Position:
    return Position(Place.AFTER, sequence, epoch=epoch)


def end_of_shard(sequence: str = "", *, epoch: int = 0) -> Position:
    return Position(Place.END, sequence, epoch=epoch)


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard as a listing describes it."""

    key: ShardKey
    parent: str | None
    starting_sequence: str = ""
    ending_sequence: str | None = None
    """Absent while the shard is open; need not be the number of any record."""

    @property
    def closed(self) -> bool:
        return self.ending_sequence is not None


@dataclass(frozen=True, slots=True)
class Listing:
    """The shards that the service named.

    `complete` is true for a listing of the whole stream, all pages of it: only then does the absence of a shard mean
    that it is gone.
    """

    shards: tuple[Shard, ...]
    complete: bool


class Identity(msgspec.Struct, frozen=True, gc=False, rename="pascal"):
    """Who made a change that no client made: `Service` / `dynamodb.amazonaws.com` for a TTL delete."""

    type: str = ""
    principal_id: str = ""


class Images(msgspec.Struct, frozen=True, gc=False, rename="pascal", omit_defaults=True):
    """The `dynamodb` block of a stream record. An absent image is an empty, falsy `Raw`, and absent in JSON too."""

    sequence_number: str
    approximate_creation_date_time: float = 0.0
    keys: msgspec.Raw = msgspec.Raw()
    new_image: msgspec.Raw = msgspec.Raw()
    old_image: msgspec.Raw = msgspec.Raw()
    size_bytes: int = 0


class Change(msgspec.Struct, frozen=True, gc=False, rename="camel", omit_defaults=True):
    """One record of a stream, as `GetRecords` gives it: `{"eventName": ..., "dynamodb": {...}}`."""

    event_name: EventName
    dynamodb: Images
    event_id: str = msgspec.field(default="", name="eventID")
    user_identity: Identity | None = None

    @property
    def sequence(self) -> str:
        return self.dynamodb.sequence_number

    @property
    def created(self) -> float:
        """Epoch seconds, rounded down by the service: never an order."""
        return self.dynamodb.approximate_creation_date_time

    @property
    def by_ttl(self) -> bool:
        identity = self.user_identity
        return (
            identity is not None
            and identity.type == "Service"
            and identity.principal_id == "dynamodb.amazonaws.com"
        )


class Answer(msgspec.Struct, frozen=True, gc=False, rename="pascal"):
    """The body of a `GetRecords` answer. No `NextShardIterator`: the shard ends here.

    `Records` is required, also when empty: else any other JSON object would read as the end of a shard.
    """

    records: list[Change]
    next_shard_iterator: str | None = None


class _RawAnswer(msgspec.Struct, frozen=True, gc=False, rename="pascal"):
    records: list[msgspec.Raw] = []


class _Numbered(msgspec.Struct, frozen=True, gc=False, rename="pascal"):
    sequence_number: str


class _NumberedRecord(msgspec.Struct, frozen=True, gc=False):
    dynamodb: _Numbered


_numbered = msgspec.json.Decoder(_NumberedRecord)


@dataclass(frozen=True, slots=True)
class Page:
    """One answer of a shard: its records in order, the iterator that goes on from there."""

    body: bytes
    changes: Sequence[Change]
    next_iterator: str | None
    """None: the shard ends with this page, which may still carry records."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One page of one shard, in order: everything after `start`, up to and including `end`.

    A batch may be empty: it still carries its `end`, for example the end of the shard.
    """

    stream: Stream
    shard: ShardKey
    start: Position
    end: Position
    changes: Sequence[Change]
    read_at: float
    """Wall clock, epoch seconds."""
    body: bytes = field(default=b"", repr=False)
    """The answer that the changes were cut from, for dead letters; its length stands for the memory that is held."""
    replayed: bool = False
    """Dead letters that are sent again, by hand. A sink marks what it can mark; one that keeps positions keeps none of
    these: they are no places to go on from."""
    _raw: dict[str, bytes] = field(default_factory=dict, init=False, repr=False, compare=False)
    """The body's records by sequence number, once one was asked for."""

    def after(self, position: Position) -> "Batch":
        """The part of this batch that comes after `position` (protocol: the records after g, never before them).

        A position with `not_before` also drops the older records at the beginning of the shard. Where nothing is dropped
        the list of changes stays the same one: sinks at one place share what is made of it.
        """
        if position.place is Place.AFTER:
            limit = int(position.sequence)
            changes = self.changes
            if changes and int(changes[0].sequence) <= limit:
                changes = [change for change in changes if int(change.sequence) > limit]
            elif position == self.start:
                return self
        elif position.place is Place.BEGINNING and position.not_before is not None:
            oldest = position.not_before
            changes = [change for change in self.changes if change.created >= oldest]
        else:
            return self if position == self.start else replace(self, start=position)
        return replace(self, start=position, changes=changes)

    def up_to(self, position: Position) -> "Batch":
        """The part of this batch that ends at `position`, a place `AFTER` a record; the batch itself if it does not go
        beyond."""
        if self.end.order <= position.order:
            return self
        limit = int(position.sequence)
        changes = [change for change in self.changes if int(change.sequence) <= limit]
        return replace(self, end=replace(position, epoch=self.end.epoch), changes=changes)

    def raw_record(self, change: Change) -> bytes:
        """The record as the service sent it, byte for byte; the first call cuts up the whole answer, for the few batches
        with a change that becomes a dead letter. What is known of it, its images byte for byte, where the answer as a
        whole is nothing that can be cut up."""
        if not self._raw and self.body:
            try:
                records = [
                    (_numbered.decode(raw).dynamodb.sequence_number, bytes(raw))
                    for raw in msgspec.json.decode(self.body, type=_RawAnswer).records
                ]
            except (msgspec.DecodeError, UnicodeDecodeError):
                records = []
            self._raw.update(records)
        return self._raw.get(change.sequence) or msgspec.json.encode(change)

    def reject(self, change: Change, kind: ErrorKind, reason: str) -> "Reject":
        """A change of this batch that cannot be delivered. `reason` holds no item values."""
        return Reject(change.sequence, kind, reason, self.raw_record(change))


@dataclass(frozen=True, slots=True)
class Reject:
    """A change that a codec or a sink refuses for ever; it goes to the dead letters, never away."""

    sequence: str
    kind: ErrorKind
    reason: str
    record: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class RegisteredSchema:
    """An Avro schema under the id that its registry gave it."""

    id: int
    subject: str
    text: str
    """Avro schema JSON."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """A batch's changes as Avro: four sequences of equal length, and the schemas of all of them."""

    changes: Sequence[Change]
    keys: Sequence[bytes]
    """Avro binary, without framing."""
    values: Sequence[bytes]
    """Avro binary, without framing. A delete has a value too; whether a tombstone follows is the sink's choice."""
    key_schema: RegisteredSchema
    value_schema: RegisteredSchema


@dataclass(frozen=True, slots=True)
class EncodedBatch:
    """What a sink is given. `avro` is None for a sink that takes the changes as they are (replica, file, console), and
    for a batch without encodable changes.

    `rejects` could not be encoded; they are the engine's business, and not in `avro`.
    """

    batch: Batch
    avro: Encoding | None = None
    rejects: Sequence[Reject] = ()


@dataclass(frozen=True, slots=True)
class Durability:
    """The answer of a batch that is durable: all of it but `rejects`, which can never be delivered here."""

    rejects: Sequence[Reject] = ()


def version(created_ms: int, sequence: str, *, generation: int = 0) -> str:
    """One string that orders all states of an item of one source table, across its streams and snapshots.

    `{stream creation, epoch ms, 13 digits}-{snapshot generation, 6 digits}-{sequence number, 40 digits}`. Sequence
    numbers alone would not do: those of a new stream start lower than those of the old one.
    """
    return f"{created_ms:013d}-{generation:06d}-{int(sequence):040d}"
