"""A state with its witness, through crashes at every step: no false alarm, and no loss that nobody notices."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import chain, count
from pathlib import Path

import pytest

from cdc.core.lineage import LaneState
from cdc.core.remembrance import UNKNOWN, Finding, Judgement, Known, Names, judge
from cdc.core.status import LaneStatus, Status
from cdc.errors import ErrorKind, StateError
from cdc.model import ShardKey, after
from cdc.ports import Lease, Saved, SavedCursor, SavedGap, SavedStart, StateChange
from cdc.process import this_process
from cdc.runtime.witness import WitnessFile
from cdc.runtime.witnessed import REFRESH_SECONDS, WitnessedStore
from cdc.testing.clock import ManualClock
from cdc.testing.fakes import MemoryStore
from cdc.testing.memory_store import MemoryState

SHARD = ShardKey("arn", "shardId-1")
PAIR = ("orders", "file")
BEGIN = StateChange(
    [SavedCursor("file", SHARD, after("1"), "orders", False, 1.0)],
    [SavedStart("file", "arn", "orders", "latest", 1.0)],
)


class Crash(BaseException):
    """The process is killed."""


class Pipeline:
    """Runs of one pipeline over one place, each of which may crash before a write."""

    def __init__(self, folder: Path) -> None:
        self.state = MemoryState()
        self.file = WitnessFile(folder, "orders")
        self.clock = ManualClock()
        self.writes_left = -1

    def store(self, *, runs: bool = True) -> WitnessedStore:
        inner = MemoryStore(self.state)
        return WitnessedStore(
            Crashing(inner, self), CrashingFile(self.file, self), self.clock, runs=[PAIR] * runs
        )

    def write(self) -> None:
        if self.writes_left == 0:
            raise Crash
        self.writes_left -= 1

    def judged(self, start: str = "trim-horizon") -> Judgement:
        return judge(
            self.file.read(), self.state.saved, pairs=[PAIR], start=start,
            now=self.clock.now().wall, names=Names("orders", "state", "witness"), streams={"orders": "arn"},
        )  # fmt: skip

    def begin(self, store: WitnessedStore) -> Lease:
        """As `cdc run` begins; nobody else lives."""
        self.state.lease = None
        found = self.judged()
        assert found.exit_code == 0, found
        lease = store.acquire(this_process(), lease_seconds=15, now=self.clock.now().wall)
        store.adopt(lease, store.load(), lost=found.lost)
        return lease

    def run(self) -> None:
        """A whole life: begin, save, a minute, and the end."""
        store = self.store()
        lease = self.begin(store)
        if not self.state.saved.starts:
            store.save(lease, BEGIN)
        store.saw(status(self.clock.now().wall))
        self.clock.advance(REFRESH_SECONDS)
        store.renew(lease, now=self.clock.now().wall)
        self.clock.advance(1)
        store.release(lease)


class Crashing(MemoryStore):
    """A store whose process may crash before it saves."""

    def __init__(self, inner: MemoryStore, pipeline: Pipeline) -> None:
        super().__init__(inner.state)
        self._pipeline = pipeline

    def save(self, lease: Lease, change: StateChange) -> None:
        self._pipeline.write()
        super().save(lease, change)


class CrashingFile(WitnessFile):
    def __init__(self, file: WitnessFile, pipeline: Pipeline) -> None:
        super().__init__(file.path.parent, "orders")
        self._its = pipeline

    def write(self, remembered: object) -> None:
        self._its.write()
        super().write(remembered)  # type: ignore[arg-type]


def status(through: float | None, *, gap: bool = False) -> Status:
    lane = LaneStatus(
        "orders", "file", *SHARD, LaneState.FLOWING, after("1"), 1.0, 1.0, through, 0, "", gap, ""
    )  # fmt: skip
    return Status((), (lane,), "", ("orders",), 0)


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    return Pipeline(tmp_path)


def crashes(pipeline: Pipeline, life: Callable[[], None]) -> Iterator[int]:
    """After each write of this life, once; ends when it needs no more."""
    for writes in count():
        pipeline.writes_left = writes
        try:
            life()
        except Crash:
            yield writes
        else:
            return
        finally:
            pipeline.writes_left = -1


def test_a_crash_anywhere_is_no_finding(pipeline: Pipeline) -> None:
    seen = 0
    for _ in crashes(pipeline, pipeline.run):
        assert pipeline.judged("latest") == Judgement(Finding.RIGHT)
        seen += 1
    assert seen > 3
    assert pipeline.judged("latest") == Judgement(Finding.RIGHT)


def test_state_deleted_after_a_crash_anywhere_is_noticed(tmp_path: Path) -> None:
    for writes in range(3, 12):
        pipeline = Pipeline(tmp_path / str(writes))
        pipeline.run()  # whatever comes after it: there were positions
        pipeline.writes_left = writes - 3
        with suppress(Crash):
            pipeline.run()
        pipeline.writes_left = -1
        pipeline.state.saved = Saved()
        assert pipeline.judged("latest").finding is Finding.LOST
        assert pipeline.judged().finding is Finding.DELIVERS_AGAIN


def test_a_crash_on_the_way_into_a_new_state_keeps_what_is_known(pipeline: Pipeline) -> None:
    """Until the sinks have begun in it, what the witness says of the time before stays."""
    pipeline.run()
    before = pipeline.file.read()
    assert before is not None
    pipeline.state.saved = Saved()

    def life() -> None:
        store = pipeline.store()
        lease = pipeline.begin(store)
        pipeline.clock.advance(2 * REFRESH_SECONDS)
        store.renew(lease, now=pipeline.clock.now().wall)
        store.release(lease)

    for _ in chain(crashes(pipeline, life), [None]):
        found = pipeline.judged()
        assert found.finding is Finding.DELIVERS_AGAIN
        after_it = pipeline.file.read()
        assert after_it is not None
        assert after_it.pairs == before.pairs
        assert after_it.ran_at == before.ran_at
    pipeline.run()
    assert pipeline.judged("latest") == Judgement(Finding.RIGHT)
    last = pipeline.file.read()
    assert last is not None
    assert last.ran_at > before.ran_at


def test_a_decision_without_a_run_is_no_older_state(pipeline: Pipeline) -> None:
    pipeline.run()
    before = pipeline.file.read()
    assert before is not None
    pipeline.state.saved = Saved()
    store = pipeline.store(runs=False)
    lease = store.acquire(this_process(), lease_seconds=15, now=0.0)
    store.adopt(lease, store.load(), lost=[PAIR])
    assert pipeline.judged("latest").finding is Finding.LOST
    store.save(lease, BEGIN)
    assert pipeline.judged("latest") == Judgement(Finding.RIGHT)
    told = pipeline.file.read()
    assert told is not None
    assert (told.ran_at, told.pairs) == (before.ran_at, before.pairs)


def test_the_end_is_told_exactly(pipeline: Pipeline) -> None:
    pipeline.run()
    told = pipeline.file.read()
    assert told is not None
    assert told.ran_at == pipeline.clock.now().wall
    assert told.pairs == {PAIR: Known("arn", told.ran_at - REFRESH_SECONDS - 1)}


def test_import_that_crashes_leaves_the_old_state_or_the_new_one(pipeline: Pipeline) -> None:
    pipeline.run()
    there = pipeline.state.saved
    imported = replace(there, settings={**(there.settings or {}), "state.identity": "exported"})

    def life() -> None:
        pipeline.state.lease = None
        store = pipeline.store(runs=False)
        lease = store.acquire(this_process(), lease_seconds=15, now=0.0)
        store.adopt(lease, imported, replaces=True)

    for _ in chain(crashes(pipeline, life), [None]):
        identity = (pipeline.state.saved.settings or {})["state.identity"]
        assert identity == "exported" or pipeline.state.saved == there
        assert pipeline.judged("latest") == Judgement(Finding.RIGHT)
    assert pipeline.state.saved.cursors == imported.cursors
    assert (pipeline.state.saved.settings or {})["state.identity"] == "exported"


def test_a_witness_on_another_host_knows_what_took_its_states_place(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    """With a state that is a table, the process that goes on elsewhere may find an old witness there."""
    pipeline.run()
    elsewhere = pipeline.file.path.read_bytes()
    old = pipeline.state.saved
    pipeline.state.saved = Saved()
    pipeline.run()
    here = pipeline.file.path.read_bytes()
    pipeline.file.path.write_bytes(elsewhere)
    assert pipeline.judged("latest") == Judgement(Finding.RIGHT)
    pipeline.file.path.write_bytes(here)
    pipeline.state.saved = old
    assert pipeline.judged("latest").finding is Finding.ANOTHER


@pytest.mark.parametrize("restored", [False, True])
def test_a_lease_of_a_former_life_is_never_given_again(pipeline: Pipeline, restored: bool) -> None:
    pipeline.run()
    copy = replace(pipeline.state)
    for _ in range(3):
        pipeline.run()
    zombie = pipeline.state.epoch
    pipeline.state = copy if restored else MemoryState()
    assert pipeline.state.epoch < zombie
    store = pipeline.store()
    lease = pipeline.begin(store)
    assert lease.epoch > zombie
    with pytest.raises(StateError) as refused:
        store.save(replace(lease, epoch=zombie), BEGIN)
    assert refused.value.kind is ErrorKind.NOT_OWNER


@pytest.mark.parametrize("restored", [False, True])
def test_reset_epochs_are_kept_where_the_state_is_not(pipeline: Pipeline, restored: bool) -> None:
    """A sink may hold positions of them."""
    pipeline.run()
    store = pipeline.store(runs=False)
    lease = store.acquire(this_process(), lease_seconds=15, now=0.0)
    old = store.adopt(lease, store.load())
    store.save(lease, StateChange(epochs={"file": 3}))
    pipeline.run()
    pipeline.state.saved = old if restored else Saved()
    store = pipeline.store()
    pipeline.begin(store)
    found = store.load()
    assert (found.epochs or {})["file"] == 3
    assert [cursor.position.epoch for cursor in found.cursors] == [3] * restored


def test_what_was_delivered_never_goes_back_but_for_a_gap(pipeline: Pipeline) -> None:
    store = pipeline.store()
    lease = pipeline.begin(store)
    store.save(lease, BEGIN)

    def told(seen: Status) -> float | None:
        store.saw(seen)
        pipeline.clock.advance(REFRESH_SECONDS)
        store.renew(lease, now=pipeline.clock.now().wall)
        found = pipeline.file.read()
        assert found is not None
        return found.pairs[PAIR].delivered_until

    assert told(Status((), (), "", (), 0)) is None
    assert told(status(None)) is None
    assert told(status(100.0)) == 100.0
    assert told(status(None)) == 100.0
    assert told(status(50.0)) == 100.0
    assert told(status(200.0)) == 200.0
    assert told(status(300.0, gap=True)) is None
    undecided = replace(status(300.0), gaps=(SavedGap("file", SHARD, "orders", 1.0, "expired"),))
    assert told(undecided) is None
    assert told(status(300.0)) == 300.0


def test_who_has_lost_the_lease_leaves_the_witness_alone(pipeline: Pipeline) -> None:
    store = pipeline.store()
    stale = pipeline.begin(store)
    store.save(stale, BEGIN)
    pipeline.run()
    written = pipeline.file.path.read_bytes()
    pipeline.clock.advance(2 * REFRESH_SECONDS)
    with pytest.raises(StateError):
        store.renew(stale, now=pipeline.clock.now().wall)
    store.release(stale)
    assert pipeline.file.path.read_bytes() == written


def test_is_refreshed_by_the_minute_and_not_by_every_save(pipeline: Pipeline) -> None:
    store = pipeline.store()
    lease = pipeline.begin(store)
    store.save(lease, BEGIN)
    written = pipeline.file.path.read_bytes()
    pipeline.clock.advance(REFRESH_SECONDS - 1)
    store.save(lease, StateChange(BEGIN.cursors))
    store.renew(lease, now=0.0)
    assert pipeline.file.path.read_bytes() == written
    pipeline.clock.advance(1)
    store.save(lease, StateChange(BEGIN.cursors))
    assert pipeline.file.path.read_bytes() != written


def test_a_witness_that_cannot_be_written_holds_nothing_up(pipeline: Pipeline, tmp_path: Path) -> None:
    store = pipeline.store()
    lease = pipeline.begin(store)
    store.save(lease, BEGIN)
    pipeline.file.path.unlink()
    pipeline.file.path.mkdir()
    pipeline.clock.advance(REFRESH_SECONDS)
    store.save(lease, StateChange(settings={"a": "b"}))
    assert (store.load().settings or {})["a"] == "b"
    pipeline.file.path.rmdir()
    pipeline.clock.advance(REFRESH_SECONDS)
    store.renew(lease, now=0.0)
    assert json.loads(pipeline.file.path.read_bytes())["pairs"][0]["sink"] == "file"
    assert [path.name for path in tmp_path.iterdir()] == [pipeline.file.path.name]


def seen(*lanes: tuple[str, str, float | None]) -> Status:
    """Of each sink: a stream, and how far it is."""
    its = tuple(
        LaneStatus(
            "orders", sink, stream, SHARD.shard, LaneState.FLOWING, after("1"), 1.0, 1.0, through, 0, "", False, ""
        )
        for sink, stream, through in lanes
    )  # fmt: skip
    return Status((), its, "", ("orders",), 0)


def live(pipeline: Pipeline, status: Status, *, new: Sequence[str] = ()) -> None:
    """A life with the sinks of this status; those that are new begin."""
    pipeline.state.lease = None
    sinks = {lane.sink for lane in status.lanes}
    store = WitnessedStore(
        MemoryStore(pipeline.state), pipeline.file, pipeline.clock, runs=[("orders", sink) for sink in sinks]
    )
    lease = store.acquire(this_process(), lease_seconds=15, now=pipeline.clock.now().wall)
    store.adopt(lease, store.load())
    for sink in new:
        store.save(lease, StateChange(starts=[SavedStart(sink, "arn", "orders", "trim-horizon", 1.0)]))
    store.saw(status)
    pipeline.clock.advance(REFRESH_SECONDS)
    store.renew(lease, now=pipeline.clock.now().wall)
    store.release(lease)


def told(pipeline: Pipeline) -> dict[str, Known]:
    found = pipeline.file.read()
    assert found is not None
    return {sink: known for (_, sink), known in found.pairs.items()}


def test_a_sink_that_was_added_has_a_time_of_its_own(pipeline: Pipeline) -> None:
    live(pipeline, seen(("a", "arn", 1000.0)), new=["a"])
    live(pipeline, seen(("a", "arn", 2000.0), ("b", "arn", None)), new=["b"])
    assert told(pipeline) == {"a": Known("arn", 2000.0), "b": Known("arn", None)}
    live(pipeline, seen(("a", "arn", 3000.0), ("b", "arn", 500.0)))
    assert told(pipeline) == {"a": Known("arn", 3000.0), "b": Known("arn", 500.0)}


def test_a_sink_that_was_removed_keeps_its_time(pipeline: Pipeline) -> None:
    live(pipeline, seen(("a", "arn", 1000.0), ("c", "arn", 1000.0)), new=["a", "c"])
    live(pipeline, seen(("a", "arn", 9000.0)))
    pipeline.state.saved = Saved()
    live(pipeline, seen(("a", "arn", 9500.0)), new=["a"])
    assert told(pipeline) == {"a": Known("arn", 9500.0), "c": Known("arn", 1000.0)}


def test_another_stream_has_a_time_of_its_own(pipeline: Pipeline) -> None:
    live(pipeline, seen(("a", "arn", 5000.0)), new=["a"])
    live(pipeline, seen(("a", "arn", 6000.0), ("a", "arn:new", 6000.0)))
    # Whoever begins anew would not read the old one to its end.
    assert told(pipeline) == {"a": Known("arn", None)}
    live(pipeline, seen(("a", "arn:new", 4000.0)))
    assert told(pipeline) == {"a": Known("arn:new", 4000.0)}


def test_a_start_on_another_stream_forgets_the_time(pipeline: Pipeline) -> None:
    live(pipeline, seen(("file", "arn", 5000.0)), new=["file"])
    pipeline.state.saved = Saved()
    pipeline.state.lease = None
    store = pipeline.store(runs=False)
    lease = store.acquire(this_process(), lease_seconds=15, now=0.0)
    store.adopt(lease, store.load(), lost=[PAIR])
    assert told(pipeline) == {"file": Known("arn", 5000.0)}
    store.save(lease, BEGIN)
    assert told(pipeline) == {"file": Known("arn", 5000.0)}
    store.save(lease, StateChange(starts=[SavedStart("file", "arn:new", "orders", "latest", 2.0)]))
    assert told(pipeline) == {"file": Known("arn:new", None)}


def test_a_reset_forgets_the_time_of_its_sink(pipeline: Pipeline) -> None:
    """What was durable has to come again: the sink may have been emptied."""
    live(pipeline, seen(("a", "arn", 5000.0), ("b", "arn", 5000.0)), new=["a", "b"])
    pipeline.state.lease = None
    store = pipeline.store(runs=False)
    lease = store.acquire(this_process(), lease_seconds=15, now=0.0)
    store.adopt(lease, store.load())
    store.save(lease, StateChange(epochs={"a": 1}))
    assert told(pipeline) == {"a": Known("arn", None), "b": Known("arn", 5000.0)}


def test_what_a_damaged_witness_may_have_known_stays_so_until_it_is_decided(pipeline: Pipeline) -> None:
    pipeline.file.path.write_text(
        '{"format": 1, "sinks": ["file"], "delivered_until": 5.0}'
    )  # torn, or of another shape
    store = pipeline.store(runs=False)
    lease = store.acquire(this_process(), lease_seconds=15, now=0.0)
    store.adopt(lease, store.load(), lost=[PAIR, ("orders", "other")])
    store.save(lease, BEGIN)
    assert told(pipeline) == {"file": Known("arn", None), "other": UNKNOWN}


def test_a_witness_that_is_new_knows_what_the_state_has(pipeline: Pipeline) -> None:
    live(pipeline, seen(("a", "arn", 5000.0), ("c", "arn", 5000.0)), new=["a", "c"])
    pipeline.file.path.unlink()
    live(pipeline, seen(("a", "arn", 6000.0)))
    assert told(pipeline) == {"a": Known("arn", 6000.0), "c": Known("arn", None)}
