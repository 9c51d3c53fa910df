"""`cdc positions export` and `import`: a pipeline goes on from another store; a backup is what it was."""

import json
import random
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

from cdc.model import ShardKey, after
from cdc.observe.positions import to_dict
from cdc.ports import Saved, SavedCursor, SavedStart
from tests.command.folder import file_sink, lines, tree, write
from tests.command.process import Ended, cdc, eventually, launch, running
from tests.dynamodb_streams.tables import REGION, Tables

EXPORT = ("positions", "export", "pipeline.yaml")
IMPORT = ("positions", "import", "pipeline.yaml")

STORES: Mapping[str, Callable[[Tables], dict[str, Any]]] = {
    "sqlite": lambda _: {"path": "./another.db"},
    "dynamodb": lambda tables: {
        "type": "dynamodb",
        "table": f"state-{uuid4().hex}",
        "region": REGION,
        "endpoint_url": tables.url,
    },
}
"""`state` of a configuration, for a store that has nothing yet; the tables say where a DynamoDB is."""


@pytest.fixture
def table(tables: Tables) -> str:
    name = tables.create()
    tables.put_many(name, 10)
    return name


@pytest.fixture
def folder(tables: Tables, table: str, tmp_path: Path) -> Path:
    """A pipeline that has delivered ten changes to two sinks, and was stopped."""
    write(tmp_path, tables.url, table, [file_sink(), file_sink("other")])
    deliver(tmp_path, 10)
    return tmp_path


def arrived(folder: Path, sink: str) -> list[str]:
    return [line["key"]["at"]["N"] for line in lines(folder / f"{sink}.jsonl")]


def deliver(folder: Path, count: int) -> str:
    def all_have() -> bool:
        return all(len(arrived(folder, sink)) >= count for sink in ("file", "other"))

    with running(folder) as run:
        eventually(all_have, f"{count} changes at both", run=run)
        return run.stop().err


def with_state(folder: Path, state: Mapping[str, Any]) -> None:
    configuration = yaml.safe_load((folder / "pipeline.yaml").read_text("utf-8"))
    configuration["state"] = {"checkpoint_seconds": 0.1, **state}
    (folder / "pipeline.yaml").write_text(yaml.safe_dump(configuration), "utf-8")


def exported(folder: Path) -> dict[str, Any]:
    """Without what differs from export to export of the same positions."""
    found = cdc(folder, *EXPORT)
    assert found.code == 0, found.err
    return {
        key: value for key, value in json.loads(found.out).items() if key not in ("exported_at", "checksum")
    }


def refused(ended: Ended, code: int, *names: object) -> None:
    assert ended.code == code, ended.text
    assert "Traceback" not in ended.err
    assert "     remedy: " in ended.err
    for name in names:
        assert str(name) in ended.err


@pytest.mark.parametrize("store", STORES)
def test_goes_on_from_another_store(tables: Tables, table: str, folder: Path, store: str) -> None:
    """Nothing is lost, nothing comes twice; and the way back is the same."""
    for state, number in ((STORES[store](tables), 10), ({"path": "./back.db"}, 11)):
        before = exported(folder)
        assert cdc(folder, *EXPORT, "--output", "positions.json").code == 0
        with_state(folder, state)
        done = cdc(folder, *IMPORT, "positions.json")
        assert done.code == 0, done.err
        assert "2 positions of file, other" in done.out
        assert "delivered since is delivered again" in done.out
        assert exported(folder) == before
        tables.put(table, number)
        assert '"event": "state"' not in deliver(folder, number + 1)
        for sink in ("file", "other"):
            assert arrived(folder, sink) == [str(at) for at in range(number + 1)]


def test_an_older_export_delivers_again_from_there(tables: Tables, table: str, folder: Path) -> None:
    assert cdc(folder, *EXPORT, "--output", "positions.json").code == 0
    tables.put(table, 10)
    deliver(folder, 11)
    refused(cdc(folder, *IMPORT, "positions.json"), 2, "cdc-state.db", "--replace")
    done = cdc(folder, *IMPORT, "positions.json", "--replace")
    assert done.code == 0, done.err
    tables.put(table, 11)
    assert "an old copy" in deliver(folder, 13)
    assert arrived(folder, "file") == [*map(str, range(11)), "10", "11"]


def test_beside_a_running_process(tables: Tables, table: str, folder: Path) -> None:
    with running(folder) as run:
        run.event("running")
        beside = cdc(folder, *EXPORT, "--output", "positions.json")
        assert beside.code == 0, beside.err
        assert str(run.process.pid) in beside.err
        assert "delivered again" in beside.err
        refused(cdc(folder, *IMPORT, "positions.json", "--replace"), 1, run.process.pid)
        run.stop()
    assert cdc(folder, *EXPORT).err == ""


def test_files_that_are_refused(folder: Path) -> None:
    assert cdc(folder, *EXPORT, "--output", "good.json").code == 0
    good = (folder / "good.json").read_text()
    bad = {
        "cut.json": good[: len(good) // 2],
        "changed.json": good.replace('"after"', '"end"', 1),
        "newer.json": good.replace('"version": 1', '"version": 2'),
        "yaml.json": "version: 1\n",
        "empty.json": "",
    }
    for name, content in bad.items():
        (folder / name).write_text(content)
    before = tree(folder)
    for name in [*bad, "absent.json"]:
        refused(cdc(folder, *IMPORT, name, "--replace"), 2, name)
    assert cdc(folder, *EXPORT, "--output", "no/such/folder.json").code == 2
    assert tree(folder) == before
    (folder / "pipeline.yaml").write_text(
        (folder / "pipeline.yaml").read_text().replace("pipeline: orders", "pipeline: parcels")
    )
    refused(cdc(folder, *IMPORT, "good.json"), 2, "parcels", "pipeline orders")
    refused(cdc(folder, *EXPORT), 2, "nothing saved")


@pytest.mark.parametrize("store", STORES)
def test_killed_in_the_middle(tables: Tables, table: str, tmp_path: Path, store: str) -> None:
    """The store has what it had, or all of the file."""
    write(tmp_path, tables.url, table, [file_sink()])
    with_state(tmp_path, STORES[store](tables))
    files = []
    for number in (1, 2):
        cursors = [
            SavedCursor(
                "file", ShardKey("arn", f"shardId-{shard:08d}"), after(str(number)), table, False, 1.0
            )
            for shard in range(4000)
        ]
        saved = Saved(
            cursors, [SavedStart("file", "arn", table, "latest", 1.0)], settings={"state.identity": "mine"}
        )
        (tmp_path / f"{number}.json").write_text(json.dumps(to_dict("orders", saved, at=1.0)))
        files.append(f"{number}.json")
    whole = cdc(tmp_path, *IMPORT, files[0])
    assert whole.code == 0, whole.err
    chance = random.Random(1)
    for turn in range(6):
        with launch(tmp_path, *IMPORT, files[turn % 2], "--replace") as process:
            time.sleep(whole.seconds * chance.uniform(0.6, 1.0))
            process.kill()
        rows = exported(tmp_path)["positions"]
        assert len(rows) == 4000
        assert len({row["sequence"] for row in rows}) == 1
