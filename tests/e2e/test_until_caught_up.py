"""`cdc run --until-caught-up`: 0, 1 for a sink without progress, 3 for a gap; and what follows a gap or a new sink."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.command.folder import file_sink, lines, tree, write
from tests.command.process import Running, cdc, eventually, running
from tests.command.proxy import Proxy, proxy
from tests.dynamodb_streams.canned_server import Reply, error
from tests.dynamodb_streams.tables import Tables
from tests.services.server import free_port

RUN = ("run", "pipeline.yaml", "--until-caught-up")


@pytest.fixture
def table(tables: Tables) -> str:
    name = tables.create()
    tables.put_many(name, 10)
    return name


def numbers(path: Path) -> list[str]:
    return [line["key"]["at"]["N"] for line in lines(path)]


TEN = [str(number) for number in range(10)]


def has_ten(path: Path) -> bool:
    return numbers(path) == TEN


def delivered(folder: Path, *sinks: str) -> None:
    """A first run, until it has delivered what there is."""
    with running(folder) as run:
        for sink in sinks or ("file",):
            has_them = partial(has_ten, folder / f"{sink}.jsonl")
            eventually(has_them, f"ten changes at {sink}", run=run)
        run.stop()


@pytest.fixture(scope="module", autouse=True)
def stalled(tables: Tables, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Running]]:
    """`run --until-caught-up` with a sink that is down, which takes a minute: it runs beside the other tests."""
    folder = tmp_path_factory.mktemp("stalled")
    name = tables.create()
    tables.put_many(name, 10)
    bus = {"name": "bus", "type": "kafka", "bootstrap_servers": f"127.0.0.1:{free_port()}"}
    write(folder, tables.url, name, [file_sink(), bus])
    with running(folder, "--until-caught-up") as run:
        yield folder, run


def test_ends_with_0_and_a_new_sink_starts_alone(tables: Tables, table: str, tmp_path: Path) -> None:
    write(tmp_path, tables.url, table, [file_sink()])
    delivered(tmp_path)
    tables.put(table, 11)
    write(tmp_path, tables.url, table, [file_sink(), file_sink("late")])
    second = cdc(tmp_path, *RUN)
    assert second.code == 0, second.err
    assert numbers(tmp_path / "file.jsonl") == [*TEN, "11"]
    assert numbers(tmp_path / "late.jsonl") == [*TEN, "11"]


@pytest.fixture
def trimming(tables: Tables) -> Iterator[Proxy]:
    """What a position names has expired, while `proxy.answers` says so."""
    with proxy(tables.url) as front:
        yield front


def trimmed(request: dict[str, Any]) -> Reply | None:
    if request["ShardIteratorType"] != "AFTER_SEQUENCE_NUMBER":
        return None
    return error(
        "TrimmedDataAccessException", message="The operation attempted to read past the oldest record"
    )


def test_gap_ends_with_3_and_is_decided(tables: Tables, trimming: Proxy, table: str, tmp_path: Path) -> None:
    write(tmp_path, trimming.url, table, [file_sink(), file_sink("other")])
    delivered(tmp_path, "file", "other")
    tables.put(table, 11)

    trimming.answers["GetShardIterator"] = trimmed
    gap = cdc(tmp_path, *RUN)
    assert gap.code == 3, gap.err
    assert "sink " in gap.err
    assert "cdc positions reset" in gap.err
    assert "Traceback" not in gap.err
    assert numbers(tmp_path / "file.jsonl") == TEN

    shown = json.loads(cdc(tmp_path, "positions", "show", "pipeline.yaml", "--json").out)
    waiting = {(row["sink"], row["shard"]) for row in shown["gaps"]}
    assert {sink for sink, _ in waiting} == {"file", "other"}
    for sink, to in (("file", "trim-horizon"), ("other", "latest")):
        reset = cdc(tmp_path, "positions", "reset", "pipeline.yaml", "--sink", sink, "--to", to)
        assert reset.code == 0, reset.err
        assert to in reset.out
    no_more = cdc(tmp_path, "positions", "reset", "pipeline.yaml", "--sink", "file", "--to", "latest")
    assert no_more.code == 2, no_more.err
    assert "remedy: " in no_more.err

    decided = cdc(tmp_path, *RUN)
    assert decided.code == 0, decided.err
    assert numbers(tmp_path / "file.jsonl") == [*TEN, *TEN, "11"]


def on_gap(folder: Path, policy: str) -> None:
    """As if somebody had edited the file."""
    path = folder / "pipeline.yaml"
    configuration = yaml.safe_load(path.read_text())
    configuration["source"]["on_gap"] = policy
    path.write_text(yaml.safe_dump(configuration, sort_keys=False))


def test_skip_and_snapshot_go_on_and_every_gap_stays_in_the_status(
    tables: Tables, trimming: Proxy, table: str, tmp_path: Path
) -> None:
    """`halt` first; then what waits is decided by the policy of the next start."""
    write(tmp_path, trimming.url, table, [file_sink()])
    delivered(tmp_path)
    tables.put(table, 11)
    trimming.answers["GetShardIterator"] = trimmed

    def the_gap() -> dict[str, Any]:
        (gap,) = json.loads(cdc(tmp_path, "status", "pipeline.yaml", "--json").out)["gaps"]
        return dict(gap)

    assert cdc(tmp_path, *RUN).code == 3
    waits = the_gap()
    assert (waits["kind"], waits["certain"], waits["open"], waits["decision"]) == ("trimmed", False, True, "")

    on_gap(tmp_path, "snapshot")
    asked = cdc(tmp_path, *RUN)
    assert asked.code == 3, asked.err
    assert "this version cannot take the snapshot" in asked.err
    assert numbers(tmp_path / "file.jsonl") == [*TEN, "11"], "it goes on all the same"
    assert (the_gap()["decision"], the_gap()["open"]) == ("snapshot requested", True)
    assert "snapshot is requested" in cdc(tmp_path, "status", "pipeline.yaml").out

    del trimming.answers["GetShardIterator"]
    on_gap(tmp_path, "skip")
    tables.put(table, 12)
    skipped = cdc(tmp_path, *RUN)
    assert skipped.code == 0, skipped.err
    assert numbers(tmp_path / "file.jsonl") == [*TEN, "11", "12"]
    gap = the_gap()
    assert (gap["decision"], gap["open"]) == ("skipped", False)
    assert (gap["found_at"], gap["after"]) == (waits["found_at"], waits["after"])
    assert "trimmed" in cdc(tmp_path, "status", "pipeline.yaml").out


def test_a_gap_that_is_skipped_is_an_error_in_the_log(
    tables: Tables, trimming: Proxy, table: str, tmp_path: Path
) -> None:
    write(tmp_path, trimming.url, table, [file_sink(), file_sink("other")])
    on_gap(tmp_path, "skip")
    delivered(tmp_path, "file", "other")
    tables.put(table, 11)
    trimming.answers["GetShardIterator"] = trimmed
    run = cdc(tmp_path, *RUN)
    assert run.code == 0, run.err
    told = [json.loads(line) for line in run.err.splitlines() if '"event":"gap"' in line.replace(" ", "")]
    assert {(line["sink"], line["kind"], line["level"]) for line in told} == {
        ("file", "trimmed", "error"),
        ("other", "trimmed", "error"),
    }
    for name in ("file", "other"):
        assert numbers(tmp_path / f"{name}.jsonl") == [*TEN, "11"]
    shown = json.loads(cdc(tmp_path, "positions", "show", "pipeline.yaml", "--json").out)["gaps"]
    assert {(row["sink"], row["decision"], row["count"]) for row in shown} == {
        ("file", "skipped", 1),
        ("other", "skipped", 1),
    }


def test_a_position_that_is_set_by_hand_is_no_gap(tables: Tables, table: str, tmp_path: Path) -> None:
    write(tmp_path, tables.url, table, [file_sink()])
    delivered(tmp_path)
    (position, *_) = json.loads(cdc(tmp_path, "positions", "show", "pipeline.yaml", "--json").out)[
        "positions"
    ]
    reset = ("positions", "reset", "pipeline.yaml", "--sink", "file", "--shard", position["shard"])
    assert cdc(tmp_path, *reset, "--to", "trim-horizon").code == 0
    status = json.loads(cdc(tmp_path, "status", "pipeline.yaml", "--json").out)
    assert status["gaps"] == []
    assert [(row["sink"], row["decision"]) for row in status["resets"]] == [("file", "reset to trim-horizon")]
    assert all(counted["gaps"] == 0 for sink in status["sinks"] for counted in sink["tables"])
    assert "Positions set by hand" in cdc(tmp_path, "status", "pipeline.yaml").out


def test_reset_of_what_is_not_there(tables: Tables, table: str, tmp_path: Path) -> None:
    write(tmp_path, tables.url, table, [file_sink()])
    before = tree(tmp_path)
    for arguments in (
        ("--sink", "fiel", "--to", "latest"),
        ("--sink", "file", "--to", "latest", "--shard", "x"),
    ):
        answer = cdc(tmp_path, "positions", "reset", "pipeline.yaml", *arguments)
        assert answer.code == 2, answer.err
        assert "remedy: " in answer.err
    assert tree(tmp_path) == before


def test_sink_without_progress_for_a_minute_ends_with_1(stalled: tuple[Path, Running]) -> None:
    folder, run = stalled
    ended = run.end(seconds=100)
    assert ended.code == 1, ended.err
    said = [line for line in ended.err.splitlines() if not line.startswith("{")]
    assert said[0].startswith("cdc: sink bus made no progress for 60 s")
    assert said[1].startswith("     remedy: ")
    assert numbers(folder / "file.jsonl") == TEN
