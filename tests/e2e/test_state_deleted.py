"""A state that was deleted: what came since is delivered, or the run is refused until somebody decides."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.command.folder import tree
from tests.command.process import cdc
from tests.dynamodb_streams.tables import REGION, Tables
from tests.e2e.state_loss import (
    STARTS,
    STATE,
    age,
    alarm,
    arrived,
    begin,
    configure,
    delete,
    deliver,
    deliver_next_without_a_finding,
    empty,
    finding,
    folder,
    refused,
    start,
    table,
)

__all__ = ["folder", "start", "table"]


DAY = 24 * 3600.0


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
