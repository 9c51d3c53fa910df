"""Whatever becomes of a pipeline's state, sinks, tables and streams: what is lost is told, and what is not goes on.

Beside the real witness stands an oracle, which knows each change, where it is durable, and what the streams still hold.
"""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from cdc.core.lineage import LaneState
from cdc.core.remembrance import MARGIN_SECONDS, Judgement, Names, Pair, judge
from cdc.core.status import LaneStatus, Status
from cdc.model import BEGINNING, RETENTION_SECONDS, ShardKey
from cdc.ports import Lease, SavedGap, SavedStart, StateChange
from cdc.process import this_process
from cdc.runtime.witness import WitnessFile
from cdc.runtime.witnessed import REFRESH_SECONDS, WitnessedStore
from cdc.testing.clock import ManualClock
from cdc.testing.fakes import MemoryStore
from cdc.testing.memory_store import MemoryState

TABLES, SINKS = ("orders", "parcels"), ("a", "b", "c")
HOUR = 3600.0


@dataclass(frozen=True)
class Change:
    at: float
    stream: str


@dataclass
class World:
    """What is true. `positions` belongs to the state, and is lost and restored with it."""

    state: MemoryState = field(default_factory=MemoryState)
    positions: dict[Pair, int] = field(default_factory=dict)
    copy: tuple[MemoryState, dict[Pair, int]] | None = None
    streams: dict[str, str] = field(default_factory=lambda: {table: f"{table}/1" for table in TABLES})
    changes: dict[str, list[Change]] = field(default_factory=lambda: {table: [] for table in TABLES})
    owed: dict[Pair, set[int]] = field(default_factory=dict)
    """Of each pair that ever began: what is neither durable there, nor was anybody told that it is lost."""
    began: dict[Pair, int] = field(default_factory=dict)
    """The first change of the table that is its own."""
    told: dict[Pair, tuple[str, float]] = field(default_factory=dict)
    """Up to when all was durable when a run last knew; absent: unknown."""


class Histories(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.file = WitnessFile(self.folder, "orders")
        self.clock = ManualClock()
        self.world = World()
        self.damaged = False

    @initialize(start=st.sampled_from(("trim-horizon", "trim-horizon", "latest")))
    def configured(self, start: str) -> None:
        self.start = start

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    # What happens

    @rule(table=st.sampled_from(TABLES))
    def write(self, table: str) -> None:
        self.clock.advance(1)
        changes = self.world.changes[table]
        for pair, owed in self.world.owed.items():
            if pair[0] == table:
                owed.add(len(changes))
        changes.append(Change(self.now, self.world.streams[table]))

    @rule(hours=st.sampled_from((0.5, 4.0, 20.0, 23.5, 30.0)))
    def wait(self, hours: float) -> None:
        self.clock.advance(hours * HOUR)

    @rule(table=st.sampled_from(TABLES))
    def replace_the_stream(self, table: str) -> None:
        stream, _, number = self.world.streams[table].rpartition("/")
        self.world.streams[table] = f"{stream}/{int(number) + 1}"

    @rule()
    def lose_the_state(self) -> None:
        self.world.state, self.world.positions = MemoryState(), {}

    @rule()
    def copy_the_state(self) -> None:
        self.world.copy = (replace(self.world.state), dict(self.world.positions))

    @rule()
    def restore_the_state(self) -> None:
        if self.world.copy is not None:
            state, positions = self.world.copy
            self.world.state, self.world.positions = replace(state), dict(positions)

    @rule()
    def damage_the_witness(self) -> None:
        if self.file.path.exists():
            self.file.path.write_text("{torn")
            self.damaged = True

    @rule(
        tables=st.sets(st.sampled_from(TABLES), min_size=1),
        sinks=st.sets(st.sampled_from(SINKS), min_size=1),
        down=st.sets(st.sampled_from(SINKS), max_size=1),
    )
    def run(self, tables: set[str], sinks: set[str], down: set[str]) -> None:
        """From the start to the end, with this configuration, and these sinks not reachable."""
        pairs = [(table, sink) for table in sorted(tables) for sink in sorted(sinks)]
        judgement = self.judged(pairs)
        if judgement.exit_code:
            self.refused_rightly(pairs, judgement)
            return
        with_starts = self.with_starts()
        for pair in set(pairs) - with_starts:
            self.nothing_is_passed_over(pair)
        store, lease = self.adopted(pairs, judgement)
        for pair in pairs:
            if pair not in with_starts:
                self.begin(store, lease, pair, self.start)
        self.decide_gaps(store, lease, pairs)
        lanes = [self.work(store, lease, pair, down=pair[1] in down) for pair in pairs]
        gaps = store.load().gaps
        store.saw(Status((), tuple(lanes), "", tuple(tables), 0, tuple(gaps)))
        self.clock.advance(REFRESH_SECONDS)
        store.renew(lease, now=self.now)
        store.release(lease)

    @rule(sink=st.sampled_from(SINKS), to=st.sampled_from(("trim-horizon", "latest")))
    def decide(self, sink: str, to: str) -> None:
        """What is lost is decided about, if it is: somebody was told."""
        pairs = [(table, name) for table in TABLES for name in SINKS]
        judgement = self.judged(pairs)
        gone = [pair for pair in judgement.lost if pair[1] == sink]
        if not gone:
            return
        store, lease = self.adopted((), judgement)
        for pair in gone:
            self.world.owed[pair] = set()
            self.begin(store, lease, pair, to)
        store.release(lease)

    @rule(sink=st.sampled_from(SINKS))
    def empty_the_sink(self, sink: str) -> None:
        """Its content is deleted, and it is reset by hand to have what there is again."""
        mine = {pair for pair in self.with_starts() if pair[1] == sink}
        everything = [(table, name) for table in TABLES for name in SINKS]
        judgement = self.judged(everything)
        if not mine or any(pair[1] == sink for pair in judgement.lost) or judgement.exit_code == 2:
            return
        store, lease = self.adopted((), judgement)
        epochs = {sink: (store.load().epochs or {}).get(sink, 0) + 1}
        store.save(lease, StateChange(epochs=epochs))
        store.release(lease)
        for pair in [pair for pair in self.world.began if pair[1] == sink]:
            self.world.told.pop(pair, None)
            if pair in mine:
                self.world.owed[pair] |= {
                    number for number in self.readable(pair[0]) if number >= self.world.began[pair]
                }
                self.world.positions[pair] = 0

    # What is demanded

    def nothing_is_passed_over(self, pair: Pair) -> None:
        """It begins by itself: all that it is owed has to be in what it will read."""
        owed = self.world.owed.get(pair, set())
        reads = set(self.readable(pair[0])) if self.start == "trim-horizon" else set()
        if pair in self.world.began:
            assert self.start == "trim-horizon"
        assert owed <= reads, f"{pair}: silently lost {sorted(owed - reads)}"

    def refused_rightly(self, pairs: list[Pair], judgement: Judgement) -> None:
        """Never where nothing can be lost, as far as anybody knew."""
        if judgement.exit_code == 2:
            assert self.world.state.saved.starts
            return
        assert judgement.lost
        assert self.damaged or self.start == "latest" or not all(self.safe(pair) for pair in judgement.lost)

    def safe(self, pair: Pair) -> bool:
        if pair not in self.world.told:
            return False
        stream, until = self.world.told[pair]
        same = stream == self.world.streams[pair[0]]
        return same and until - MARGIN_SECONDS <= self.now < until + RETENTION_SECONDS - MARGIN_SECONDS

    @invariant()
    def says_nothing_is_lost_only_where_nothing_is(self) -> None:
        pairs = [(table, name) for table in TABLES for name in SINKS]
        if "nothing is lost" in self.judged(pairs).message:
            for pair in self.judged(pairs).lost:
                assert self.world.owed.get(pair, set()) <= set(self.readable(pair[0]))

    # The pipeline

    @property
    def now(self) -> float:
        return self.clock.now().wall

    def judged(self, pairs: list[Pair]) -> Judgement:
        return judge(
            self.file.read(),
            self.world.state.saved,
            pairs=pairs,
            start=getattr(self, "start", "latest"),
            now=self.now,
            names=Names("orders", "state", "witness"),
            streams=self.world.streams,
        )

    def with_starts(self) -> set[Pair]:
        return {(start.table, start.sink) for start in self.world.state.saved.starts}

    def adopted(self, pairs: tuple[()] | list[Pair], judgement: Judgement) -> tuple[WitnessedStore, Lease]:
        if self.damaged:
            # It is as lost: what is in no state and in no configuration, nobody can know of.
            for pair in self.world.began.keys() - self.with_starts() - judgement.lost.keys():
                del self.world.began[pair], self.world.owed[pair]
            self.damaged = False
            self.world.told = {}
        self.world.state.lease = None
        store = WitnessedStore(MemoryStore(self.world.state), self.file, self.clock, runs=pairs)
        lease = store.acquire(this_process(), lease_seconds=15, now=self.now)
        store.adopt(lease, store.load(), lost=judgement.lost)
        return store, lease

    def begin(self, store: WitnessedStore, lease: Lease, pair: Pair, start: str) -> None:
        world, (table, sink) = self.world, pair
        stream = world.streams[table]
        store.save(lease, StateChange(starts=[SavedStart(sink, stream, table, start, self.now)]))
        reads = list(self.readable(table)) if start == "trim-horizon" else []
        world.positions[pair] = min(reads, default=len(world.changes[table]))
        if pair not in world.began:
            world.began[pair] = world.positions[pair]
            world.owed[pair] = set(reads)
        if world.told.get(pair, (stream,))[0] != stream:
            del world.told[pair]

    def decide_gaps(self, store: WitnessedStore, lease: Lease, pairs: list[Pair]) -> None:
        """Those that an earlier run has found: it goes on with the oldest that there is."""
        waiting = [gap for gap in store.load().gaps if not gap.decision and (gap.table, gap.sink) in pairs]
        store.save(lease, StateChange(gaps=[replace(gap, decision="reset") for gap in waiting]))
        for gap in waiting:
            readable = self.readable(gap.table)
            oldest = min(readable, default=len(self.world.changes[gap.table]))
            self.world.positions[gap.table, gap.sink] = oldest

    def work(self, store: WitnessedStore, lease: Lease, pair: Pair, *, down: bool) -> LaneStatus:
        """All that the stream has is delivered, unless the sink is down, or what came next is in no stream any more."""
        world, (table, sink) = self.world, pair
        stream, changes = world.streams[table], world.changes[table]
        starts = {start.stream for start in store.load().starts if (start.table, start.sink) == pair}
        if stream not in starts:
            store.save(lease, StateChange(starts=[SavedStart(sink, stream, table, self.start, self.now)]))
        rest = set(range(world.positions[pair], len(changes)))
        gap = stream not in starts or bool(rest - set(self.readable(table)))
        through: float | None = None
        if gap:
            found = SavedGap(sink, ShardKey(stream, "shard"), table, self.now, "expired")
            store.save(lease, StateChange(gaps=[found]))
            world.owed[pair] &= set(self.readable(table))
            world.told.pop(pair, None)
        elif not down:
            world.positions[pair] = len(changes)
            world.owed[pair] -= rest
            through = self.now
            world.told[pair] = (stream, through)
        return LaneStatus(
            table, sink, stream, "shard", LaneState.HALTED if gap else LaneState.FLOWING,
            BEGINNING, 0.0, 0.0, through, 0, "", gap, "",
        )  # fmt: skip

    def readable(self, table: str) -> Iterator[int]:
        """What the table's stream still has."""
        for number, change in enumerate(self.world.changes[table]):
            if change.stream == self.world.streams[table] and change.at > self.now - RETENTION_SECONDS:
                yield number


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=80, stateful_step_count=25, deadline=None)
