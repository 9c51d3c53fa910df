"""One pipeline, one process: who owns it, how it ends, and what its admin server says."""

import json
import re
import signal
import socket
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import jsonschema
import pytest

import schemas
from tests.command.folder import file_sink, lines, write
from tests.command.plugin import install
from tests.command.process import cdc, eventually, running
from tests.dynamodb_streams.tables import Tables
from tests.services.server import free_port

STATUS = json.loads((Path(schemas.__file__).parent / "status.schema.json").read_text("utf-8"))
METRICS = {
    "cdc_changes_total",
    "cdc_lag_seconds",
    "cdc_retention_headroom_seconds",
    "cdc_complete_through_timestamp_seconds",
    "cdc_batches_in_flight",
    "cdc_dead_letters_total",
    "cdc_gaps_total",
    "cdc_shards",
    "cdc_stage_seconds",
    "cdc_api_calls_total",
}


def dead_bus() -> dict[str, object]:
    return {
        "name": "bus",
        "type": "kafka",
        "bootstrap_servers": f"127.0.0.1:{free_port()}",
        "properties": {"delivery.timeout.ms": 1000},
    }


@pytest.fixture
def table(tables: Tables) -> str:
    name = tables.create()
    tables.put_many(name, 10)
    return name


def delivered(folder: Path, changes: int) -> None:
    eventually(
        lambda: len(lines(folder / "file.jsonl")) >= changes, f"{changes} changes in the file", seconds=20
    )


def saved(folder: Path, *, env: Mapping[str, str] | None = None) -> dict[str, str]:
    """Of each sink, where it stands."""
    shown = cdc(folder, "positions", "show", "pipeline.yaml", "--json", env=env)
    return {row["sink"]: row["place"] for row in json.loads(shown.out)["positions"]}


def test_second_process_is_refused_and_a_killed_one_is_followed_at_once(
    tables: Tables, table: str, tmp_path: Path
) -> None:
    write(tmp_path, tables.url, table, [file_sink()])
    with running(tmp_path) as first:
        delivered(tmp_path, 10)
        second = cdc(tmp_path, "run", "pipeline.yaml")
        assert second.code == 1, second.err
        assert str(first.process.pid) in second.err
        assert socket.gethostname() in second.err
        assert "remedy: " in second.err
        first.send(signal.SIGKILL)
        assert first.end().code == -signal.SIGKILL
    tables.put(table, 11)
    with running(tmp_path) as third:
        third.event("running", seconds=10)  # the lease of the dead one would last for 15 s
        eventually(lambda: lines(tmp_path / "file.jsonl")[-1]["key"]["at"] == {"N": "11"}, "the new change")
        third.stop()
    keys = [line["key"]["at"]["N"] for line in lines(tmp_path / "file.jsonl")]
    assert set(keys) == {*map(str, range(10)), "11"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ends_with_0_while_a_sink_is_down(
    number: signal.Signals, tables: Tables, table: str, tmp_path: Path
) -> None:
    write(tmp_path, tables.url, table, [file_sink(), dead_bus()])
    with running(tmp_path) as run:
        delivered(tmp_path, 10)
        run.send(number)
        ended = run.end(seconds=10)
    assert ended.code == 0, ended.err
    assert "Traceback" not in ended.err
    assert saved(tmp_path) == {"file": "after", "bus": "beginning"}


def test_second_signal_ends_at_once_with_1(tables: Tables, table: str, tmp_path: Path) -> None:
    write(tmp_path, tables.url, table, [file_sink(), {"name": "stuck", "type": "hanging"}])
    with running(tmp_path, env=install(tmp_path / "site")) as run:
        delivered(tmp_path, 10)
        eventually(lambda: "stuck" in run.admin("/status")[1], "the status of the sink")
        run.send(signal.SIGTERM)
        run.event("stopping")
        run.send(signal.SIGTERM)
        ended = run.end(seconds=3)
    assert ended.code == 1, ended.err


def test_sink_that_hangs_does_not_hold_up_the_end(tables: Tables, table: str, tmp_path: Path) -> None:
    site = install(tmp_path / "site")
    write(tmp_path, tables.url, table, [file_sink(), {"name": "stuck", "type": "hanging"}])
    with running(tmp_path, env=site) as run:
        delivered(tmp_path, 10)
        run.send(signal.SIGTERM)
        ended = run.end(seconds=10)
    assert ended.code == 0, ended.err
    assert saved(tmp_path, env=site)["file"] == "after"


def test_busy_admin_port(tables: Tables, table: str, tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as holder:
        port = holder.getsockname()[1]
        write(tmp_path, tables.url, table, [file_sink()], admin={"port": port})
        ended = cdc(tmp_path, "run", "pipeline.yaml")
    assert ended.code == 1, ended.err
    assert f"127.0.0.1:{port}" in ended.err
    assert "remedy: " in ended.err
    assert not lines(tmp_path / "file.jsonl")
    write(tmp_path, tables.url, table, [file_sink()], admin=None)
    with running(tmp_path):  # the lease was given back
        delivered(tmp_path, 10)


def test_admin_server(tables: Tables, table: str, tmp_path: Path) -> None:
    bus = dead_bus()
    write(tmp_path, tables.url, table, [file_sink(), bus])
    with running(tmp_path) as run:
        delivered(tmp_path, 10)
        run.event("sink-down")
        assert run.admin("/health")[0] == 200
        assert run.admin("/nothing")[0] == 404
        eventually(
            lambda: str(bus["bootstrap_servers"]) in run.admin("/ready")[1],
            "the reason, with the next status",
        )
        status, body = run.admin("/ready")
        assert status == 503
        (reason,) = json.loads(body)["reasons"]
        assert reason.startswith(("sink bus is down", "sink bus is opening"))  # again and again

        counted = re.compile(
            r'^cdc_changes_total\{op="c",pipeline="orders",sink="file",table="[^"]+"\} 10.0$', re.MULTILINE
        )
        eventually(lambda: bool(counted.search(run.admin("/metrics")[1])), "ten changes counted")
        _, text = run.admin("/metrics")
        names = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")}
        assert names >= METRICS
        assert "shard" not in "".join(
            line for line in text.splitlines() if "{" in line and "cdc_shards" not in line
        )

        _, served = run.admin("/status")
        shown = cdc(tmp_path, "status", "pipeline.yaml", "--json")
        assert shown.code == 0, shown.err
        for document in (served, shown.out):
            jsonschema.validate(json.loads(document), STATUS)
        assert shape(json.loads(served)) == shape(json.loads(shown.out))
        owner = json.loads(shown.out)["owner"]
        assert (owner["pid"], owner["admin"]) == (run.process.pid, run.event("running")["admin"])
        page = cdc(tmp_path, "status", "pipeline.yaml")
        assert "bus" in page.out
        assert "down" in page.out or "opening" in page.out
        run.stop()
    after = cdc(tmp_path, "status", "pipeline.yaml", "--json")
    jsonschema.validate(json.loads(after.out), STATUS)
    assert {sink["state"] for sink in json.loads(after.out)["sinks"]} == {"stopped"}


def shape(document: object) -> object:
    """Without the values; of a list what its first member is."""
    if isinstance(document, dict):
        return {key: shape(value) for key, value in document.items()}
    if isinstance(document, list):
        return [shape(document[0])] if document else []
    return "number" if isinstance(document, int | float) else type(document).__name__


def test_ready(tables: Tables, table: str, tmp_path: Path) -> None:
    write(tmp_path, tables.url, table, [file_sink()])
    with running(tmp_path) as run:
        delivered(tmp_path, 10)
        eventually(lambda: run.admin("/ready")[0] == 200, "ready")
        assert json.loads(run.admin("/ready")[1]) == {"ok": True, "reasons": []}


def test_no_admin_server(tables: Tables, table: str, tmp_path: Path) -> None:
    write(tmp_path, tables.url, table, [file_sink()], admin=None)
    with running(tmp_path) as run:
        delivered(tmp_path, 10)
        assert run.event("running")["admin"] == "none"
        shown = cdc(tmp_path, "status", "pipeline.yaml", "--json")
        assert json.loads(shown.out)["owner"]["pid"] == run.process.pid
