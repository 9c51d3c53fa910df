"""Which change lies in which partition: by event time, in UTC, never in the machine's zone."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from cdc.model import Change, Encoding

_HOUR = 3600
_HOURS = int(datetime(9999, 12, 31, 23, tzinfo=UTC).timestamp()) // _HOUR + 1
"""What a calendar with four-digit years can name, from 1970."""


class Partition(NamedTuple):
    """One hour of one table."""

    table: str
    hour: int
    """Hours since the epoch."""

    @property
    def folder(self) -> str:
        """`{table}/dt=YYYY-MM-DD/hour=HH`, relative to the lake."""
        return f"{self.table}/{datetime.fromtimestamp(self.hour * _HOUR, UTC):dt=%Y-%m-%d/hour=%H}"


class Split(NamedTuple):
    """The rows of a batch by partition, in their order, and the changes that have no place on the calendar."""

    rows: dict[Partition, Sequence[bytes]]
    misplaced: Sequence[Change]


def split(table: str, encoding: Encoding) -> Split:
    """Sorts a batch's values into partitions. Most batches lie in one."""
    hours = [int(change.created // _HOUR) for change in encoding.changes]
    if hours and min(hours) == max(hours) and 0 <= hours[0] < _HOURS:
        return Split({Partition(table, hours[0]): encoding.values}, ())
    rows: dict[Partition, list[bytes]] = {}
    misplaced = []
    for hour, change, value in zip(hours, encoding.changes, encoding.values, strict=True):
        if 0 <= hour < _HOURS:
            rows.setdefault(Partition(table, hour), []).append(value)
        else:
            misplaced.append(change)
    return Split(dict(rows), misplaced)
