"""A failing seed is made as small as it can be. Here the engine is broken on purpose."""

import pytest

from cdc.core.lineage import Lineage, ShardEntry
from cdc.core.messages import PageRead
from cdc.core.reading import Reading
from cdc.model import Batch, Page
from tests.sim.engine.profiles import plan_of
from tests.sim.engine.shrink import Shrunk, report, shrink, traced
from tests.sim.engine.small import small_plan


@pytest.fixture
def children_that_wait_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def may_begin(self: Lineage, entry: ShardEntry, sink: str) -> bool:
        return self.complete and self.begun

    monkeypatch.setattr(Lineage, "may_begin", may_begin)


@pytest.fixture
def last_pages_thrown_away(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Reading.page

    def page(self: Reading, event: PageRead, entry: ShardEntry) -> tuple[Batch, frozenset[str]] | None:
        if event.page.next_iterator is None:
            event = PageRead(event.reader, Page(event.page.body, [], None))
        return whole(self, event, entry)

    monkeypatch.setattr(Reading, "page", page)


def small(seed: int) -> Shrunk:
    shrunk = shrink(plan_of(seed), most_runs=150)
    first, smallest = shrunk.first, shrunk.smallest
    assert (smallest.violation.kind, smallest.violation.sink) == (first.violation.kind, first.violation.sink)
    return shrunk


@pytest.mark.usefixtures("last_pages_thrown_away")
def test_a_lost_page_shrinks_to_few_writes_and_one_sink() -> None:
    shrunk = small(1)
    plan = shrunk.smallest.plan
    assert shrunk.smallest.violation.kind == "passed over"
    assert len(plan.writes) <= 3
    assert len(plan.sinks) == 1
    assert not plan.dooms
    assert not plan.stops
    lines, whole = traced(shrunk.smallest)
    before, _ = traced(shrunk.first)
    assert len(lines) < whole < len(before), "what is left is less than what concerned the violation before"
    assert len(lines) < 40
    text = "\n".join(report(shrunk))
    assert "VIOLATION passed over" in text
    assert "PageRead" in text
    assert "Write" in text
    assert "of other items" not in text


@pytest.mark.usefixtures("children_that_wait_for_nobody")
def test_a_child_that_is_early_shrinks_to_one_closing() -> None:
    plan = small(1).smallest.plan
    assert len(plan.writes) <= 3
    assert len(plan.reshapes) <= 1
    assert len(plan.sinks) == 1


def test_what_breaks_no_promise_cannot_be_shrunk() -> None:
    with pytest.raises(ValueError, match="breaks no promise"):
        shrink(small_plan(2))
