"""Each promise names tests that show it, and each test that is named is there."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/guarantees.md").read_text()
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE))
PROMISES = {title: text for title, text in SECTIONS.items() if re.match(r"P\d\. ", title)}
NAMED = re.compile(r"`((?:tests|cdc/testing)/[\w./*-]+?)(?:::(\w+))?`")


@cache
def names_in(file: Path) -> frozenset[str]:
    nodes = ast.walk(ast.parse(file.read_text()))
    return frozenset(
        node.name for node in nodes if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    )


def missing(text: str) -> Iterator[str]:
    for path, test in NAMED.findall(text):
        files = sorted(ROOT.glob(path))
        if not files or (test and not any(test in names_in(file) for file in files)):
            yield f"{path}::{test}" if test else path


def test_every_test_that_is_named_is_there() -> None:
    assert not list(missing(PAGE))
    assert list(missing("`tests/unit/test_guarantees.py::test_nothing`, `tests/unit/test_nowhere.py`")) == [
        "tests/unit/test_guarantees.py::test_nothing",
        "tests/unit/test_nowhere.py",
    ]


def test_the_promises_are_all_there() -> None:
    assert [title[:2] for title in PROMISES] == [f"P{number}" for number in range(1, 9)]
    assert re.findall(r"^\| (P\d) \|", PAGE, re.MULTILINE) == [title[:2] for title in PROMISES]


@pytest.mark.parametrize("title", [*PROMISES, "Two processes"])
def test_a_promise_names_its_tests_and_its_limits(title: str) -> None:
    text = SECTIONS[title]
    shown, _, limits = text.partition("*Not promised:*")
    assert "*Shown by*" in shown
    assert [test for _, test in NAMED.findall(shown) if test], "at least one test by its name"
    assert limits.strip()


def test_every_make_that_is_named_is_a_target() -> None:
    targets = re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = set(re.findall(r"`make ([a-z0-9-]+)", PAGE))
    assert {"coverage", "conformance"} <= named <= set(targets)


def test_every_scenario_shows_a_promise() -> None:
    scenarios = {str(file.relative_to(ROOT)) for file in (ROOT / "tests/conformance").glob("test_[0-9]*.py")}
    assert len(scenarios) == 20
    assert scenarios <= {path for path, _ in NAMED.findall(PAGE)}
