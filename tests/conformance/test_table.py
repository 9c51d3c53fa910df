"""The suite distinguishes: what it says of the naive loop is what its tests assert, and what the page shows."""

import re
from importlib import import_module
from pathlib import Path

from tests.conformance.expected import NAIVE, TITLES, table
from tests.conformance.oracle import Kind
from tests.conformance.scenario import CASES

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs/conformance.md"


def test_the_page_shows_the_table() -> None:
    shown = re.search(r"<!-- table -->\n(.*?)<!-- end -->", PAGE.read_text(), re.DOTALL)
    assert shown is not None
    assert shown[1].strip() == table().strip(), "write it anew: python -m tests.conformance.expected"


def test_every_row_is_a_test_and_every_test_a_row() -> None:
    modules = sorted(HERE.glob("test_[0-9]*.py"))
    for module in modules:
        import_module(f"tests.conformance.{module.stem}")
    assert sorted(int(module.name[5:7]) for module in modules) == sorted(NAIVE)
    assert {number: sorted(cases) for number, cases in CASES.items()} == {
        number: sorted(rows) for number, rows in NAIVE.items()
    }
    assert list(TITLES) == list(NAIVE)


def test_the_suite_tells_the_naive_loop_from_the_service() -> None:
    found = {kind for rows in NAIVE.values() for kinds in rows.values() for kind in kinds or ()}
    assert {Kind.LOST, Kind.HUNG, Kind.REORDERED, Kind.DUPLICATED, Kind.SILENT_GAP} <= found
