"""`cdc check`, where nothing has to be called."""

from collections.abc import Sequence

import pytest

from cdc.connector import (
    SOURCE_WRITE_UNITS,
    Access,
    AwsAccess,
    ConfigModel,
    Estimate,
    Note,
    Seen,
    Statement,
    arn_start,
)
from cdc.core.world import Settings
from cdc.errors import CdcError, ErrorKind
from cdc.runtime.checks import parts
from cdc.runtime.checks.access import Permissions
from cdc.runtime.checks.headroom import _note
from cdc.runtime.checks.simulation import principal_of
from connectors.dynamodb_streams.probe import RELIST_SECONDS, hours
from connectors.kafka.config import KafkaConfig
from connectors.kafka.probe import _cleanup, _replication, _sizes

ROLE = "arn:aws:iam::111111111111:role/path/reader"


class Nothing(ConfigModel):
    """A part that calls nothing at AWS."""


@pytest.mark.parametrize(
    ("access", "start"),
    [
        ({"region": "eu-west-1"}, "arn:aws:dynamodb:eu-west-1:*:"),
        ({}, "arn:aws:dynamodb:*:*:"),
        ({"region": "cn-north-1"}, "arn:aws-cn:dynamodb:cn-north-1:*:"),
        ({"region": "eu-west-1", "role_arn": ROLE}, "arn:aws:dynamodb:eu-west-1:111111111111:"),
        (
            {"role_arn": "arn:aws-us-gov:iam::111111111111:role/reader"},
            "arn:aws-us-gov:dynamodb:*:111111111111:",
        ),
    ],
)
def test_an_arn_says_what_the_configuration_says(access: dict[str, str], start: str) -> None:
    assert arn_start(AwsAccess.model_validate(access), "dynamodb") == start


@pytest.mark.parametrize(
    ("caller", "role", "principal"),
    [
        ("arn:aws:sts::1:assumed-role/reader/session", None, "arn:aws:iam::1:role/reader"),
        ("arn:aws-cn:sts::1:assumed-role/reader/session", None, "arn:aws-cn:iam::1:role/reader"),
        ("arn:aws:sts::1:assumed-role/reader/session", ROLE, ROLE),
        ("arn:aws:iam::1:user/path/ann", None, "arn:aws:iam::1:user/path/ann"),
        ("arn:aws:iam::1:root", None, None),
        ("arn:aws:sts::1:federated-user/ann", None, None),
    ],
)
def test_whose_policies_count(caller: str, role: str | None, principal: str | None) -> None:
    assert principal_of(caller, role) == principal


STATEMENTS = (Statement("Tables", ("s:Read", "s:Write"), ("arn:one", "arn:two"), "nothing works"),)


def permissions(*calls: Access) -> Permissions:
    return Permissions(Nothing(), STATEMENTS, calls)


def test_a_verdict_is_of_one_action_on_one_resource() -> None:
    found = permissions(
        Access("s:Read", "arn:one", allowed=True), Access("s:Write", "arn:two", allowed=False)
    ).reports()
    assert [(one.action, one.resource, one.verdict) for one in found] == [
        ("s:Read", "arn:one", "verified"),
        ("s:Read", "arn:two", "not-verifiable"),
        ("s:Write", "arn:one", "not-verifiable"),
        ("s:Write", "arn:two", "denied"),
    ]


def test_a_refused_call_and_what_it_lacks_are_one_finding() -> None:
    denied = list(permissions(Access("s:Read", "arn:one", allowed=False)).denied())
    seen: list[Seen] = [
        CdcError(ErrorKind.ACCESS_DENIED, "Read of table one: AccessDeniedException"),
        "a line",
    ]
    refused, line = parts._findings(seen, denied)
    assert (refused.level, line.level) == ("problem", "info")
    assert '"Action": ["s:Read"]' in refused.remedy
    assert '"Resource": ["arn:one"]' in refused.remedy


def test_a_refusal_that_no_error_tells_is_a_finding_of_its_own() -> None:
    denied = list(permissions(Access("s:Read", "arn:one", allowed=False)).denied())
    (found,) = parts._findings([], denied)
    assert found.level == "problem"
    assert found.text == "not allowed: s:Read on arn:one: nothing works"


def test_units_a_day_only_where_the_source_tells_its_own() -> None:
    a_unit = Estimate("write units", 1, 4, "write unit of the source", "why")
    assert list(parts._estimates([a_unit], [])) == []
    (a_day,) = parts._estimates([a_unit], [Estimate(SOURCE_WRITE_UNITS, 10, 10, "day", "")])
    assert (a_day.low, a_day.high, a_day.per) == (10, 40, "day")


@pytest.mark.parametrize(
    ("seconds", "level", "text"),
    [
        (12 * 3600 + 600, "info", "12:10 h until"),
        (11 * 3600 + 59, "warning", "11:00 h until"),
        (1, "warning", "0:00 h until"),
        (0, "warning", "a gap is coming"),
        (-5, "warning", "a gap is coming"),
    ],
)
def test_the_time_that_is_left(seconds: float, level: str, text: str) -> None:
    found = _note(seconds)
    assert found.level == level
    assert text in found.text
    assert bool(found.remedy) == (level == "warning")


def test_hours_and_minutes() -> None:
    assert hours(12 * 3600 + 10 * 60 + 59) == "12:10"


def test_the_estimates_know_how_often_a_run_lists() -> None:
    assert Settings().relist_seconds == RELIST_SECONDS


def levels(seen: Sequence[object]) -> list[str]:
    return [one.level if isinstance(one, Note) else "info" for one in seen]


@pytest.mark.parametrize(
    ("replicas", "least", "expected"),
    [(3, "2", "info"), (2, "2", "warning"), (1, "1", "warning"), (3, "1", "warning"), (1, "2", "problem")],
)
def test_replicas_of_a_topic(replicas: int, least: str, expected: str) -> None:
    assert levels(list(_replication("topic x", replicas, {"min.insync.replicas": least}))) == [expected]


@pytest.mark.parametrize(
    ("policy", "tombstones", "expected"),
    [
        ("compact", True, "info"),
        ("compact,delete", False, "warning"),
        ("delete", True, "info"),
        ("delete", False, "info"),
    ],
)
def test_cleanup_of_a_topic(policy: str, tombstones: bool, expected: str) -> None:
    config = KafkaConfig.model_validate(
        {"name": "bus", "type": "kafka", "bootstrap_servers": "x", "tombstones": tombstones}
    )
    assert levels(list(_cleanup(config, "topic x", {"cleanup.policy": policy}))) == [expected]


@pytest.mark.parametrize(
    ("topic", "client", "expected"),
    [
        (1_048_588, 1_000_000, "info"),
        (819_199, 1_000_000, "warning"),
        (5_000_000, 500_000, "warning"),
        (5_000_000, 5_000_000, "info"),
    ],
)
def test_sizes_of_messages(topic: int, client: int, expected: str) -> None:
    seen = list(_sizes("topic x", {"max.message.bytes": str(topic)}, client))
    assert levels(seen) == [expected]
    assert f"up to {min(topic, client):,} bytes" in str(seen[0])
