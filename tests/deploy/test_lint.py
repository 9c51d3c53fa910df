"""`deploy/` judged by the tools that those who use it would take."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.deploy.tools import DEPLOY, compose_schema, hadolint, promtool, systemd_analyze

RULES = DEPLOY / "alerts/dynamodb-cdc.rules.yaml"
Tool = Callable[[Callable[[], Any]], Any]


def _run(*command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_the_dockerfile(tool: Tool) -> None:
    done = _run(tool(hadolint), "--failure-threshold", "info", str(DEPLOY / "Dockerfile"))
    assert done.returncode == 0, done.stdout


def test_the_alerts_are_rules(tool: Tool) -> None:
    done = _run(tool(promtool), "check", "rules", str(RULES))
    assert done.returncode == 0, done.stderr
    assert f"{RULES.read_text().count('- alert:')} rules found" in done.stdout


def test_the_alerts_say_what_they_are_for(tool: Tool) -> None:
    done = _run(tool(promtool), "test", "rules", str(DEPLOY / "alerts/dynamodb-cdc.test.yaml"))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "break_", ["> 900", "== 0", 'state="halted"', "< 12 * 3600", "undecided > 0", "< 3600", "requested > 0"]
)
def test_a_changed_alert_fails_its_test(tool: Tool, tmp_path: Path, break_: str) -> None:
    other = {
        "> 900": "> 90000",
        "== 0": "== 2",
        'state="halted"': 'state="waiting"',
        "< 12 * 3600": "< 13 * 3600",
        "undecided > 0": "undecided > 1",
        "< 3600": "< 36000",
        "requested > 0": "requested > 2",
    }
    text = RULES.read_text()
    assert break_ in text
    (tmp_path / RULES.name).write_text(text.replace(break_, other[break_]))
    (tmp_path / "test.yaml").write_text((DEPLOY / "alerts/dynamodb-cdc.test.yaml").read_text())
    assert _run(tool(promtool), "test", "rules", str(tmp_path / "test.yaml")).returncode == 1


def test_the_dashboards_queries_are_promql(tool: Tool, tmp_path: Path) -> None:
    """As recording rules, since there is no other way to have one parsed without a server."""
    text = (DEPLOY / "grafana/dynamodb-cdc.json").read_text()
    found = re.findall(r'"expr": "((?:[^"\\]|\\.)*)"', text)
    assert found
    queries = [one.replace('\\"', '"').replace("$__rate_interval", "5m") for one in found]
    rules = [{"record": f"panel:{number}", "expr": query} for number, query in enumerate(queries)]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    done = _run(tool(promtool), "check", "rules", str(tmp_path / "rules.yaml"))
    assert done.returncode == 0, done.stderr


def test_the_compose_file(tool: Tool) -> None:
    schema = tool(compose_schema)
    validator = jsonschema.validators.validator_for(schema)(schema)
    assert not [
        error.message
        for error in validator.iter_errors(yaml.safe_load((DEPLOY / "compose.yaml").read_text()))
    ]


def test_the_unit(tool: Tool, tmp_path: Path) -> None:
    unit = (DEPLOY / "systemd/dynamodb-cdc@.service").read_text()
    assert "ExecStart=/opt/dynamodb-cdc/bin/cdc run " in unit
    here = tmp_path / "dynamodb-cdc@.service"
    here.write_text(unit.replace("/opt/dynamodb-cdc/bin/cdc", "/bin/true"))
    done = _run(tool(systemd_analyze), "verify", "--man=no", f"{tmp_path}/dynamodb-cdc@orders.service")
    complaints = [line for line in done.stderr.splitlines() if "dynamodb-cdc" in line]
    assert (done.returncode, complaints) == (0, [])
    secure = _run(tool(systemd_analyze), "security", "--offline=yes", "--threshold=25", str(here))
    assert secure.returncode == 0, secure.stdout[-2000:]
