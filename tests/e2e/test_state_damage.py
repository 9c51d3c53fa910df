"""A state that was deleted, damaged, or restored from a copy: a clear message, a defined result, and no silent loss."""

import json
import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.command.folder import file_sink, lines, tree, write
from tests.command.process import Ended, cdc, eventually, running
from tests.command.proxy import Proxy, proxy
from tests.dynamodb_streams.canned_server import Reply, error
from tests.dynamodb_streams.tables import REGION, Tables

STATE, WITNESS = "cdc-state.db", "cdc-dead-letters/orders.ran.json"
STARTS = ("trim-horizon", "latest")
EXPORT = ("positions", "export", "pipeline.yaml")
IMPORT = ("positions", "import", "pipeline.yaml")
DAY = 24 * 3600.0


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
        eventually(
            lambda: "beginning" in shown(folder) or "latest since" in shown(folder), "a start", run=run
        )
        tables.put(table, 0)
        tables.put(table, 1)
        for sink in sinks or ("file",):
            eventually(partial(holds, folder, sink), f"both changes at {sink}", run=run)
        run.stop()


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


# Deleted


@pytest.mark.parametrize("lose", [delete, empty])
def test_deleted(tables: Tables, table: str, folder: Path, start: str, lose: Callable[[Path], None]) -> None:
    """What came since is delivered, or the run is refused until somebody decides."""
    lose(folder)
    tables.put(table, 2)
    before = tree(folder)
    if start == "trim-horizon":
        assert "nothing is lost" in alarm(folder)
        assert "nothing is lost" in cdc(folder, "check", "pipeline.yaml").out
        found = finding(deliver(folder, "2"))
        assert found["finding"] == "delivers_again"
        assert "nothing is lost" in found["reason"]
        assert arrived(folder) == ["0", "1", "0", "1", "2"]
    else:
        refused(
            cdc(folder, "run", "pipeline.yaml"),
            3,
            folder / STATE,
            "positions import",
            "reset CONFIG --sink file",
        )
        refused(cdc(folder, "check", "pipeline.yaml"), 2, folder / STATE, "passed over")
        assert "passed over" in alarm(folder)
        assert tree(folder) == before
        decided = cdc(folder, "positions", "reset", "pipeline.yaml", "--sink", "file", "--to", "trim-horizon")
        assert decided.code == 0, decided.err
        deliver(folder, "2")
        assert arrived(folder) == ["0", "1", "0", "1", "2"]
    deliver_next_without_a_finding(tables, table, folder, "3")


def deliver_next_without_a_finding(tables: Tables, table: str, folder: Path, number: str) -> None:
    so_far = arrived(folder)
    tables.put(table, int(number))
    assert '"event": "state"' not in deliver(folder, number)
    assert arrived(folder) == [*so_far, number]


@pytest.mark.parametrize("to", STARTS)
def test_deleted_after_more_than_a_day(tables: Tables, table: str, folder: Path, to: str) -> None:
    """Nobody can tell what has expired: each sink is decided about, and the decision stays visible."""
    delete(folder)
    age(folder, 1.5 * DAY)
    refused(
        cdc(folder, "run", "pipeline.yaml", "--until-caught-up"),
        3,
        "may have expired",
        "reset CONFIG --sink file",
    )
    assert not (folder / STATE).exists()
    decided = cdc(folder, "positions", "reset", "pipeline.yaml", "--sink", "file", "--to", to)
    assert decided.code == 0, decided.err
    (gap,) = json.loads(cdc(folder, "positions", "show", "pipeline.yaml", "--json").out)["gaps"]
    assert gap["decision"] == f"reset to {to}"
    assert "are gone" in gap["reason"]
    assert not alarm(folder)
    tables.put(table, 2)
    assert '"event": "state"' not in deliver(folder, "2")
    again = cdc(folder, "positions", "reset", "pipeline.yaml", "--sink", "file", "--to", to)
    refused(again, 2, "waits for a decision")


def test_each_sink_is_decided_about(tables: Tables, table: str, tmp_path: Path) -> None:
    configure(tmp_path, tables.url, table, "latest", "file", "other")
    begin(tables, table, tmp_path, "file", "other")
    delete(tmp_path)
    for sink in ("file", "other"):
        refused(cdc(tmp_path, "run", "pipeline.yaml"), 3, f"--sink {sink}")
        reset = ("positions", "reset", "pipeline.yaml", "--sink", sink, "--to", "trim-horizon")
        assert cdc(tmp_path, *reset).code == 0
    deliver(tmp_path, "1", times=2)
    assert arrived(tmp_path) == ["0", "1", "0", "1"]


@pytest.mark.parametrize("start", STARTS)
def test_a_table_that_was_deleted(tables: Tables, table: str, start: str, tmp_path: Path) -> None:
    """Positions in a table of DynamoDB: the same case."""
    configure(tmp_path, tables.url, table, start)
    path = tmp_path / "pipeline.yaml"
    configuration = yaml.safe_load(path.read_text("utf-8"))
    of_state = f"state-{table}"
    configuration["state"] |= {
        "type": "dynamodb",
        "table": of_state,
        "region": REGION,
        "endpoint_url": tables.url,
    }
    path.write_text(yaml.safe_dump(configuration), "utf-8")
    begin(tables, table, tmp_path)
    tables.client.delete_table(TableName=of_state)
    tables.put(table, 2)
    if start == "latest":
        refused(cdc(tmp_path, "run", "pipeline.yaml"), 3, of_state, "reset CONFIG --sink file")
        decided = cdc(
            tmp_path, "positions", "reset", "pipeline.yaml", "--sink", "file", "--to", "trim-horizon"
        )
        assert decided.code == 0, decided.err
        deliver(tmp_path, "2")
    else:
        assert finding(deliver(tmp_path, "2"))["finding"] == "delivers_again"
    assert arrived(tmp_path) == ["0", "1", "0", "1", "2"]


def test_deleted_and_the_table_has_another_stream(tables: Tables, table: str, tmp_path: Path) -> None:
    """What the old one had, and was not delivered, is lost: as much a gap as with the state."""
    configure(tmp_path, tables.url, table, "trim-horizon")
    begin(tables, table, tmp_path)
    tables.put(table, 2)  # never delivered
    described = tables.client.describe_table(TableName=table)["Table"]
    tables.client.delete_table(TableName=table)
    kept = {name: described[name] for name in ("KeySchema", "AttributeDefinitions", "StreamSpecification")}
    tables.client.create_table(TableName=table, BillingMode="PAY_PER_REQUEST", **kept)
    tables.put(table, 3)
    delete(tmp_path)
    refused(cdc(tmp_path, "run", "pipeline.yaml"), 3, "new stream", "reset CONFIG --sink file")
    refused(cdc(tmp_path, "check", "pipeline.yaml"), 2, "new stream")
    assert "as long as the stream is still the same" in alarm(tmp_path)  # it does not look
    assert not (tmp_path / STATE).exists()
    reset = ("positions", "reset", "pipeline.yaml", "--sink", "file", "--to", "trim-horizon")
    assert cdc(tmp_path, *reset).code == 0
    deliver(tmp_path, "3")
    assert arrived(tmp_path) == ["0", "1", "3"]


# Restored


@pytest.mark.parametrize("imported", [False, True])
def test_restored_from_before_a_table_was_added(tables: Tables, tmp_path: Path, imported: bool) -> None:
    """Its positions are gone, although the others' are there."""
    first, added = tables.create(), tables.create()
    configure(tmp_path, tables.url, first, "latest")
    begin(tables, first, tmp_path)
    assert cdc(tmp_path, *EXPORT, "--output", "old.json").code == 0
    shutil.copy(tmp_path / STATE, tmp_path / "old.db")
    path = tmp_path / "pipeline.yaml"
    configuration = yaml.safe_load(path.read_text("utf-8"))
    configuration["source"]["tables"] = [first, added]
    path.write_text(yaml.safe_dump(configuration), "utf-8")
    with running(tmp_path) as run:
        eventually(lambda: added in shown(tmp_path), "a start", run=run)
        tables.put(added, 10)
        eventually(lambda: "10" in arrived(tmp_path), "change 10", run=run)
        run.stop()
    tables.put(added, 11)
    if imported:
        assert cdc(tmp_path, *IMPORT, "old.json", "--replace").code == 0
    else:
        shutil.copy(tmp_path / "old.db", tmp_path / STATE)
    refused(cdc(tmp_path, "run", "pipeline.yaml", "--until-caught-up"), 3, added, "reset CONFIG --sink file")
    reset = ("positions", "reset", "pipeline.yaml", "--sink", "file", "--to", "trim-horizon")
    assert cdc(tmp_path, *reset).code == 0
    so_far = arrived(tmp_path)
    tables.put(first, 2)
    deliver(tmp_path, "11")
    ended = cdc(tmp_path, "run", "pipeline.yaml", "--until-caught-up")
    assert ended.code == 0, ended.err
    assert sorted(arrived(tmp_path)[len(so_far) :]) == [
        "10",
        "11",
        "2",
    ]  # and none of the first table's again


def test_restored_from_yesterday(tables: Tables, table: str, folder: Path) -> None:
    """What came in between is delivered again, and nothing is missing."""
    shutil.copy(folder / STATE, folder / "yesterday.db")
    tables.put(table, 2)
    deliver(folder, "2")
    epoch = witness(folder)["epoch"]
    shutil.copy(folder / "yesterday.db", folder / STATE)
    assert "an old copy" in alarm(folder)
    assert "an old copy" in cdc(folder, "check", "pipeline.yaml").out
    tables.put(table, 3)
    found = finding(deliver(folder, "3"))
    assert found["finding"] == "older"
    assert found["reason"].count("T") >= 2  # both times
    assert arrived(folder) == ["0", "1", "2", "2", "3"]
    assert witness(folder)["epoch"] > epoch  # no lease of the former life is ever given again
    deliver_next_without_a_finding(tables, table, folder, "4")


@pytest.fixture
def trimming(tables: Tables) -> Iterator[Proxy]:
    with proxy(tables.url) as front:
        yield front


def trimmed(request: dict[str, Any]) -> Reply | None:
    if request["ShardIteratorType"] != "AFTER_SEQUENCE_NUMBER":
        return None
    return error(
        "TrimmedDataAccessException", message="The operation attempted to read past the oldest record"
    )


def test_restored_and_expired_is_a_gap(
    tables: Tables, trimming: Proxy, table: str, folder: Path, start: str
) -> None:
    shutil.copy(folder / STATE, folder / "yesterday.db")
    tables.put(table, 2)
    deliver(folder, "2")
    shutil.copy(folder / "yesterday.db", folder / STATE)
    configure(folder, trimming.url, table, start)
    trimming.answers["GetShardIterator"] = trimmed
    gap = cdc(folder, "run", "pipeline.yaml", "--until-caught-up")
    assert gap.code == 3, gap.err
    assert finding(gap.err)["finding"] == "older"
    assert "cdc positions reset" in gap.err
    assert arrived(folder) == ["0", "1", "2"]


def test_state_of_another_life(tables: Tables, table: str, folder: Path, start: str, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    configure(other, tables.url, table, "trim-horizon")
    deliver(other, "1")
    shutil.copy(folder / STATE, folder / "mine.db")
    shutil.copy(other / STATE, folder / STATE)
    before = tree(folder)
    refused(cdc(folder, "run", "pipeline.yaml"), 2, folder / STATE, folder / WITNESS, "import --replace")
    refused(
        cdc(folder, "positions", "reset", "pipeline.yaml", "--sink", "file", "--to", "latest"),
        2,
        folder / STATE,
    )
    assert tree(folder) == before
    exported = cdc(folder, *EXPORT, "--output", "other.json")
    assert exported.code == 0, exported.err
    imported = cdc(folder, *IMPORT, "other.json", "--replace")
    assert imported.code == 0, imported.err
    tables.put(table, 2)
    deliver(folder, "2")
    assert arrived(folder) == ["0", "1", "2"]


# SQLite's companions


def test_the_log_without_its_file(tables: Tables, table: str, folder: Path, start: str) -> None:
    """The positions are in the file: without it they are gone, as if both were."""
    tables.put(table, 2)
    deliver(folder, "2", end=signal.SIGKILL)
    assert (folder / f"{STATE}-wal").stat().st_size
    (folder / STATE).unlink()
    before = tree(folder)
    if start == "latest":
        refused(cdc(folder, "run", "pipeline.yaml"), 3, folder / STATE)
        assert tree(folder) == before
    else:
        assert finding(deliver(folder, "2", times=2))["finding"] == "delivers_again"
        assert arrived(folder) == ["0", "1", "2", "0", "1", "2"]


def test_the_file_without_its_log(tables: Tables, table: str, folder: Path) -> None:
    """It is the state of an earlier time."""
    tables.put(table, 2)
    deliver(folder, "2", end=signal.SIGKILL)
    for companion in ("-wal", "-shm"):
        (folder / (STATE + companion)).unlink()
    tables.put(table, 3)
    assert finding(deliver(folder, "3"))["finding"] == "older"
    assert arrived(folder) == ["0", "1", "2", "2", "3"]


def test_an_old_file_with_a_younger_log(tables: Tables, table: str, folder: Path) -> None:
    """SQLite applies the log to it, and the pages are looked at: it goes on where the log ends."""
    shutil.copy(folder / STATE, folder / "yesterday.db")
    tables.put(table, 2)
    deliver(folder, "2", end=signal.SIGKILL)
    shutil.copy(folder / "yesterday.db", folder / STATE)
    tables.put(table, 3)
    deliver(folder, "3")
    assert arrived(folder) == ["0", "1", "2", "3"]


# Damaged


def foreign(state: Path) -> None:
    state.write_text("version: 1\npipeline: orders\n")


def torn(state: Path) -> None:
    """A page in the middle is another one's."""
    with state.open("r+b") as file:
        file.seek(2 * 4096)
        file.write(b"\x0d" + b"\x5a" * 4095)


def cut(state: Path) -> None:
    with state.open("r+b") as file:
        file.truncate(state.stat().st_size - 4096)


def without_a_table(state: Path) -> None:
    with closing(sqlite3.connect(state)) as db:
        db.execute("DROP TABLE starts")
        db.execute("PRAGMA journal_mode = DELETE")
    assert not Path(f"{state}-wal").exists()


def of_a_newer_version(state: Path) -> None:
    with closing(sqlite3.connect(state)) as db:
        db.execute("PRAGMA user_version = 99")
        db.execute("PRAGMA journal_mode = DELETE")


@pytest.fixture(scope="module")
def lived(tables: Tables, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline with positions, to be copied."""
    folder = tmp_path_factory.mktemp("lived")
    table = tables.create()
    configure(folder, tables.url, table, "latest")
    begin(tables, table, folder)
    return folder


@pytest.mark.parametrize("damage", [foreign, torn, cut, without_a_table, of_a_newer_version])
def test_damaged(lived: Path, tmp_path: Path, damage: Callable[[Path], None]) -> None:
    """It is refused, and nothing is changed."""
    folder = tmp_path / "pipeline"
    shutil.copytree(lived, folder)
    damage(folder / STATE)
    before = tree(folder)
    refused(cdc(folder, "run", "pipeline.yaml"), 2, folder / STATE)
    assert tree(folder) == before


@pytest.mark.parametrize("start", ["latest"], indirect=True)
def test_remedies_of_damage(tables: Tables, table: str, folder: Path) -> None:
    """An export, or a copy."""
    assert cdc(folder, *EXPORT, "--output", "backup.json").code == 0
    shutil.copy(folder / STATE, folder / "copy.db")
    cut(folder / STATE)
    refused(cdc(folder, "status", "pipeline.yaml"), 2, folder / STATE)
    refused(cdc(folder, *IMPORT, "backup.json", "--replace"), 2, folder / STATE)
    delete(folder)  # moved away, as the remedy says
    refused(cdc(folder, "run", "pipeline.yaml"), 3, folder / STATE)
    imported = cdc(folder, *IMPORT, "backup.json")
    assert imported.code == 0, imported.err
    deliver_next_without_a_finding(tables, table, folder, "2")
    shutil.copy(folder / "copy.db", folder / STATE)
    tables.put(table, 3)
    assert finding(deliver(folder, "3"))["finding"] == "older"
    assert arrived(folder) == ["0", "1", "2", "2", "3"]


def overwritten(state: Path) -> None:
    with state.open("r+b") as file:
        file.write(b"\x5a" * state.stat().st_size)


def emptied(state: Path) -> None:
    with state.open("r+b") as file:
        file.truncate(0)


@pytest.mark.parametrize("damage", [overwritten, emptied, Path.unlink])
@pytest.mark.parametrize("start", ["trim-horizon"], indirect=True)
def test_damaged_while_it_runs(
    tables: Tables, table: str, folder: Path, damage: Callable[[Path], None]
) -> None:
    """The process ends with 1 and says why; nothing of what came is lost."""
    with running(folder) as run:
        run.event("running")
        eventually(lambda: run.admin("/ready")[0] == 200, "ready", run=run)
        damage(folder / STATE)
        tables.put(table, 2)
        ended = run.end()
    refused(ended, 1, folder / STATE)
    delete(folder)
    tables.put(table, 3)
    deliver(folder, "3")
    assert {"2", "3"} <= set(arrived(folder)[2:])


# The witness itself


def test_each_sink_is_decided_about_with_a_damaged_witness_too(
    tables: Tables, table: str, tmp_path: Path
) -> None:
    configure(tmp_path, tables.url, table, "latest", "file", "other")
    begin(tables, table, tmp_path, "file", "other")
    delete(tmp_path)
    (tmp_path / WITNESS).write_text("{torn")
    tables.put(table, 2)
    for sink in ("file", "other"):
        refused(cdc(tmp_path, "run", "pipeline.yaml", "--until-caught-up"), 3, f"--sink {sink}")
        reset = ("positions", "reset", "pipeline.yaml", "--sink", sink, "--to", "trim-horizon")
        assert cdc(tmp_path, *reset).code == 0
    assert cdc(tmp_path, "run", "pipeline.yaml", "--until-caught-up").code == 0
    for sink in ("file", "other"):
        assert arrived(tmp_path, sink) == ["0", "1", "0", "1", "2"]


@pytest.mark.parametrize("start", ["latest"], indirect=True)
def test_witness(tables: Tables, table: str, folder: Path) -> None:
    """Lost, it is written anew; damaged, it is too, as long as there are positions; a newer one is refused."""
    (folder / WITNESS).unlink()
    deliver_next_without_a_finding(tables, table, folder, "2")
    assert [pair["sink"] for pair in witness(folder)["pairs"]] == ["file"]
    (folder / WITNESS).write_text('{"format": 1, "pipe')
    tables.put(table, 3)
    assert finding(deliver(folder, "3"))["finding"] == "right"
    newer = witness(folder) | {"format": 2}
    (folder / WITNESS).write_text(json.dumps(newer))
    refused(cdc(folder, "run", "pipeline.yaml"), 2, folder / WITNESS, "newer")
    (folder / WITNESS).write_text("")
    delete(folder)
    refused(cdc(folder, "run", "pipeline.yaml"), 3, "not known")
