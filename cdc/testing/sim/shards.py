"""Shards: a tree, in which every item lies in one lineage."""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field

from cdc.testing.sim.change import ItemChange


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """One change in a stream: what an oracle needs to know of it.

    Attributes:
        shard: where it lies; `shard.is_trimmed(record)` tells whether it can still be read.
        written_at: epoch seconds: when the write was answered.
        visible_at: epoch seconds: no `GetRecords` gives it sooner.
    """

    table: str
    stream: str
    shard: "Shard"
    sequence: int
    change: ItemChange
    written_at: float
    visible_at: float
    body: bytes = field(repr=False)
    """The record as `GetRecords` gives it, JSON."""


@dataclass(slots=True, eq=False)
class Shard:
    """One shard, for as long as the simulation lasts: also when no call can find it any more. Times: epoch seconds."""

    id: str
    number: int
    parent: "Shard | None"
    low: int
    high: int
    """It holds the items whose partition key has a hash in `low … high - 1`."""
    created_at: float
    starting_sequence: int
    listed_at: float
    """From then on it is in listings."""
    rolls_over_at: float
    trims_late: float
    """Seconds beyond the retention time after which its records are trimmed."""
    ends_with_records: bool
    goes_early: bool
    records: list[Record] = field(default_factory=list, repr=False)
    trimmed: int = 0
    """So many of its records, from the oldest on, cannot be read any more."""
    closed_at: float | None = None
    closed_listed_at: float = 0.0
    ending_sequence: int = 0
    children: "list[Shard]" = field(default_factory=list, repr=False)
    gone: bool = False
    """No call knows it any more, though its children still name it."""

    @property
    def is_open(self) -> bool:
        return self.closed_at is None

    def is_trimmed(self, record: Record) -> bool:
        return self.gone or self.place_after(record.sequence) <= self.trimmed

    def place_of(self, sequence: int) -> int:
        """The index of the first record from this number on."""
        return bisect_left(self.records, sequence, key=_number)

    def place_after(self, sequence: int) -> int:
        """The index of the first record after this number."""
        return bisect_right(self.records, sequence, key=_number)

    def visible(self, now: float) -> int:
        """The number of records that are published: each only after those before it."""
        count = len(self.records)
        while count > 0 and self.records[count - 1].visible_at > now:
            count -= 1
        return count

    def age(self, now: float, retention_seconds: float) -> None:
        """Trims what is too old; a closed shard with nothing left leaves the stream."""
        horizon = now - retention_seconds - self.trims_late
        records, trimmed = self.records, self.trimmed
        while trimmed < len(records) and records[trimmed].written_at < horizon:
            trimmed += 1
        self.trimmed = trimmed
        if self.closed_at is not None and trimmed == len(records) and not self.gone:
            self.gone = self._goes_after() < horizon

    def due(self, retention_seconds: float) -> float:
        """When time changes it next."""
        due = self.rolls_over_at if self.is_open else float("inf")
        kept = retention_seconds + self.trims_late
        if self.trimmed < len(self.records):
            return min(due, self.records[self.trimmed].written_at + kept)
        return due if self.is_open else min(due, self._goes_after() + kept)

    def _goes_after(self) -> float:
        """Of a closed one: what has to be too old before it leaves the stream."""
        assert self.closed_at is not None
        return self.records[-1].written_at if self.records and self.goes_early else self.closed_at

    def ancestors(self) -> "list[Shard]":
        """From the parent upwards."""
        found, shard = [], self.parent
        while shard is not None:
            found.append(shard)
            shard = shard.parent
        return found


def _number(record: Record) -> int:
    return record.sequence
