"""No item's value and no secret in anything that is written, at any level: values are planted, and looked for."""

import base64
import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.command.folder import file_sink, lines, write
from tests.command.plugin import install
from tests.command.process import Ended, cdc, ended, eventually, launch, running
from tests.command.proxy import Proxy, proxy
from tests.contract.kafka.cluster import Cluster
from tests.dynamodb_streams.canned_server import Reply, canned_server, error
from tests.dynamodb_streams.tables import Tables
from tests.services.server import free_port

KEY = "key-lantern-7731"
TEXT = "text-marigold-4102"
NUMBER = "90210773155521"
BINARY = b"binary-obsidian-5518"
MEMBER = "member-saffron-9043"
VALUES = [KEY, TEXT, NUMBER, MEMBER, BINARY.decode(), base64.b64encode(BINARY).decode(), BINARY.hex()]

ENVIRONMENT = {
    "AWS_SECRET_ACCESS_KEY": "secretkey-quartz-3390",
    "AWS_SESSION_TOKEN": "token-umbra-6127",
    "PLANTED_SECRET": "environment-velvet-8826",
    "SASL_PASSWORD": "password-willow-2274",
    "KEY_PASSWORD": "password-zephyr-6605",
}
SECRETS = list(ENVIRONMENT.values())


def forms(planted: str) -> list[str]:
    raw = planted.encode()
    # Of base64 without the ends, which depend on what stands around.
    return [
        planted,
        planted[4:-2],
        raw.hex(),
        raw.hex().upper(),
        *(base64.b64encode(b"." * shift + raw).decode()[4:-4] for shift in range(3)),
    ]


def assert_silent(*texts: str) -> None:
    for text in texts:
        for planted in VALUES + SECRETS:
            for form in forms(planted):
                assert form not in text, f"{form} in {text[max(0, text.index(form) - 300) :][:700]}"


def item(at: int, **more: Any) -> dict[str, Any]:
    return {
        "id": {"S": KEY},
        "at": {"N": str(at)},
        "text": {"S": TEXT},
        "number": {"N": NUMBER},
        "binary": {"B": BINARY},
        "set": {"SS": [MEMBER]},
        "map": {"M": {"inner": {"L": [{"S": TEXT}, {"B": BINARY}]}}},
    } | more


@pytest.fixture
def table(tables: Tables) -> str:
    name = tables.create()
    for at in range(5):
        tables.client.put_item(TableName=name, Item=item(at))
    return name


@pytest.fixture
def front(tables: Tables) -> Iterator[Proxy]:
    """Every third record comes without its key."""

    def edit(answer: dict[str, Any]) -> None:
        for record in answer["Records"]:
            if record["dynamodb"].get("NewImage", {}).get("at") == {"N": "3"}:
                del record["dynamodb"]["Keys"]

    with proxy(tables.url) as front:
        front.edits["GetRecords"] = edit
        yield front


@pytest.fixture
def hostile_replica(tables: Tables, table: str) -> Iterator[str]:
    """Refuses every write, and quotes the item and the signed request as the service may."""
    description = tables.client.describe_table(TableName=table)["Table"]
    kept = {name: description[name] for name in ("KeySchema", "AttributeDefinitions")}

    def describe(request: dict[str, Any]) -> Reply:
        name = request["TableName"]
        own = {
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        }
        about = own if "tombstones" in name else kept
        return Reply(json.dumps({"Table": {"TableName": name, "TableStatus": "ACTIVE", **about}}).encode())

    mismatch = "Type mismatch for Index Key text Expected: N Actual: S IndexName: by-text"
    quoted = f"One or more parameter values were invalid: {KEY} {TEXT} {mismatch} {NUMBER} {MEMBER}"
    with canned_server() as server:
        server.replies["DescribeTable"] = [describe]
        server.replies["DescribeTimeToLive"] = [
            Reply(b'{"TimeToLiveDescription": {"TimeToLiveStatus": "ENABLED"}}')
        ]
        for operation in ("PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"):
            server.replies[operation] = [error("ValidationException", message=quoted)]
        yield server.url


def kafka(name: str, bootstrap_servers: str, **properties: Any) -> dict[str, Any]:
    return {
        "name": name,
        "type": "kafka",
        "bootstrap_servers": bootstrap_servers,
        "properties": {"debug": "all", "delivery.timeout.ms": 2000, **properties},
    }


SASL = {"security.protocol": "sasl_plaintext", "sasl.mechanism": "PLAIN", "sasl.username": "cdc"}


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_run_in_which_everything_goes_wrong(
    log_format: str,
    tables: Tables,
    front: Proxy,
    table: str,
    hostile_replica: str,
    tmp_path: Path,
) -> None:
    with ExitStack() as stack:
        cluster = stack.enter_context(Cluster())
        sinks = [
            file_sink(),
            {"name": "lake", "type": "lake", "url": "file:./lake", "flush_after_seconds": 0.2},
            kafka("bus", cluster.bootstrap_servers, **{"ssl.key.password": "${KEY_PASSWORD}"}),
            kafka("locked", cluster.bootstrap_servers, **SASL, **{"sasl.password": "${SASL_PASSWORD}"}),
            kafka("gone", f"127.0.0.1:{free_port()}", **SASL, **{"sasl.password": "${SASL_PASSWORD}"}),
            {
                "name": "dr",
                "type": "replica",
                "region": "eu-west-1",
                "table": "copy",
                "endpoint_url": hostile_replica,
            },
            {
                "name": "missing",
                "type": "replica",
                "region": "eu-west-1",
                "table": "nowhere",
                "endpoint_url": tables.url,
            },
            {"name": "bomb", "type": "crashing", "how": "durable"},
        ]
        write(tmp_path, front.url, table, sinks)
        environment = ENVIRONMENT | install(tmp_path / "site")
        as_json = ("--json",) if log_format == "json" else ()
        check = stack.enter_context(launch(tmp_path, "check", "pipeline.yaml", *as_json, env=environment))
        commands: list[Ended] = []
        options = ["--log-level", "debug", "--log-format", log_format]
        served: list[str] = []
        with running(tmp_path, *options, env=environment) as run:
            letters = tmp_path / "cdc-dead-letters"
            eventually(
                lambda: len(lines(letters / "orders.dr.jsonl")) == 5, "letters of the replica", run=run
            )
            eventually(lambda: len(lines(letters / "orders.bus.jsonl")) == 1, "letters of the bus", run=run)
            eventually(lambda: len(lines(tmp_path / "file.jsonl")) >= 4, "changes in the file", run=run)
            eventually(lambda: "gone" in run.err and "nowhere" in run.err, "failures of sinks", run=run)
            state = tmp_path / "cdc-state.db"
            eventually(state.exists, "the state", run=run)
            if log_format == "json":
                served += [run.admin(path)[1] for path in ("/ready", "/metrics", "/status", "/health")]
            commands += [
                cdc(tmp_path, "status", "pipeline.yaml", env=environment),
                cdc(tmp_path, "status", "pipeline.yaml", "--json", env=environment),
                cdc(tmp_path, "positions", "show", "pipeline.yaml", env=environment),
            ]
            tables.client.put_item(TableName=table, Item=item(9, boom={"S": TEXT}))
            crashed = run.end()
        commands.append(ended(check))
    assert crashed.code == 1, crashed.err
    assert "KeyError" in crashed.err
    assert "Traceback" in crashed.err
    assert_silent(crashed.err, crashed.out, *served, *(command.text for command in commands))
    # They were really there.
    assert TEXT in (tmp_path / "file.jsonl").read_text()
    assert TEXT in (letters / "orders.dr.jsonl").read_text()
    for said in ("dead-letters-written", "by-text", "sink-down", "nowhere"):
        assert said in crashed.err


@pytest.mark.parametrize("how", ["write", "open", "probe"])
def test_crashes_of_a_sink(how: str, tables: Tables, table: str, tmp_path: Path) -> None:
    write(tmp_path, tables.url, table, [{"name": "bomb", "type": "crashing", "how": how}])
    environment = ENVIRONMENT | install(tmp_path / "site")
    tables.client.put_item(TableName=table, Item=item(9, boom={"S": TEXT}))
    command = ("check",) if how == "probe" else ("run", "--log-level", "debug")
    answer = cdc(tmp_path, *command, "pipeline.yaml", env=environment)
    assert answer.code == 1, answer.text
    assert "KeyError" in answer.err
    assert "third_party_sinks.py" in answer.err
    if how == "write":
        assert "ValueError" in answer.err
    assert_silent(answer.text)


CONFIGURATIONS = {
    "property of no allowed value": {"security.protocol": "${SASL_PASSWORD}"},
    "unknown property": {"sasl.passwort": "${SASL_PASSWORD}"},
    "secret that cannot be used": {"security.protocol": "ssl", "ssl.key.pem": "${KEY_PASSWORD}"},
    "kept property": {"acks": "${SASL_PASSWORD}"},
    "number that is none": {"delivery.timeout.ms": "${SASL_PASSWORD}"},
}


@pytest.mark.parametrize("properties", CONFIGURATIONS.values(), ids=CONFIGURATIONS.keys())
def test_secrets_in_a_configuration_that_is_refused(
    properties: dict[str, str], tables: Tables, table: str, tmp_path: Path
) -> None:
    sink = kafka("bus", f"127.0.0.1:{free_port()}") | {"properties": properties}
    write(tmp_path, tables.url, table, [sink])
    for command in ("check", "run"):
        answer = cdc(tmp_path, command, "pipeline.yaml", env=ENVIRONMENT)
        assert answer.code in (1, 2), answer.text
        assert "Traceback" not in answer.err
        assert next(iter(properties)) in answer.err or "ssl" in answer.err
        assert_silent(answer.text)


def test_secrets_where_words_are_expected(tables: Tables, table: str, tmp_path: Path) -> None:
    secret = "${PLANTED_SECRET}"
    sink = {"name": "bus", "type": "kafka", "bootstrap_servers": "localhost:9", "topic": f"{secret}/{{x}}"}
    path = write(
        tmp_path, tables.url, table, [sink, {"name": "x", "type": secret}], dead_letters={"type": secret}
    )
    path.write_text(path.read_text() + f"sekret: {secret}\n")
    answer = cdc(tmp_path, "run", "pipeline.yaml", env=ENVIRONMENT)
    assert answer.code == 2, answer.text
    assert_silent(answer.text)


def test_request_that_the_service_quotes(table: str, tmp_path: Path) -> None:
    """A signature's error has the canonical request in it, session token included."""
    token = ENVIRONMENT["AWS_SESSION_TOKEN"]
    quoted = (
        "The request signature we calculated does not match the signature you provided.\n\n"
        f"The Canonical String for this request should have been\n'POST\n/\nx-amz-security-token:{token}\n'"
    )
    with canned_server() as server:
        server.replies["DescribeTable"] = [error("InvalidSignatureException", message=quoted)]
        write(tmp_path, server.url, table, [file_sink()])
        for command in ("check", "run"):
            answer = cdc(tmp_path, command, "pipeline.yaml", env=ENVIRONMENT)
            assert answer.code == 2, answer.text
            assert "InvalidSignatureException" in answer.err
            assert_silent(answer.text)
