"""A state that was restored from a copy, or stands beside another one's companions: a defined result, and no silent loss."""

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.command.folder import tree
from tests.command.process import cdc, eventually, running
from tests.command.proxy import Proxy, proxy
from tests.dynamodb_streams.canned_server import Reply, error
from tests.dynamodb_streams.tables import Tables
from tests.e2e.state_loss import (
    EXPORT,
    IMPORT,
    STATE,
    WITNESS,
    alarm,
    arrived,
    begin,
    configure,
    deliver,
    deliver_next_without_a_finding,
    finding,
    folder,
    refused,
    shown,
    start,
    table,
    witness,
)

__all__ = ["folder", "start", "table"]


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
