"""A state that is damaged, before or while it is used, and a witness that is: a clear message, and no silent loss."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.command.folder import tree
from tests.command.process import cdc, eventually, running
from tests.dynamodb_streams.tables import Tables
from tests.e2e.state_loss import (
    EXPORT,
    IMPORT,
    STATE,
    WITNESS,
    arrived,
    begin,
    configure,
    delete,
    deliver,
    deliver_next_without_a_finding,
    finding,
    folder,
    refused,
    start,
    table,
    witness,
)

__all__ = ["folder", "start", "table"]


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
