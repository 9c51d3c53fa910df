"""Ends every test run with what was proved on running pipelines, also where the tests pass.

A plugin, since a `conftest.py` in here would not be heard where tests run in several processes.
"""

import os
from collections.abc import Callable
from random import SystemRandom

import pytest

PROPERTY = "proved"

Proof = Callable[[str], None]


@pytest.fixture
def proof(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> Proof:
    """Notes what was proved, for the end of the run and for a failure's report."""

    def note(text: str) -> None:
        record_property(PROPERTY, f"{request.node.name}: {text}")
        print(text)

    return note


@pytest.fixture
def seed(proof: Proof) -> int:
    """Another one in each run, unless CDC_SEED names it."""
    chosen = int(os.environ.get("CDC_SEED") or SystemRandom().randrange(10**6))
    proof(f"CDC_SEED={chosen}")
    return chosen


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [
        report
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "teardown"
    ]
    lines = [str(text) for report in reports for name, text in report.user_properties if name == PROPERTY]
    if lines:
        terminalreporter.section("proved on running pipelines", "=", bold=True)
        for line in lines:
            terminalreporter.line(line)
