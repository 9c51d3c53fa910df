"""One stream: its shards, how they come and go, and the records that are written to it."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from random import Random

from cdc.testing.sim.behaviour import Behaviour
from cdc.testing.sim.change import ItemChange
from cdc.testing.sim.items import HASHES, KeySchema
from cdc.testing.sim.records import Recorder
from cdc.testing.sim.sequence import SequenceNumbers
from cdc.testing.sim.shards import Record, Shard


@dataclass(frozen=True, slots=True)
class Origin:
    """What a stream is of."""

    table: str
    arn: str
    """Its own: the table's, and the label."""
    view_type: str
    key: KeySchema


class Stream:
    """Attributes are for reading; `streams.Streams` is what calls come to.

    Args:
        number: of all streams of the simulation, so that each has chance of its own.
    """

    def __init__(
        self, origin: Origin, *, seed: str, number: int, now: float, behaviour: Behaviour, region: str
    ) -> None:
        self.table, self.view_type, self.key = origin.table, origin.view_type, origin.key
        self.behaviour = behaviour
        self.created_at = now
        self.arn, self.label = origin.arn, origin.arn.rpartition("/")[2]
        self.enabled_at = now + behaviour.stream_seconds
        self.disabled_at: float | None = None
        self.shards: dict[str, Shard] = {}
        """All that there ever were, in the order of their creation."""
        self.records: list[Record] = []
        """All that were ever written, in the order of their sequence numbers."""
        self._life = Random(f"{seed} life {number}")
        self._publication = Random(f"{seed} publication {number}")
        self._listing = Random(f"{seed} listing {number}")
        self._ids = Random(f"{seed} ids {number}")
        self._endings = Random(f"{seed} endings {number}")
        self._order = Random(f"{seed} order {number}")
        self._numbers = SequenceNumbers(Random(f"{seed} numbers {number}"), now)
        self._recorder = Recorder(Random(f"{seed} events {number}"), origin.view_type, region)
        self._open: list[Shard] = []
        """The oldest first."""
        self._by_hash: list[Shard] = []
        """The open ones in the order of their hashes, and where each begins."""
        self._lows: list[int] = []
        self._closed: list[Shard] = []
        """Closed, and not gone yet."""
        self._due = float("inf")
        """Before that, time changes nothing."""
        share = HASHES // behaviour.partitions
        for partition in range(behaviour.partitions):
            high = HASHES if partition == behaviour.partitions - 1 else (partition + 1) * share
            self._add(None, partition * share, high, now)

    # What time does

    def settle(self, now: float) -> None:
        """Everything that has become due: rollovers, one after the other, and what is trimmed by now."""
        if now < self._due:
            return
        while self.disabled_at is None:
            due = min(self._open, key=lambda shard: shard.rolls_over_at)
            if due.rolls_over_at > now:
                break
            self.close(due, due.rolls_over_at)
        retention = self.behaviour.retention_seconds
        for shard in (*self._open, *self._closed):
            shard.age(now, retention)
            shard.gone = shard.gone or self.is_gone(now)
        self._closed = [shard for shard in self._closed if not shard.gone]
        self._due = min(
            (shard.due(retention) for shard in (*self._open, *self._closed)),
            default=float("inf"),
        )
        if self.disabled_at is not None:
            self._due = min(self._due, self.disabled_at + retention)

    def status(self, now: float) -> str:
        if self.disabled_at is not None:
            return "DISABLING" if now < self.disabled_at + self.behaviour.stream_seconds else "DISABLED"
        return "ENABLING" if now < self.enabled_at else "ENABLED"

    def is_gone(self, now: float) -> bool:
        """A day after it was disabled, or its table deleted, it cannot be found any more."""
        return self.disabled_at is not None and now > self.disabled_at + self.behaviour.retention_seconds

    def disable(self, now: float) -> None:
        """Its shards are closed; they can be read for as long as their records live."""
        for shard in list(self._open):
            self._end(shard, now)
        self.disabled_at = now
        self._due = min(self._due, now + self.behaviour.retention_seconds)

    def trim(self, shard: Shard, records: int | None) -> None:
        """Its oldest records, or all, whatever their age; a closed shard that has none left goes."""
        count = len(shard.records) if records is None else shard.trimmed + records
        shard.trimmed = min(len(shard.records), count)
        if not shard.is_open and shard.trimmed == len(shard.records):
            shard.gone = True
            self._closed.remove(shard)

    def close(self, shard: Shard, now: float, *, split: bool = False) -> list[Shard]:
        """A rollover, which makes one child, or a split, which makes two; the children.

        Raises:
            ValueError: it is closed, or holds a single hash and cannot be split.
        """
        if not shard.is_open:
            raise ValueError(f"{shard.id} is closed")
        middle = (shard.low + shard.high) // 2
        if split and middle == shard.low:
            raise ValueError(f"{shard.id} is too small to be split")
        self._end(shard, now)
        bounds = [shard.low, middle, shard.high] if split else [shard.low, shard.high]
        return [self._add(shard, low, high, now) for low, high in pairwise(bounds)]

    # What is written

    def append(self, changes: Sequence[ItemChange], now: float) -> None:
        """What one request wrote. A transaction's records are not always in its order, nor published together; those of
        one item are, since a transaction has each item once (API reference, TransactWriteItems)."""
        if len(changes) > 1 and self._order.random() < self.behaviour.transactions_out_of_order:
            changes = self._order.sample(changes, len(changes))
        for change in changes:
            place = self.key.place(change.keys)[0]
            shard = self._by_hash[bisect_right(self._lows, place) - 1]
            most = self.behaviour.rollover_records
            if most and len(shard.records) >= most:
                (shard,) = self.close(shard, now)
            self._write(shard, change, now)

    def _write(self, shard: Shard, change: ItemChange, now: float) -> None:
        sequence = self._numbers.next(now)
        visible = now + self._publication.random() * self.behaviour.publication_seconds
        if shard.records:
            visible = max(visible, shard.records[-1].visible_at)
        body = self._recorder.record(change, sequence, now)
        record = Record(self.table, self.arn, shard, sequence, change, now, visible, body)
        self._due = min(self._due, now + self.behaviour.retention_seconds)
        shard.records.append(record)
        self.records.append(record)

    # What is listed

    def listed(self, now: float) -> list[Shard]:
        """The shards that a listing names, in the order of their ids."""
        if self.status(now) == "ENABLING":
            return []
        shards = [shard for shard in (*self._closed, *self._open) if shard.listed_at <= now]
        return sorted(shards, key=lambda shard: shard.id)

    def find(self, shard_id: str) -> Shard | None:
        """None: there is none, or no more."""
        shard = self.shards.get(shard_id)
        return None if shard is None or shard.gone else shard

    @property
    def open_shards(self) -> Sequence[Shard]:
        return self._open

    def _end(self, shard: Shard, now: float) -> None:
        shard.closed_at = now
        shard.closed_listed_at = now + self._listing.random() * self.behaviour.closing_late_seconds
        # That of the last record, or of a moment: no record need have it.
        of_record, following = self._endings.random() < 1 / 2, self._numbers.next(now)
        shard.ending_sequence = shard.records[-1].sequence if of_record and shard.records else following
        place = self._by_hash.index(shard)
        del self._by_hash[place], self._lows[place]
        self._due = min(self._due, shard.due(self.behaviour.retention_seconds))
        self._open.remove(shard)
        self._closed.append(shard)

    def _add(self, parent: Shard | None, low: int, high: int, now: float) -> Shard:
        behaviour, life = self.behaviour, self._life
        seconds = behaviour.rollover_seconds * (1 + behaviour.rollover_spread * (2 * life.random() - 1))
        late = self._listing.random() * behaviour.listing_late_seconds
        shard = Shard(
            id=f"shardId-{int(now * 1000):020d}-{self._ids.getrandbits(32):08x}",
            number=len(self.shards),
            parent=parent,
            low=low,
            high=high,
            created_at=now,
            starting_sequence=self._numbers.next(now),
            listed_at=now if parent is None else max(parent.listed_at, now + late),
            rolls_over_at=now + seconds if behaviour.rollover_seconds else float("inf"),
            trims_late=life.random() * behaviour.trim_late_seconds,
            ends_with_records=life.random() < behaviour.ends_with_records,
            goes_early=life.random() < behaviour.gone_early,
        )
        if shard.id in self.shards:
            return self._add(parent, low, high, now)
        self.shards[shard.id] = shard
        if parent is not None:
            parent.children.append(shard)
        self._open.append(shard)
        self._due = min(self._due, shard.rolls_over_at)
        place = bisect_right(self._lows, low)
        self._by_hash.insert(place, shard)
        self._lows.insert(place, low)
        return shard


def label(now: float) -> str:
    """A stream's label: its creation time, with milliseconds."""
    return datetime.fromtimestamp(round(now, 3), UTC).isoformat(timespec="milliseconds")[:23]
