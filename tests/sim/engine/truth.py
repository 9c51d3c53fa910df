"""What really happened, for the checks: the service's own books, in the run's time (monotonic)."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from cdc.model import Place, Position, ShardKey
from cdc.testing.sim.service import Sim
from cdc.testing.sim.shards import Record, Shard
from cdc.testing.sim.stream import Stream
from tests.sim.engine.destination import ChangeId
from tests.sim.engine.virtual_time import WALL


@dataclass(frozen=True, slots=True)
class Written:
    """A record of a stream."""

    id: ChangeId
    shard: ShardKey
    item: str
    written_at: float
    visible_at: float
    record: Record = field(repr=False)
    """The service's own."""

    @property
    def is_trimmed(self) -> bool:
        """No call gives it any more: not sooner than a day after it was written, and some time later where the service
        trims late."""
        return self.record.shard.is_trimmed(self.record)


@dataclass(slots=True)
class Known:
    """A shard, for ever."""

    key: ShardKey
    parent: ShardKey | None
    created_at: float
    records: list[Written] = field(default_factory=list)
    sequences: list[int] = field(default_factory=list)
    closed_at: float | None = None
    """None: it is open."""
    gone_at: float | None = None
    """When it was first seen to have left the stream."""
    children: list[ShardKey] = field(default_factory=list)

    def index(self, position: Position) -> int:
        """The number of records up to this position."""
        if position.place is Place.AFTER:
            return bisect_right(self.sequences, int(position.sequence))
        return len(self.records) if position.place is Place.END else 0


class Truth:
    """Reads the service's books when it is asked to `update`; in between it tells what they were."""

    def __init__(self, sim: Sim, tables: Sequence[str]) -> None:
        self._sim = sim
        self._tables = tables
        self.shards: dict[ShardKey, Known] = {}
        self.records: list[Written] = []
        self.by_id: dict[ChangeId, Written] = {}
        self.rollovers = self.splits = 0
        self._as_of = -1.0
        self._read: dict[str, int] = {}
        self._listed: dict[str, int] = {}
        self._alive: list[tuple[Shard, Known]] = []

    def shard(self, key: ShardKey) -> Known:
        self.update()
        return self.shards[key]

    def lineage(self, key: ShardKey) -> Iterator[ShardKey]:
        """The shard, its parent, and so on upwards."""
        at: ShardKey | None = key
        while at is not None:
            yield at
            at = self.shards[at].parent

    def descendants(self, key: ShardKey) -> Iterator[ShardKey]:
        for child in self.shards[key].children:
            yield child
            yield from self.descendants(child)

    def update(self) -> None:
        """Takes over what the service has come to know; at most once at any time."""
        now = self._sim.streams.now() - WALL
        if now == self._as_of:
            return
        self._as_of = now
        for table in self._tables:
            for stream in self._sim.streams.of_table(table):
                self._shards_of(stream, now)
                for record in stream.records[self._read.get(stream.arn, 0) :]:
                    self._add(stream.arn, record)
                self._read[stream.arn] = len(stream.records)

    def _shards_of(self, stream: Stream, now: float) -> None:
        for shard in list(stream.shards.values())[self._listed.get(stream.arn, 0) :]:
            parent = None if shard.parent is None else ShardKey(stream.arn, shard.parent.id)
            known = self.shards[ShardKey(stream.arn, shard.id)] = Known(
                ShardKey(stream.arn, shard.id), parent, created_at=shard.created_at - WALL
            )
            if parent is not None:
                siblings = self.shards[parent].children
                siblings.append(known.key)
                if len(siblings) == 1:
                    self.rollovers += 1
                else:  # it was a split, and not a rollover
                    self.rollovers -= 1
                    self.splits += 1
            self._alive.append((shard, known))
        self._listed[stream.arn] = len(stream.shards)
        for shard, known in self._alive:
            if known.closed_at is None and shard.closed_at is not None:
                known.closed_at = shard.closed_at - WALL
            if shard.gone and known.gone_at is None:
                known.gone_at = now
        self._alive = [(shard, known) for shard, known in self._alive if known.gone_at is None]

    def _add(self, arn: str, record: Record) -> None:
        shard = self.shards[ShardKey(arn, record.shard.id)]
        written = Written(
            ChangeId(arn, record.sequence),
            shard.key,
            msgspec.json.encode(record.change.keys).decode(),
            record.written_at - WALL,
            record.visible_at - WALL,
            record,
        )
        shard.records.append(written)
        shard.sequences.append(record.sequence)
        self.records.append(written)
        self.by_id[written.id] = written
