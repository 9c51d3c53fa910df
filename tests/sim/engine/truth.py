"""What really happened, for the checks: the service's own books, in the run's time."""

from collections.abc import Iterator, Sequence

from cdc.model import Place, Position, ShardKey
from cdc.testing.sim.service import Sim
from cdc.testing.sim.shards import Record, Shard
from cdc.testing.sim.stream import Stream
from tests.sim.engine.destination import ChangeId
from tests.sim.engine.virtual_time import WALL


class Truth:
    def __init__(self, sim: Sim, tables: Sequence[str]) -> None:
        self._sim = sim
        self._tables = tables
        self._streams: dict[str, Stream] = {}

    def streams(self) -> list[Stream]:
        """As they are now: what has become due by time has happened."""
        found = [stream for table in self._tables for stream in self._sim.streams.of_table(table)]
        self._streams = {stream.arn: stream for stream in found}
        return found

    def stream(self, arn: str) -> Stream:
        """As it was when somebody last asked the service."""
        if arn not in self._streams:
            self.streams()
        return self._streams[arn]

    def shard(self, key: ShardKey) -> Shard:
        return self.stream(key.stream).shards[key.shard]

    def shards(self) -> Iterator[tuple[ShardKey, Shard]]:
        """All that there ever were."""
        for stream in self.streams():
            for shard in stream.shards.values():
                yield ShardKey(stream.arn, shard.id), shard

    def parent(self, key: ShardKey) -> tuple[ShardKey, Shard] | None:
        parent = self.shard(key).parent
        return None if parent is None else (ShardKey(key.stream, parent.id), parent)

    def records(self) -> Iterator[Record]:
        for stream in self.streams():
            yield from stream.records

    def between(self, key: ShardKey, start: Position, end: Position) -> Sequence[Record]:
        """The shard's records after one position, up to and including the other."""
        shard = self.shard(key)
        return shard.records[_index(shard, start) : _index(shard, end)]


def identity(record: Record) -> ChangeId:
    return ChangeId(record.stream, record.sequence)


def written_at(record: Record) -> float:
    """Monotonic."""
    return record.written_at - WALL


def closed_at(shard: Shard) -> float | None:
    """Monotonic; None: it is open."""
    return None if shard.closed_at is None else shard.closed_at - WALL


def _index(shard: Shard, position: Position) -> int:
    if position.place is Place.BEGINNING:
        return 0
    if position.place is Place.END:
        return len(shard.records)
    return shard.place_after(int(position.sequence))
