"""The document of `cdc check`, and what a terminal shows of it."""

import json
from pathlib import Path

import pytest

import schemas
from cdc.observe.check import (
    CheckReport,
    EstimateReport,
    FindingReport,
    PartReport,
    PermissionReport,
    schema,
)
from cdc.observe.text import print_check

SCHEMAS = Path(schemas.__file__).parent


def part(name: str, *findings: tuple[str, str, str]) -> PartReport:
    return PartReport(
        part=name,
        ok=all(level != "problem" for level, _, _ in findings),
        findings=tuple(
            FindingReport(level=level, text=text, remedy=remedy)  # type: ignore[arg-type]
            for level, text, remedy in findings
        ),
        permissions=(
            PermissionReport(
                action="dynamodb:PutItem",
                resource="arn:aws:dynamodb:us-east-1:*:table/orders",
                statement="Replica",
                verdict="not-verifiable",
                why="nothing is written",
            ),
        ),
        policy={"Version": "2012-10-17", "Statement": []},
        assume_role_policy=None,
        estimates=(
            EstimateReport(what="write units", low=1e6, high=4e6, per="million changes", basis="1 KB [each]"),
            EstimateReport(what="calls", low=1440, high=1440, per="day", basis=""),
        ),
    )


REPORT = CheckReport(
    version=1,
    pipeline="orders",
    ok=False,
    parts=(
        part("source", ("info", "there", ""), ("warning", "the clock [is] off", "set the clock")),
        part("sink dr", ("problem", "no table", "create it")),
    ),
)


def test_the_committed_schema_is_that_of_the_code() -> None:
    committed = (SCHEMAS / "check.schema.json").read_text()
    assert committed == json.dumps(schema(), indent=2) + "\n", (
        "write it anew: python -c 'import json; from cdc.observe.check import schema; "
        "print(json.dumps(schema(), indent=2))' > schemas/check.schema.json"
    )


def test_problems_come_with_their_parts() -> None:
    assert [(name, one.text) for name, one in REPORT.problems()] == [("sink dr", "no table")]


def test_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    print_check(REPORT)
    said = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "source ok" in said
    assert "warning the clock [is] off (remedy: set the clock)" in said
    assert "sink dr problem no table" in said
    assert (
        "sink dr dynamodb:PutItem not verifiable without writing arn:aws:dynamodb:us-east-1:*:table/orders"
        in said
    )
    assert "sink dr write units 1,000,000 to 4,000,000 million changes 1 KB [each]" in said
    assert "sink dr calls 1,440 day" in said
