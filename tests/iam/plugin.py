"""Writes down what the connectors of every test call at AWS's stand-ins, and fails the run for a call that the policies in
`deploy/iam` do not allow.

All connectors in the test's process send through one class of botocore's; they say in `User-Agent` who they are. What
processes call that tests start is seen by `tests/integration/iam`, whose pipelines live behind a recorder.
"""

import json
import re
from collections.abc import Mapping
from functools import wraps
from typing import Any

import pytest
from botocore.httpsession import URLLib3Session

from tests.iam.actions import needed
from tests.iam.calls import call_of
from tests.iam.roles import FOLDER, ROWS

_ROLE = re.compile(r"dynamodb-cdc/(\w+)")
FILES: Mapping[str, tuple[str, ...]] = {
    "source": ("source.json",),
    "state": tuple(row.file for row in ROWS if row.part == "state"),
    "replica": tuple(row.file for row in ROWS if row.part == "dr"),
    "lake": tuple(row.file for row in ROWS if row.part == "lake"),
}
"""By the name in `User-Agent`: the policies that a role has, one or the other."""

_called: set[tuple[str, str]] = set()
"""(role, action), of this process; in the controlling process of all of them."""


def pytest_configure(config: pytest.Config) -> None:
    send = URLLib3Session.send

    @wraps(send)
    def recording(self: Any, request: Any) -> Any:
        _record(request)
        return send(self, request)

    URLLib3Session.send = recording  # type: ignore[method-assign]
    config.add_cleanup(lambda: setattr(URLLib3Session, "send", send))


def _record(request: Any) -> None:
    agent = request.headers.get("User-Agent", b"")
    role = _ROLE.search(agent.decode() if isinstance(agent, bytes) else agent)
    if role is None or role[1] not in FILES:
        return
    body = request.body.encode() if isinstance(request.body, str) else request.body or b""
    call = call_of(request.method, request.url, dict(request.headers), body)
    _called.update((role[1], one.action) for one in needed(call))


def allowed() -> set[tuple[str, str]]:
    return {
        (role, action)
        for role, names in FILES.items()
        for name in names
        for statement in json.loads((FOLDER / name).read_text("utf-8"))["Statement"]
        for action in statement["Action"]
    }


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Of pytest-xdist: a worker hands over what it saw."""
    _called.update((role, action) for role, action in getattr(node, "workeroutput", {}).get("iam", ()))


def pytest_sessionfinish(session: pytest.Session) -> None:
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["iam"] = sorted(_called)
    elif _called - allowed():
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    missing = sorted(_called - allowed())
    if missing:
        terminalreporter.section("CALLED AND NOT ALLOWED BY deploy/iam", "=", red=True, bold=True)
        for role, action in missing:
            terminalreporter.line(f"{role}: {action}")
    elif _called:
        roles = ", ".join(sorted({role for role, _ in _called}))
        terminalreporter.line(
            f"calls to AWS of this run: {len(_called)} actions of {roles}, all allowed by deploy/iam"
        )
