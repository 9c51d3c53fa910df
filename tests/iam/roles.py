"""The policies of `deploy/iam`: one row each. Written by `python -m tests.iam`; a test compares."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from cdc.config import Config, load
from cdc.connector import SourceContext, Statement
from cdc.runtime.assembly import sink_context
from cdc.runtime.checks.access import as_policy, assume_role
from cdc.runtime.checks.places import state_permissions
from cdc.runtime.clock import SystemClock
from cdc.runtime.workers import Workers

FOLDER = Path(__file__).parents[2] / "deploy" / "iam"
EXAMPLE = FOLDER / "example.yaml"


@dataclass(frozen=True)
class Row:
    file: str
    part: str
    """`source`, `state`, or the name of a sink of the example."""
    changes: Mapping[str, Any] = field(default_factory=dict)
    """What this file's configuration has otherwise than the example: keys of the part."""


ROWS = (
    Row("source.json", "source"),
    Row("state.json", "state"),
    Row("state-table-exists.json", "state", {"create": False}),
    Row("sink-replica.json", "dr"),
    Row("sink-replica-tombstones-exist.json", "dr", {"tombstones": {"create": False}}),
    Row("sink-lake-s3.json", "lake"),
    Row("sink-lake-s3-acl.json", "lake", {"acl": "bucket-owner-full-control"}),
    Row(
        "sink-lake-s3-kms.json",
        "lake",
        {"encryption": {"type": "sse-kms", "kms_key_id": "arn:aws:kms:eu-west-1:000000000000:key/KEY_ID"}},
    ),
)

CHECK_ACTIONS = {
    "dynamodb:DescribeKinesisStreamingDestination": ("arn:aws:dynamodb:eu-west-1:000000000000:table/orders",),
    "lambda:ListEventSourceMappings": ("*",),
    "cloudwatch:GetMetricData": ("*",),
    "iam:SimulatePrincipalPolicy": (
        "arn:aws:iam::000000000000:role/orders-cdc-source",
        "arn:aws:iam::111111111111:role/orders-cdc-replica",
        "arn:aws:iam::000000000000:role/orders-cdc-lake",
        "arn:aws:iam::000000000000:role/orders-cdc-state",
    ),
}
"""What `cdc check` can tell more with; nothing of it is needed by a run."""


def example() -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text("utf-8"))
    return parsed


def changed(*rows: Row) -> dict[str, Any]:
    """The example with the rows' changes."""
    document = example()
    for row in rows:
        part = document.get(row.part) or next(sink for sink in document["sinks"] if sink["name"] == row.part)
        part.update(row.changes)
    return document


def statements(row: Row) -> Sequence[Statement]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "pipeline.yaml"
        path.write_text(yaml.safe_dump(changed(row)), "utf-8")
        return statements_of(load(path), row.part)


def statements_of(config: Config, part: str) -> Sequence[Statement]:
    clock = SystemClock()
    if part == "state":
        return state_permissions(config)
    if part == "source":
        settings, connector = config.source_with_connector()
        return connector.permissions(settings, SourceContext(config.pipeline, clock, 1, _uncounted))
    workers = Workers()
    try:
        (found,) = [pair for pair in config.sinks_with_connectors() if pair[0].name == part]
        return found[1].permissions(found[0], sink_context(config, part, workers, clock, _uncounted))
    finally:
        workers.close(1.0)


def files() -> dict[str, dict[str, Any]]:
    """Every policy of the folder, by file name."""
    config = load(EXAMPLE)
    parts = (config.source_with_connector(), *config.sinks_with_connectors())
    roles = [*(settings for settings, _ in parts), config.state]
    arns = [arn for settings in roles for one in assume_role(settings) for arn in one.resources]
    assume = Statement("AssumeRole", ("sts:AssumeRole",), tuple(arns), "")
    found = {row.file: as_policy(statements(row)) for row in ROWS}
    found["assume-role.json"] = as_policy([assume])
    found["check.json"] = as_policy(
        [Statement(_sid(action), (action,), resources, "") for action, resources in CHECK_ACTIONS.items()]
    )
    return {name: policy for name, policy in found.items() if policy is not None}


def text(policy: Mapping[str, Any]) -> str:
    return json.dumps(policy, indent=2) + "\n"


def _sid(action: str) -> str:
    return "Check" + action.partition(":")[2]


def _uncounted(operation: str, outcome: str) -> None:
    """Nothing is called."""
