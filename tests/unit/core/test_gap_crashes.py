"""A crash after every single command on the way behind a gap, with sinks that keep positions and such that do not: the
record of the gap is durable before anything from behind it is, and there is one of each gap whatever happens."""

from collections import deque
from dataclasses import dataclass, field, replace

import pytest

from cdc.core import messages as m
from cdc.core.engine import Engine
from cdc.core.gap_kinds import SKIPPED, GapKind
from cdc.core.world import Settings
from cdc.errors import ErrorKind
from cdc.model import BEGINNING, Listing, Page, Place, Position, Shard, ShardKey, after
from cdc.ports import Instant, Owner, Saved, SavedCursor, SavedStart, StateChange
from cdc.testing.memory_store import MemoryStore
from tests.unit.core.script import START, STREAM, change, key, shard, source_error, state_error

SETTINGS = Settings(on_gap="skip", until_caught_up=True, relist_seconds=10.0, caught_up_seconds=1.0)
PLACES = {key(1): after("5"), key(2): after("5"), key(4): BEGINNING}
"""Where both sinks were a day ago."""
BEGAN = Saved(
    cursors=[
        SavedCursor(sink, key(number), PLACES[key(number)], "orders", sink == "keeps", START)
        for sink in ("keeps", "forgets")
        for number in (1, 2, 4)
    ],
    starts=[
        SavedStart(sink, STREAM.arn, "orders", "trim-horizon", START, STREAM.table_id)
        for sink in ("keeps", "forgets")
    ],
)
CHILD = ShardKey(STREAM.arn, f"shardId-{int(START + 1800) * 1000:020}-00000003")
SHARDS: tuple[Shard, ...] = (shard(2), replace(shard(3, 1), key=CHILD), shard(4))
"""Shard 1 has vanished; of shard 2 all up to 20 have expired; of 4, and of the child of 1,
nobody knows."""
RECORDS = {key(2): (21, 22, 23), CHILD: (31, 32), key(4): (41,)}


@dataclass
class World:
    """What outlives a process."""

    store: MemoryStore = field(default_factory=MemoryStore)
    held: dict[ShardKey, Position] = field(default_factory=lambda: dict(PLACES))
    delivered: dict[tuple[str, ShardKey], list[int]] = field(default_factory=dict)
    wall: float = START + 25 * 3600.0
    saves: int = 0

    def run(self, crash_after: int, failing_save: int) -> m.Stop | None:
        """One process; None: it crashed."""
        lease = self.store.acquire(Owner("host", 1, "0"), lease_seconds=0.0, now=self.wall)
        engine = Engine(SETTINGS, ("keeps", "forgets"), self.store.load())
        at = 0.0
        todo: deque[m.Command] = deque(engine.handle(m.Started(), Instant(at, self.wall)))
        done = 0
        while True:
            while todo:
                command = todo.popleft()
                if isinstance(command, m.Stop):
                    return command
                if isinstance(command, m.Notice):
                    continue
                if done == crash_after:
                    return None
                done += 1
                if isinstance(command, m.Save):
                    self.saves += 1
                    if self.saves == failing_save:
                        answer: list[m.Event] = [m.SaveFailed(command.change, state_error())]
                    else:
                        self.store.save(lease, command.change)
                        answer = [m.CursorsSaved(command.change)]
                else:
                    answer = self.answers(command)
                for event in answer:
                    todo.extend(engine.handle(event, Instant(at, self.wall)))
                self.check()
            due = engine.next_due()
            assert due is not None
            self.wall += max(0.0, due - at)
            at = max(due, at)
            assert at < 300.0, "it goes on"
            todo.extend(engine.handle(m.Tick(), Instant(at, self.wall)))

    def answers(self, command: m.Command) -> list[m.Event]:  # noqa: PLR0911 - one for each command there is
        match command:
            case m.ResolveStreams():
                return [m.StreamsResolved([STREAM])]
            case m.ListShards(stream, parent):
                return [m.ShardsListed(stream.arn, parent, Listing(SHARDS, complete=True))]
            case m.OpenSink(sink):
                return [m.SinkOpened(sink)]
            case m.Claim(sink, shards):
                return [m.Claimed(sink, shards, self.held if sink == "keeps" else None)]
            case m.OpenIterator(reader, position):
                return [self.iterator(reader, position)]
            case m.Read(reader, iterator):
                records = [one for one in RECORDS[reader.shard] if one > int(iterator)]
                page = Page(
                    b"x", [change(one) for one in records[:1]], str(records[0] if records else iterator)
                )
                return [m.PageRead(reader, page)]
            case m.Write(sink, number, batch):
                self.delivered.setdefault((sink, batch.shard), []).extend(
                    int(one.sequence) for one in batch.changes
                )
                if sink == "keeps":
                    self.held[batch.shard] = batch.end
                return [m.Accepted(sink, batch.shard, number), m.Durable(sink, batch.shard, number, [])]
            case m.FlushSink(sink):
                return [m.Flushed(sink, None)]
            case other:
                raise AssertionError(f"not expected: {other}")

    def iterator(self, reader: m.ReaderKey, position: Position) -> m.Event:
        if reader.shard == key(1):
            return m.ReadFailed(reader, source_error(ErrorKind.NOT_FOUND))
        if reader.shard == key(2) and position.place is Place.AFTER and int(position.sequence) < 20:
            return m.ReadFailed(reader, source_error(ErrorKind.TRIMMED))
        return m.IteratorOpened(reader, position.sequence or "0")

    def check(self) -> None:
        """Nothing durable is behind a gap that is not."""
        saved = self.store.load()
        told = {(gap.sink, gap.shard) for gap in saved.gaps}
        places = [(cursor.sink, cursor.shard, cursor.position) for cursor in saved.cursors]
        places += [("keeps", where, position) for where, position in self.held.items()]
        for sink, where, position in places:
            behind = position.order > PLACES.get(where, BEGINNING).order
            assert not behind or (sink, where) in told, (sink, where, position)


@pytest.mark.parametrize("failing_save", [0, 1, 2])
def test_a_crash_at_every_boundary_on_the_way_behind_gaps(failing_save: int) -> None:
    crash_after = 0
    while True:
        world = World()
        lease = world.store.acquire(Owner("host", 0, "0"), lease_seconds=0.0, now=0.0)
        world.store.save(lease, StateChange(BEGAN.cursors, BEGAN.starts))
        crashed = world.run(crash_after, failing_save) is None
        stop = world.run(10_000, 0) if crashed else m.Stop(0, "caught up")
        assert stop == m.Stop(0, "caught up"), crash_after
        gaps = world.store.load().gaps
        assert sorted((gap.sink, gap.kind, gap.count) for gap in gaps) == [
            (sink, kind, 1)
            for sink in ("forgets", "keeps")
            for kind in sorted((GapKind.TRIMMED, GapKind.UNREAD, GapKind.UNREAD, GapKind.VANISHED))
        ], crash_after
        assert {gap.decision for gap in gaps} == {SKIPPED}
        for (_, where), sequences in world.delivered.items():
            assert sorted(set(sequences)) == list(RECORDS.get(where, ())), crash_after
        assert len(world.delivered) == 8
        if not crashed:
            break
        crash_after += 1
    assert crash_after > 40
