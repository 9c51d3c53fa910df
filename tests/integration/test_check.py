"""`cdc check` against an emulator behind a recorder that answers for the services beside it."""

import json
import re
import socket
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import jsonschema
import pytest
import yaml

import schemas
from cdc.config import load
from cdc.observe.check import CheckReport, PartReport, to_dict
from cdc.runtime.checks import check
from cdc.runtime.clock import SystemClock
from tests.command.folder import file_sink, tree, write
from tests.command.process import cdc, running
from tests.dynamodb_streams.canned_server import Reply, error
from tests.dynamodb_streams.tables import Tables, tables_at
from tests.iam.beside import Aws
from tests.iam.calls import Call
from tests.iam.recorder import recorder
from tests.replica.fixtures import aws_environment, moto_endpoint
from tests.services.server import free_port

__all__ = ["aws_environment", "moto_endpoint"]

SCHEMA = json.loads((Path(schemas.__file__).parent / "check.schema.json").read_text("utf-8"))
READS = re.compile(r"(Describe|Get|List|Head|Simulate)\w+")


@pytest.fixture(scope="module")
def tables(moto_endpoint: str) -> Iterator[Tables]:
    with tables_at(moto_endpoint) as found:
        yield found


@pytest.fixture
def aws(moto_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    with recorder(moto_endpoint) as front:
        monkeypatch.setenv("AWS_ENDPOINT_URL", front.url)
        yield Aws(front)


@pytest.fixture
def config(aws: Aws, tables: Tables, tmp_path: Path) -> Path:
    """A table with one change, a file and a replica; without `endpoint_url`, as at AWS itself."""
    source, copy = tables.create(), tables.create(view_type=None)
    tables.put(source)
    replica = {"name": "dr", "type": "replica", "region": "eu-west-1", "table": copy}
    path = write(tmp_path, "", source, [file_sink(), replica])
    path.write_text(path.read_text().replace("  endpoint_url: ''\n", ""))
    return path


def checked(path: Path) -> CheckReport:
    found = check(load(path), SystemClock())
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(json.dumps(to_dict(found))))
    return found


def part(report: CheckReport, name: str) -> PartReport:
    (found,) = [one for one in report.parts if one.part == name]
    return found


def texts(report: CheckReport, name: str, *levels: str) -> str:
    return "\n".join(one.text for one in part(report, name).findings if not levels or one.level in levels)


def verdicts(report: CheckReport, name: str) -> dict[tuple[str, str], str]:
    """By action and the last part of the resource."""
    return {
        (one.action.partition(":")[2], one.resource.rpartition(":")[2]): one.verdict
        for one in part(report, name).permissions
    }


def content_of(tables: Tables) -> dict[str, Any]:
    names = tables.client.list_tables()["TableNames"]
    return {
        name: (
            tables.client.describe_table(TableName=name)["Table"],
            tables.client.scan(TableName=name)["Items"],
        )
        for name in names
    }


def test_it_reads_and_changes_nothing(config: Path, aws: Aws, tables: Tables) -> None:
    files, before = tree(config.parent), content_of(tables)
    report = checked(config)
    assert report.ok, report.problems()
    assert {name for name in aws.front.operations() if not READS.fullmatch(name)} == set()
    assert {
        "GetRecords",
        "DescribeTable",
        "GetCallerIdentity",
        "SimulatePrincipalPolicy",
    } <= aws.front.operations()
    assert not aws.front.unknown
    assert tree(config.parent) == files
    assert content_of(tables) == before


def test_what_was_answered_is_verified_and_the_rest_simulated(config: Path, aws: Aws) -> None:
    aws.denied = {"dynamodb:ConditionCheckItem"}
    report = checked(config)
    assert set(verdicts(report, "source").values()) == {"verified"}
    assert {principal for principal, _ in aws.simulated} == {"arn:aws:iam::123456789012:role/pipeline"}
    assert all(":123456789012:table/" in resource for _, resource in aws.simulated), "of the caller's account"
    found = verdicts(report, "sink dr")
    side = "table/_cdc_orders_tombstones"
    assert found["DescribeTable", side] == "verified"
    assert found["PutItem", side] == "simulated-allowed"
    assert found["ConditionCheckItem", side] == "simulated-denied"
    assert report.ok, "a policy of the table itself may allow it"
    (warning,) = [one for one in part(report, "sink dr").findings if one.level == "warning"]
    assert json.loads(warning.remedy.partition(": ")[2]) == {
        "Sid": "Tombstones",
        "Effect": "Allow",
        "Action": ["dynamodb:ConditionCheckItem"],
        "Resource": ["arn:aws:dynamodb:eu-west-1:*:table/_cdc_orders_tombstones"],
    }


def test_a_caller_who_may_not_simulate_is_told(config: Path, aws: Aws) -> None:
    aws.simulates = False
    report = checked(config)
    assert report.ok
    assert verdicts(report, "sink dr")["PutItem", "table/_cdc_orders_tombstones"] == "not-verifiable"
    assert "not known (AccessDenied): what is not verifiable without writing" in texts(report, "sink dr")


def test_root_has_no_policies_to_simulate(config: Path, aws: Aws) -> None:
    aws.caller = "arn:aws:iam::123456789012:root"
    assert "is neither a user nor a role" in texts(checked(config), "sink dr")


def test_an_emulator_is_not_asked_for_other_services(
    config: Path, aws: Aws, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    config.write_text(
        config.read_text().replace("region: eu-west-1", f"region: eu-west-1\n  endpoint_url: {aws.front.url}")
    )
    report = checked(config)
    assert report.ok
    assert aws.front.operations() <= {"DescribeTable", "DescribeStream", "GetShardIterator", "GetRecords"}
    assert "not known (the endpoint is not AWS's): Lambda functions" in texts(report, "source")


@pytest.mark.parametrize("operation", ["DescribeTable", "DescribeStream", "GetShardIterator", "GetRecords"])
def test_what_is_denied_is_named_with_the_statement(config: Path, aws: Aws, operation: str) -> None:
    aws.answers[operation] = error("AccessDeniedException")
    aws.answers["DescribeTimeToLive"] = error("AccessDeniedException")
    report = checked(config)
    assert not report.ok
    denied = {one.action for one in part(report, "source").permissions if one.verdict == "denied"}
    assert denied == {f"dynamodb:{operation}"}
    (problem,) = [one for one in part(report, "source").findings if one.level == "problem"]
    statement = json.loads(problem.remedy.removeprefix("add to the policy: "))
    assert statement["Action"] == [f"dynamodb:{operation}"]
    assert problem.text.startswith(f"{operation} of ")


def test_wrong_credentials_are_not_a_missing_statement(config: Path, aws: Aws) -> None:
    aws.answers["DescribeTable"] = error("UnrecognizedClientException")
    report = checked(config)
    assert not report.ok
    assert "denied" not in {one.verdict for one in part(report, "source").permissions}
    assert "add to the policy" not in str(to_dict(report))


@pytest.mark.parametrize(
    ("ahead", "level", "says"),
    [
        (-30, "warning", r"clock is (29|30|31) s ahead of"),
        (30, "warning", r"clock is (29|30|31) s behind"),
        (-400, "problem", r"clock is (399|400|401) s ahead of .* are refused"),
        (400, "problem", r"clock is (399|400|401) s behind .* are refused"),
    ],
)
def test_the_clock_is_off(config: Path, aws: Aws, ahead: int, level: str, says: str) -> None:
    aws.front.ahead_seconds = ahead
    report = checked(config)
    assert re.search(says, texts(report, "source", level))
    assert re.search(says, texts(report, "sink dr", level))
    assert report.ok == (level == "warning")


def test_a_clock_that_is_right_is_not_mentioned(config: Path, aws: Aws) -> None:
    aws.front.ahead_seconds = 2
    assert "clock" not in texts(checked(config), "source")


@pytest.mark.parametrize(
    ("functions", "says"), [(["one"], "one reader is left"), (["one", "two"], "would be throttled")]
)
def test_lambda_functions_that_read_the_stream(
    config: Path, aws: Aws, functions: list[str], says: str
) -> None:
    aws.functions = functions
    report = checked(config)
    assert says in texts(report, "source", "warning")
    assert ", ".join(functions) in texts(report, "source", "warning")
    assert report.ok


def test_others_that_read_and_what_cannot_be_seen(config: Path, aws: Aws) -> None:
    said = texts(checked(config), "source")
    assert "1 Kinesis data stream(s) get its changes; they share no shard" in said
    assert "Kinesis Client Library cannot be seen" in said


def test_a_global_table(config: Path, aws: Aws, tables: Tables) -> None:
    described = tables.client.describe_table(TableName=load(config).source.tables[0])
    described["Table"]["Replicas"] = [{"RegionName": "eu-west-1"}, {"RegionName": "us-east-1"}]
    described.pop("ResponseMetadata")
    seen = json.dumps(described, default=lambda time: time.timestamp()).encode()
    aws.answers["DescribeTable"] = Reply(seen)
    text = texts(checked(config), "source", "warning")
    assert (
        "global table (replicas in us-east-1): the replication reads the stream too, one reader is left"
        in text
    )


def test_a_replica_that_is_its_own_source(config: Path, aws: Aws) -> None:
    table = load(config).source.tables[0]
    text = re.sub(r"table: orders-\w+", f"table: {table}", config.read_text())
    config.write_text(text)
    report = checked(config)
    assert "is the source table itself" in texts(report, "sink dr", "problem")


def test_the_estimates(config: Path, aws: Aws) -> None:
    """One shard, asked ten times a second."""
    found = {one.what: one for one in part(checked(config), "source").estimates}
    assert found["GetRecords calls"].low == 10 * 24 * 3600
    assert found["streams read request units"].low == found["GetRecords calls"].low
    assert found["DescribeTable calls"].high == 24 * 60
    (units,) = part(checked(config), "sink dr").estimates
    assert (units.per, units.low, units.high) == ("million changes", 1e6, 4e6)


def test_the_rate_of_writes_makes_them_units_a_day(config: Path, aws: Aws, moto_endpoint: str) -> None:
    client = boto3.client("cloudwatch", region_name="eu-west-1", endpoint_url=moto_endpoint)
    for hours_ago, units in ((1, 100.0), (5, 150.0), (30, 7000.0)):
        datum: Any = {
            "MetricName": "ConsumedWriteCapacityUnits",
            "Dimensions": [{"Name": "TableName", "Value": load(config).source.tables[0]}],
            "Timestamp": datetime.now(UTC) - timedelta(hours=hours_ago),
            "Value": units,
        }
        client.put_metric_data(Namespace="AWS/DynamoDB", MetricData=[datum])
    client.close()
    report = checked(config)
    a_day = [one for one in part(report, "sink dr").estimates if one.per == "day"]
    assert [(one.low, one.high) for one in a_day] == [(250, 1000)]
    assert "wrote 250 in the last 24 hours" in a_day[0].basis


def test_a_service_that_does_not_answer_is_asked_once(
    config: Path, aws: Aws, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two tables, one question: where there is no way to a service, each question takes its whole timeout."""
    tried: list[Call] = []

    def nothing(call: Call) -> Reply | None:
        tried.append(call)
        raise ConnectionResetError

    with recorder("http://127.0.0.1:9") as mute:
        mute.answer = nothing
        monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", mute.url)
        document = yaml.safe_load(config.read_text())
        document["source"]["tables"].append(tables.create())
        document["sinks"] = [file_sink()]
        config.write_text(yaml.safe_dump(document))
        report = checked(config)
    assert len(tried) == 1
    assert "not known (ConnectionClosedError): Lambda functions" in texts(report, "source")
    assert part(report, "source").ok


def test_the_token_service_under_its_own_name(
    config: Path, aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", nowhere)
    role = "arn:aws:iam::123456789012:role/reader"
    config.write_text(
        config.read_text().replace("region: eu-west-1", f"region: eu-west-1\n  role_arn: {role}")
    )
    report = checked(config)
    for name in ("source", "sink dr"):
        assert texts(report, name, "problem").startswith(f"AssumeRole of {role} at {nowhere}")
    assert part(report, "source").assume_role_policy == {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": "AssumeRole", "Effect": "Allow", "Action": ["sts:AssumeRole"], "Resource": [role]}
        ],
    }


def with_admin(config: Path, port: int) -> None:
    config.write_text(config.read_text().replace("port: 0", f"port: {port}"))


def test_a_busy_admin_port(config: Path, aws: Aws) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with_admin(config, port)
        report = checked(config)
    assert f"can't listen at 127.0.0.1:{port}" in texts(report, "admin", "problem")
    assert checked(config).ok, "it is free again"


def test_a_pipeline_that_runs_has_its_own_port_and_time_left(config: Path, aws: Aws) -> None:
    with_admin(config, free_port())
    environment = {"AWS_ENDPOINT_URL": aws.front.url}
    with running(config.parent, env=environment) as run:
        run.event("running")
        assert "which runs this pipeline, listens there" in texts(checked(config), "admin")
        run.stop()
    cdc(config.parent, "run", "pipeline.yaml", "--until-caught-up", env=environment)
    assert re.search(
        r"2[34]:\d\d h until the oldest undelivered change expires", texts(checked(config), "sink dr")
    )


@pytest.mark.parametrize("terminal", [True, False])
def test_the_command(config: Path, aws: Aws, terminal: bool) -> None:
    aws.answers["GetRecords"] = error("AccessDeniedException")
    colours = {"FORCE_COLOR": "1"} if terminal else {}
    shown = cdc(config.parent, "check", "pipeline.yaml", env={"AWS_ENDPOINT_URL": aws.front.url} | colours)
    assert shown.code == 2
    assert ("\x1b[" in shown.out) == terminal
    assert "remedy: add to the policy: {" in shown.err
    as_json = cdc(config.parent, "check", "pipeline.yaml", "--json", env={"AWS_ENDPOINT_URL": aws.front.url})
    assert as_json.code == 2
    document = json.loads(as_json.out)
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    assert (document["version"], document["ok"]) == (1, False)
    policies: Mapping[str, Any] = {one["part"]: one["policy"] for one in document["parts"]}
    assert policies["source"]["Statement"][0]["Sid"] == "SourceTables"
    assert policies["sink file"] is None
