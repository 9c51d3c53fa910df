"""A stream with everything that DynamoDB's streams do to their readers: shards that roll over and split, are listed
late, end in both ways, are trimmed and vanish; empty pages, late publication, iterators that expire."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from cdc.errors import ErrorKind, SourceError
from cdc.model import Change, Images, Listing, Page, Place, Position, Shard, ShardKey, Stream

SLOTS = 16
"""A shard owns a range of these; an item lies in one of them."""
_FIRST_SEQUENCE = 10**21 - 200
"""The first numbers have 21 digits, later ones 22: text order is not their order."""


@dataclass(frozen=True, slots=True)
class Record:
    sequence: int
    item: str
    change: Change
    written_at: float
    visible_at: float


@dataclass(eq=False, slots=True)
class SimShard:
    key: ShardKey
    parent: str | None
    low: int
    high: int
    created_at: float
    listed_at: float
    ends_with_records: bool
    records: list[Record] = field(default_factory=list)
    closed_at: float | None = None
    closed_listed_at: float = 0.0
    trimmed: int = 0
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Shape:
    """How unpleasant the stream is; times in seconds."""

    retention: float = 1e9
    publication: float = 0.5
    listing_lag: float = 2.0
    empty_page: float = 0.1
    page: int = 8
    iterator_life: float = 900.0
    latest_slack: int = 2


class StreamModel:
    """One stream. Times are seconds of the simulation's monotonic clock; `wall` is the service's clock."""

    def __init__(
        self, rng: random.Random, stream: Stream, shape: Shape, now: Callable[[], float], epoch: float
    ) -> None:
        self._rng = rng
        self.stream = stream
        self.shape = shape
        self._now = now
        self._epoch = epoch
        self._sequence = _FIRST_SEQUENCE
        self._numbered = 0
        self.shards: dict[ShardKey, SimShard] = {}
        self.records: dict[int, Record] = {}
        self.splits = 0

    def begin(self, shards: int) -> None:
        step = SLOTS // shards
        for index in range(shards):
            self._add(None, index * step, (index + 1) * step, listed_at=self._now())

    def _add(self, parent: str | None, low: int, high: int, *, listed_at: float) -> SimShard:
        self._numbered += 1
        created_ms = int((self._epoch + self._now()) * 1000)
        key = ShardKey(self.stream.arn, f"shardId-{created_ms:020d}-{self._numbered:08x}")
        shard = SimShard(key, parent, low, high, self._now(), listed_at, self._rng.random() < 0.5)
        self.shards[key] = shard
        return shard

    # Writing

    def write(self, item: str) -> Record:
        slot = sum(item.encode()) % SLOTS
        leaf = next(s for s in self.shards.values() if s.closed_at is None and s.low <= slot < s.high)
        self._sequence += self._rng.randint(1, 5)
        now = self._now()
        images = Images(
            sequence_number=str(self._sequence),
            approximate_creation_date_time=float(int(self._epoch + now)),
            keys=msgspec.Raw(b'{"pk":{"S":"%s"}}' % item.encode()),
        )
        earlier = leaf.records[-1].visible_at if leaf.records else 0.0
        visible = max(earlier, now + self._rng.random() * self.shape.publication)
        record = Record(self._sequence, item, Change("MODIFY", images), now, visible)
        leaf.records.append(record)
        self.records[record.sequence] = record
        return record

    def leaves(self) -> list[SimShard]:
        return [shard for shard in self.shards.values() if shard.closed_at is None]

    def close(self, shard: SimShard, *, split: bool) -> None:
        """A rollover (one child), or a split (two)."""
        now, lag = self._now(), self.shape.listing_lag
        shard.closed_at = now
        shard.closed_listed_at = now + self._rng.random() * lag
        middle = (shard.low + shard.high) // 2
        ranges = [(shard.low, shard.high)]
        if split and middle > shard.low:
            ranges = [(shard.low, middle), (middle, shard.high)]
            self.splits += 1
        for low, high in ranges:
            listed_at = max(shard.listed_at, now + self._rng.random() * lag)
            self._add(shard.key.shard, low, high, listed_at=listed_at)

    def disable(self) -> None:
        for shard in self.leaves():
            shard.closed_at = shard.closed_listed_at = self._now()

    def age(self) -> None:
        """Trims what is older than the retention; shards of nothing else vanish."""
        now = self._now()
        for shard in self.shards.values():
            while (
                shard.trimmed < len(shard.records)
                and shard.records[shard.trimmed].written_at < now - self.shape.retention
            ):
                shard.trimmed += 1
            if shard.closed_at is not None and shard.closed_at < now - self.shape.retention:
                shard.gone = True

    # The service's calls

    def listing(self) -> Listing:
        self.age()
        now = self._now()
        return Listing(
            tuple(self._described(s) for s in self.shards.values() if not s.gone and s.listed_at <= now),
            complete=True,
        )

    def children(self, parent: ShardKey) -> Listing:
        now = self._now()
        return Listing(
            tuple(
                self._described(s)
                for s in self.shards.values()
                if s.parent == parent.shard and not s.gone and s.listed_at <= now
            ),
            complete=False,
        )

    def _described(self, shard: SimShard) -> Shard:
        closed = shard.closed_at is not None and shard.closed_listed_at <= self._now()
        ending = str(shard.records[-1].sequence if shard.records else self._sequence) if closed else None
        return Shard(shard.key, shard.parent, ending_sequence=ending)

    def _existing(self, key: ShardKey) -> SimShard:
        self.age()
        shard = self.shards.get(key)
        if shard is None or shard.gone:
            raise SourceError(ErrorKind.NOT_FOUND, "no such shard")
        return shard

    def iterator(self, key: ShardKey, position: Position, *, latest: bool) -> str:
        shard = self._existing(key)
        now = self._now()
        if latest:
            assert position.place is Place.BEGINNING, "LATEST stands for no position that was read up to"
            visible = sum(record.visible_at <= now for record in shard.records)
            index = max(shard.trimmed, visible - self._rng.randint(0, self.shape.latest_slack))
        elif position.place is Place.BEGINNING:
            index = shard.trimmed
        else:
            index = sum(record.sequence <= int(position.sequence) for record in shard.records)
            if index < shard.trimmed or (index > 0 and index == shard.trimmed == len(shard.records)):
                raise SourceError(ErrorKind.TRIMMED, "the position expired")
        return f"{index}|{now + self.shape.iterator_life}|0"

    def read(self, key: ShardKey, iterator: str) -> Page:
        shard = self._existing(key)
        now = self._now()
        at, expires, empty = iterator.split("|")
        index = int(at)
        if now > float(expires):
            raise SourceError(ErrorKind.ITERATOR_EXPIRED, "the iterator is too old")
        if index < shard.trimmed:
            raise SourceError(ErrorKind.TRIMMED, "the records after this iterator expired")
        idle = int(empty) < 3 and self._rng.random() < self.shape.empty_page
        count = 0 if idle else self._rng.randint(1, self.shape.page)
        records = [r for r in shard.records[index : index + count] if r.visible_at <= now]
        index += len(records)
        through = index == len(shard.records)
        ended = shard.closed_at is not None and through and (shard.ends_with_records or not records)
        following = (
            None if ended else f"{index}|{now + self.shape.iterator_life}|{int(empty) + 1 if idle else 0}"
        )
        return Page(b"x" * (100 * len(records)), [record.change for record in records], following)
