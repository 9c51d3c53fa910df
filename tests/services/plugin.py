"""Ends every test run with what it proved on real services, and what it skipped and why.

Enabled by `pytest_plugins = ["tests.services.plugin"]` in `tests/conftest.py`; brings the fixtures along.
"""

from collections import Counter

import pytest

from tests.services import environment
from tests.services.fixtures import SERVICES_BY_FIXTURE

pytest_plugins = ["tests.services.fixtures"]

PROPERTY = "real service"
OUTCOMES = ("passed", "failed", "error", "skipped")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    # On the item, hence in its reports: they reach the process that prints, also from pytest-xdist's workers.
    for fixture, service in SERVICES_BY_FIXTURE.items():
        if fixture in getattr(item, "fixturenames", ()):
            item.user_properties.append((PROPERTY, service.name))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    outcomes: dict[str, Counter[str]] = {service.name: Counter() for service in SERVICES_BY_FIXTURE.values()}
    skipped: Counter[str] = Counter()
    for outcome in OUTCOMES:
        for report in terminalreporter.stats.get(outcome, []):
            if outcome == "skipped":
                skipped[_skip_reason(report)] += 1
            for name, value in getattr(report, "user_properties", ()):
                if name == PROPERTY:
                    outcomes[value][outcome] += 1
    if not skipped and not any(outcomes.values()):
        return
    terminalreporter.section("real services", "=", bold=True)
    for service in SERVICES_BY_FIXTURE.values():
        counts = outcomes[service.name]
        told = ", ".join(f"{counts[outcome]} {outcome}" for outcome in OUTCOMES if counts[outcome])
        ran = counts.total() > counts["skipped"]
        if ran:
            terminalreporter.line(f"{service.name} at {environment.address(service)}: {told}", green=True)
        elif counts:
            terminalreporter.line(
                f"{service.name} NOT USED, NOTHING IS PROVED ON IT: {told}", red=True, bold=True
            )
        else:
            terminalreporter.line(f"{service.name}: no test of this run asks for it")
    for reason, count in skipped.most_common():
        terminalreporter.line(f"SKIPPED {count}: {reason}", yellow=True, bold=True)


def _skip_reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    # A skip's longrepr is (path, line, reason).
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return reason.removeprefix("Skipped: ")
