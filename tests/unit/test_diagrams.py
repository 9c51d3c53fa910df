import re
from enum import StrEnum
from pathlib import Path

import pytest

from cdc.core.lineage import LANE, LaneEvent, LaneState
from cdc.core.world import SinkEvent, SinkState
from tests.diagrams import PAGE, diagram, meanings, page

CORE = Path(__file__).parents[2] / "cdc/core"


def test_the_page_shows_the_tables_as_they_are() -> None:
    text = PAGE.read_text()
    assert text.count("```mermaid") == 2
    assert text == page(text), "python -m tests.diagrams"


def test_a_way_that_the_table_has_is_drawn_and_one_that_it_has_not_is_not() -> None:
    drawn = diagram(LANE, LaneState.WAITING)
    assert "    waiting --> unclaimed: parent finished\n" in drawn
    assert "    finished --> [*]\n" in drawn
    assert "sink lost" not in next(line for line in drawn.splitlines() if "waiting -->" in line)
    without = {pair: state for pair, state in LANE.items() if pair[1] is not LaneEvent.PARENT_FINISHED}
    assert "parent finished" not in diagram(without, LaneState.WAITING)


@pytest.mark.parametrize("kind", [LaneState, LaneEvent, SinkState, SinkEvent])
def test_every_state_and_event_says_what_it_means(kind: type[StrEnum]) -> None:
    assert all(meanings(kind)[member].endswith(".") for member in kind)


def test_each_module_of_the_engine_has_its_job_on_the_page() -> None:
    rows = re.findall(r"^\| (`\w+\.py`.*?) \|", PAGE.read_text(), re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`(\w+\.py)`", row)]
    assert sorted(named) == sorted(file.name for file in CORE.glob("[a-z]*.py"))
