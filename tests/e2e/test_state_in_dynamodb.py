"""A pipeline whose state lies in a DynamoDB table that throttles, denies, or is not there."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.command.folder import file_sink, lines, tree, write
from tests.command.process import Running, cdc, eventually, running
from tests.command.proxy import Proxy, proxy
from tests.dynamodb_streams.canned_server import Reply, error
from tests.dynamodb_streams.tables import REGION, Tables

WRITES = ("PutItem", "UpdateItem")
RUN = ("run", "pipeline.yaml", "--until-caught-up")


@pytest.fixture
def table(tables: Tables) -> str:
    return tables.create()


@pytest.fixture
def front(tables: Tables) -> Iterator[Proxy]:
    """In front of the state alone."""
    with proxy(tables.url) as found:
        yield found


def throttle(front: Proxy, *operations: str) -> None:
    for operation in operations:
        front.answers[operation] = throttled


def throttled(_request: dict[str, Any]) -> Reply:
    return error("ProvisionedThroughputExceededException", message="too many")


def pipeline(folder: Path, tables: Tables, table: str, front: Proxy, **state: Any) -> None:
    state = {
        "type": "dynamodb",
        "table": f"state-{table[-20:]}",
        "region": REGION,
        "endpoint_url": front.url,
        "checkpoint_seconds": 0.1,
    } | state
    write(folder, tables.url, table, [file_sink()], state=state)


def numbers(folder: Path) -> list[int]:
    """What the sink was given, in its order."""
    return [int(line["key"]["at"]["N"]) for line in lines(folder / "file.jsonl")]


def has(folder: Path, count: int) -> bool:
    return set(numbers(folder)) == set(range(count))


def failures(run: Running, event: str) -> int:
    return sum(json.loads(line).get("event") == event for line in run.err.splitlines() if line[0] == "{")


def test_throttled_saves_only_delay(tables: Tables, table: str, front: Proxy, tmp_path: Path) -> None:
    pipeline(tmp_path, tables, table, front, lease_seconds=9)
    tables.put_many(table, 10)
    with running(tmp_path) as run:
        eventually(partial(has, tmp_path, 10), "the first changes", run=run)
        throttle(front, *WRITES)
        for at in range(10, 20):
            tables.put(table, at)
        eventually(partial(has, tmp_path, 20), "changes while nothing can be saved", run=run)
        eventually(lambda: failures(run, "save-failed") >= 3, "several failures of saves", run=run)
        eventually(lambda: failures(run, "lease-not-renewed") >= 2, "failures of renewals", run=run)
        code, reasons = run.admin("/ready")
        assert (code, "state: it cannot be saved" in reasons, "Throughput" in reasons) == (503, True, True)
        front.answers.clear()
        for at in range(20, 30):
            tables.put(table, at)
        eventually(partial(has, tmp_path, 30), "changes after it", run=run)
        eventually(lambda: run.admin("/ready")[0] == 200, "ready again", run=run)
        _, metrics = run.admin("/metrics")
        run.stop()
    assert 'operation="UpdateItem",outcome="throttled"' in metrics
    assert numbers(tmp_path) == list(range(30))
    again = cdc(tmp_path, *RUN)
    assert again.code == 0, again.err
    assert numbers(tmp_path) == list(range(30)), "what was saved was not all that was delivered"


def test_killed_while_throttled_loses_nothing(
    tables: Tables, table: str, front: Proxy, tmp_path: Path
) -> None:
    pipeline(tmp_path, tables, table, front)
    tables.put_many(table, 10)
    with running(tmp_path) as run:
        eventually(partial(has, tmp_path, 10), "the first changes", run=run)
        throttle(front, "PutItem")
        for at in range(10, 20):
            tables.put(table, at)
        eventually(partial(has, tmp_path, 20), "changes while nothing can be saved", run=run)
        eventually(lambda: failures(run, "save-failed") >= 1, "a failure", run=run)
        run.process.kill()
        run.end()
    front.answers.clear()
    for at in range(20, 30):
        tables.put(table, at)
    again = cdc(tmp_path, *RUN)
    assert again.code == 0, again.err
    given = numbers(tmp_path)
    assert set(given) == set(range(30))
    assert given[:20] == list(range(20))
    resumed = given[20:]
    assert resumed == list(range(resumed[0], 30)), "in order, from a position on"
    assert resumed[0] <= 10, "nothing after the throttling began can have been saved"


def test_throttled_for_longer_than_the_lease(
    tables: Tables, table: str, front: Proxy, tmp_path: Path
) -> None:
    pipeline(tmp_path, tables, table, front, lease_seconds=1)
    tables.put_many(table, 10)
    with running(tmp_path) as run:
        eventually(partial(has, tmp_path, 10), "the first changes", run=run)
        throttle(front, *WRITES)
        ended = run.end()
    assert ended.code == 1, ended.err
    assert "the lease could not be renewed" in ended.err
    refused = cdc(tmp_path, *RUN)
    assert refused.code == 1, refused.err
    assert "ProvisionedThroughputExceededException" in refused.err
    assert "Traceback" not in ended.err + refused.err
    front.answers.clear()
    tables.put(table, 10)
    again = cdc(tmp_path, *RUN)
    assert again.code == 0, again.err
    assert set(numbers(tmp_path)) == set(range(11))


def test_what_only_looks_makes_no_table(tables: Tables, table: str, front: Proxy, tmp_path: Path) -> None:
    pipeline(tmp_path, tables, table, front)
    before = tree(tmp_path)
    checked = cdc(tmp_path, "check", "pipeline.yaml")
    assert checked.code == 0, checked.text
    assert "does not exist, and will be created" in checked.out
    shown = cdc(tmp_path, "positions", "show", "pipeline.yaml")
    assert shown.code == 0, shown.err
    assert tree(tmp_path) == before
    assert f"state-{table[-20:]}" not in tables.client.list_tables()["TableNames"]


def test_a_second_process_is_refused(tables: Tables, table: str, front: Proxy, tmp_path: Path) -> None:
    pipeline(tmp_path, tables, table, front)
    tables.put_many(table, 10)
    with running(tmp_path) as run:
        eventually(partial(has, tmp_path, 10), "the changes", run=run)
        second = cdc(tmp_path, "run", "pipeline.yaml")
        assert second.code == 1, second.err
        assert str(run.process.pid) in second.err
        live = cdc(tmp_path, "status", "pipeline.yaml", "--json")
        assert json.loads(live.out)["owner"]["pid"] == run.process.pid
        run.stop()


def test_what_is_saved_is_shown_and_reset(tables: Tables, table: str, front: Proxy, tmp_path: Path) -> None:
    pipeline(tmp_path, tables, table, front)
    tables.put_many(table, 10)
    with running(tmp_path) as run:
        eventually(partial(has, tmp_path, 10), "the changes", run=run)
        run.stop()
    [position] = json.loads(cdc(tmp_path, "positions", "show", "pipeline.yaml", "--json").out)["positions"]
    shard = position["shard"]
    reset = cdc(
        tmp_path, "positions", "reset", "pipeline.yaml", "--sink", "file", "--shard", shard, "--to", "trim-horizon"
    )  # fmt: skip
    assert reset.code == 0, reset.err
    with running(tmp_path) as run:
        eventually(
            lambda: numbers(tmp_path) == [*range(10), *range(10)], "the same changes once more", run=run
        )
        run.stop()


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_table_that_is_missing_and_not_to_be_made(
    command: str, tables: Tables, table: str, front: Proxy, tmp_path: Path
) -> None:
    pipeline(tmp_path, tables, table, front, create=False)
    refused = cdc(tmp_path, command, "pipeline.yaml")
    assert refused.code == 2, refused.text
    assert f"aws dynamodb create-table --table-name state-{table[-20:]} --billing-mode PAY_PER_REQUEST" in (
        " ".join(refused.text.split())
    )
    assert "Traceback" not in refused.text


def test_what_is_denied_is_named(tables: Tables, table: str, front: Proxy, tmp_path: Path) -> None:
    pipeline(tmp_path, tables, table, front)
    tables.client.create_table(
        TableName=f"state-{table[-20:]}",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[
            {"AttributeName": "pipeline", "KeyType": "HASH"},
            {"AttributeName": "item", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "item", "AttributeType": "S"},
            {"AttributeName": "pipeline", "AttributeType": "S"},
        ],
    )
    for operation in ("DescribeTable", "GetItem", "Query"):
        front.answers = {operation: lambda _request: error("AccessDeniedException", message="not you")}
        command = "check" if operation == "Query" else "run"
        refused = cdc(tmp_path, command, "pipeline.yaml")
        # To a run it may pass: credentials of a machine that is still booting, a permission that is being given.
        assert refused.code == (2 if command == "check" else 1), refused.text
        assert f"dynamodb:{operation}" in refused.text
