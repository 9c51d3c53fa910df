"""The watch sees what it watches for, and the counts are right: what no run of the engine as it is can show."""

from dataclasses import replace

import pytest

from cdc.core.lineage import ShardEntry
from cdc.core.messages import PageRead
from cdc.core.reading import Reading
from cdc.model import BEGINNING, Batch, Position, after
from cdc.ports import Lease
from cdc.testing.memory_store import MemoryStore
from tests.sim.engine.__main__ import replay
from tests.sim.engine.destination import Destination, Violation
from tests.sim.engine.plan import Reshape, Suspension
from tests.sim.engine.profiles import plan_of
from tests.sim.engine.run import Run, Totals, drive
from tests.sim.engine.shrink import report, shrink
from tests.sim.engine.small import QUICK, WEATHER, small_plan
from tests.sim.engine.virtual_time import BEGIN
from tests.unit.core.script import START, STREAM, change, key


def batch(start: Position, *sequences: int) -> Batch:
    return Batch(STREAM, key(1), start, after(str(sequences[-1])), [change(one) for one in sequences], START)


def test_a_hole_before_a_batch_is_seen() -> None:
    place = Destination("sink")
    place.apply(batch(BEGINNING, 1, 2), 1, 0.0)
    with pytest.raises(Violation, match=r"^hole: "):
        place.apply(batch(after("3"), 4), 1, 0.0)


def test_what_comes_twice_is_seen_where_it_must_not() -> None:
    more, once = Destination("more"), Destination("once", keeps_positions=True, writers={key(1): 1})
    for place in (more, once):
        place.apply(batch(BEGINNING, 1, 2), 1, 0.0)
    more.apply(batch(after("1"), 2), 1, 0.0)
    assert more.duplicates == 1
    with pytest.raises(Violation, match=r"^twice: "):
        once.apply(batch(after("1"), 2), 1, 0.0)


def test_an_item_that_goes_back_is_seen_and_a_redelivery_is_none() -> None:
    place = Destination("sink")
    place.apply(batch(BEGINNING, 1, 3), 1, 0.0)
    place.apply(batch(BEGINNING, 1, 3), 2, 0.0)
    with pytest.raises(Violation, match=r"^order: "):
        place.apply(batch(after("1"), 2), 2, 0.0)


def test_a_save_by_a_fenced_off_owner_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store takes it, as one whose saves are not conditional."""

    def anyones(self: MemoryStore, lease: Lease) -> Lease:
        return lease

    run = Run(small_plan(1, writing=60.0, changes=90, suspensions=(Suspension(10.0, 30.0, False),)))
    assert drive(run) is None
    assert run.totals.zombies == 1
    monkeypatch.setattr(MemoryStore, "_owned", anyones)
    violation = drive(Run(run.plan))
    assert violation is not None
    assert violation.kind == "save by a fenced-off owner"


def test_a_gap_excuses_what_the_service_has_no_more_and_nothing_else() -> None:
    """Trimmed up to a hundred seconds late: what is a day old, and still there, is owed."""
    day = 50.0
    plan = small_plan(
        1,
        closings=0,
        gaps=True,
        behaviour=replace(WEATHER, retention_seconds=day, trim_late_seconds=100.0),
        settings=replace(QUICK, retention_seconds=day, long_ago_seconds=day * 23 / 24, on_gap="skip"),
    )
    run = Run(replace(plan, writes=tuple(replace(write, at=write.at + 6.0) for write in plan.writes)))
    run.schedule()
    run.start()
    run.time.advance(BEGIN + 5.0)
    run.pipeline.kill()
    run.time.advance(BEGIN + day + 12.0)
    run.start()
    run.time.advance(BEGIN + day + 20.0)
    record = run.truth.records[-1]
    assert {gap.shard for gap in run.pipeline.saved.gaps} == {record.shard}
    assert record.written_at + day < run.time.now
    assert (record.is_trimmed, run.checks.owes("sink0", record)) == (False, True)
    run.time.advance(BEGIN + day + 115.0)
    run.truth.update()
    assert (record.is_trimmed, run.checks.owes("sink0", record)) == (True, False)


@pytest.mark.parametrize(("splits", "rollovers"), [(3, 0), (1, 2), (0, 3)])
def test_a_split_counts_once(splits: int, rollovers: int) -> None:
    closings = [True] * splits + [False] * rollovers
    reshapes = tuple(Reshape(1.0 + number, 0, split, 0.0) for number, split in enumerate(closings))
    totals = Run(small_plan(1, writing=6.0, reshapes=reshapes)).drive()
    assert (totals.splits, totals.rollovers) == (splits, rollovers)


@pytest.mark.parametrize(
    ("changes", "rollovers", "splits", "faults", "redelivered", "counts"),
    [
        (500, 2, 1, 5, 1, True),
        (499, 2, 1, 5, 1, False),
        (500, 1, 1, 5, 1, False),
        (500, 2, 1, 4, 1, False),
        (500, 2, 1, 5, 0, False),
    ],
)
def test_a_seed_in_which_too_little_happens_does_not_count(
    changes: int, rollovers: int, splits: int, faults: int, redelivered: int, counts: bool
) -> None:
    totals = Totals(changes=changes, rollovers=rollovers, splits=splits, redelivered=redelivered)
    totals.faults["throttled"] = faults
    assert totals.counts is counts


@pytest.fixture
def ends_that_raise(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Reading.page

    def page(self: Reading, event: PageRead, entry: ShardEntry) -> tuple[Batch, frozenset[str]] | None:
        if event.page.next_iterator is None:
            raise KeyError("the end")
        return whole(self, event, entry)

    monkeypatch.setattr(Reading, "page", page)


@pytest.mark.usefixtures("ends_that_raise")
def test_an_engine_that_raises_is_traced_and_shrunk_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert replay(1) == 1
    told = capsys.readouterr()
    assert "PageRead" in told.out
    assert "VIOLATION KeyError" in told.out
    assert "in page" in told.err
    shrunk = shrink(plan_of(1), most_runs=40)
    assert len(shrunk.smallest.plan.writes) < len(shrunk.first.plan.writes)
    assert "VIOLATION KeyError" in "\n".join(report(shrunk))
