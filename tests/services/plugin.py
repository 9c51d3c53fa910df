"""Ends every test run with what it proved on real services, and what it skipped and why.

Enabled by `pytest_plugins = ["tests.services.plugin"]` in `tests/conftest.py`; brings the fixtures along.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import pytest

from tests.services import environment
from tests.services.environment import SERVICES_BY_FIXTURE, Service
from tests.services.unavailable import UnavailableError
from tests.services.way import decision

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
    outcomes, skipped = _count(terminalreporter.stats)
    if not skipped and not any(outcomes.values()):
        return
    terminalreporter.section("real services", "=", bold=True)
    try:
        terminalreporter.line(str(decision()), bold=True)
    except UnavailableError as unavailable:
        terminalreporter.line(f"services: none: {unavailable}", red=True, bold=True)
    for service, counts in outcomes.items():
        told = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
        address = environment.address(service)
        if address is not None and counts.total() > counts["skipped"]:
            terminalreporter.line(f"{service.name} at {address}: {told}", green=not counts["failed"])
        elif counts:
            terminalreporter.line(
                f"{service.name} NOT USED, NOTHING IS PROVED ON IT: {told}", red=True, bold=True
            )
        else:
            terminalreporter.line(f"{service.name}: no test of this run asks for it")
    for reason, count in skipped.most_common():
        terminalreporter.line(f"SKIPPED {count}: {reason}", yellow=True, bold=True)


def _count(stats: Mapping[str, Sequence[object]]) -> tuple[dict[Service, Counter[str]], Counter[str]]:
    """Tests by outcome for each service, and skipped tests by reason."""
    outcomes: dict[Service, Counter[str]] = {service: Counter() for service in SERVICES_BY_FIXTURE.values()}
    skipped: Counter[str] = Counter()
    services = {service.name: service for service in outcomes}
    for outcome in OUTCOMES:
        for report in stats.get(outcome, []):
            if outcome == "skipped" and isinstance(report, pytest.TestReport | pytest.CollectReport):
                skipped[_skip_reason(report)] += 1
            if isinstance(report, pytest.TestReport):
                for name, value in report.user_properties:
                    if name == PROPERTY and isinstance(value, str):
                        outcomes[services[value]][outcome] += 1
    return outcomes, skipped


def _skip_reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    # A skip's longrepr is (path, line, reason).
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return reason.removeprefix("Skipped: ")
