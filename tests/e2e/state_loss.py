"""A pipeline whose state is taken from it: what is done to it, and what it says and delivers then."""

import json
import signal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.command.folder import file_sink, lines, write
from tests.command.process import Ended, Running, cdc, eventually, running
from tests.dynamodb_streams.tables import Tables

STATE, WITNESS = "cdc-state.db", "cdc-dead-letters/orders.ran.json"
STARTS = ("trim-horizon", "latest")
EXPORT = ("positions", "export", "pipeline.yaml")
IMPORT = ("positions", "import", "pipeline.yaml")


@pytest.fixture
def table(tables: Tables) -> str:
    return tables.create()


@pytest.fixture(params=STARTS)
def start(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def folder(tables: Tables, table: str, start: str, tmp_path: Path) -> Path:
    """A pipeline that has delivered the changes 0 and 1, and was stopped in order."""
    configure(tmp_path, tables.url, table, start)
    begin(tables, table, tmp_path)
    return tmp_path


def configure(folder: Path, url: str, table: str, start: str, *names: str) -> None:
    path = write(folder, url, table, [file_sink(name) for name in names or ("file",)])
    configuration = yaml.safe_load(path.read_text("utf-8"))
    configuration["source"]["start"] = start
    configuration["state"]["lease_seconds"] = 1.0
    path.write_text(yaml.safe_dump(configuration), "utf-8")


def begin(tables: Tables, table: str, folder: Path, *sinks: str) -> None:
    """The first run, until all sinks have the changes 0 and 1."""
    with running(folder) as run:
        eventually(partial(has_looked, run), "a start", run=run)
        tables.put(table, 0)
        tables.put(table, 1)
        for sink in sinks or ("file",):
            eventually(partial(holds, folder, sink), f"both changes at {sink}", run=run)
        run.stop()


def has_looked(run: Running) -> bool:
    """It has read from where `latest` is: what comes now is newer. A process for each look (`positions show`) would be
    most of what these tests cost."""
    return 'operation="GetRecords",outcome="ok"' in run.admin("/metrics")[1]


def holds(folder: Path, sink: str) -> bool:
    return arrived(folder, sink) == ["0", "1"]


def shown(folder: Path) -> str:
    return cdc(folder, "positions", "show", "pipeline.yaml").out


def arrived(folder: Path, sink: str = "file") -> list[str]:
    return [line["key"]["at"]["N"] for line in lines(folder / f"{sink}.jsonl")]


def deliver(folder: Path, last: str, *, times: int = 1, end: signal.Signals = signal.SIGTERM) -> str:
    """Runs until this change has arrived so many times in all, and its position is saved. What the log says."""
    with running(folder) as run:
        eventually(lambda: arrived(folder).count(last) >= times, f"change {last}", run=run)
        if end is signal.SIGTERM:
            return run.stop().err
        newest = lines(folder / "file.jsonl")[-1]["sequence"]
        eventually(lambda: newest in shown(folder), "its position", run=run)
        run.send(end)
        return run.end().err


def refused(ended: Ended, code: int, *names: object) -> None:
    """With this exit code, and a message that names all of these and a remedy."""
    assert ended.code == code, ended.text
    assert "Traceback" not in ended.err
    assert "     remedy: " in ended.err
    for name in names:
        assert str(name) in ended.err


def finding(log: str) -> dict[str, Any]:
    """What a run said of its state when it began."""
    events = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    (found,) = [event for event in events if event["event"] == "state"]
    assert found["level"] == "warning"
    return dict(found)


def witness(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / WITNESS).read_text()))


def age(folder: Path, seconds: float) -> None:
    """As if the last run were so much longer ago."""
    told = witness(folder)
    told["ran_at"] -= seconds
    for pair in told["pairs"]:
        pair["delivered_until"] -= seconds
    (folder / WITNESS).write_text(json.dumps(told))


def alarm(folder: Path) -> str:
    """What `cdc status` says of the state; empty: nothing."""
    shown = cdc(folder, "status", "pipeline.yaml", "--json")
    assert shown.code == 0, shown.err
    return "".join(alarm["message"] for alarm in json.loads(shown.out)["alarms"] if alarm["about"] == "state")


def delete(folder: Path) -> None:
    for path in folder.glob(f"{STATE}*"):
        path.unlink()


def empty(folder: Path) -> None:
    (folder / STATE).write_bytes(b"")


def deliver_next_without_a_finding(tables: Tables, table: str, folder: Path, number: str) -> None:
    so_far = arrived(folder)
    tables.put(table, int(number))
    assert '"event": "state"' not in deliver(folder, number)
    assert arrived(folder) == [*so_far, number]
