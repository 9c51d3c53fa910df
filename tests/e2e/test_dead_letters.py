"""`cdc dead-letters`: list, show and replay, with letters of sinks that need no server."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import fastavro
import jsonschema
import pytest

import schemas
from cdc.model import ShardKey
from cdc.ports import DeadLetter
from connectors.dead_letters import FileDeadLetters
from tests.command.folder import file_sink, lines, tree, write
from tests.command.plugin import install
from tests.command.process import Ended, Running, cdc, eventually, running
from tests.command.proxy import proxy
from tests.dynamodb_streams.tables import Tables

SECRET = "a value of an item"
LINE = json.loads((Path(schemas.__file__).parent / "file-line.schema.json").read_text("utf-8"))
RUN = ("run", "pipeline.yaml", "--until-caught-up")
LAKE = {"name": "lake", "type": "lake", "url": "file:./lake", "flush_after_seconds": 0.2}


@pytest.fixture(scope="module")
def table(tables: Tables) -> str:
    name = tables.create()
    for at in (1, 2):
        tables.put(name, at, note={"S": SECRET})
    return name


@pytest.fixture(scope="module")
def after_a_run(tables: Tables, table: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both changes are delivered everywhere, and both are dead letters of both sinks too."""
    folder = tmp_path_factory.mktemp("dead-letters")
    write(folder, tables.url, table, [file_sink(), LAKE])
    ended = cdc(folder, "run", "pipeline.yaml", "--until-caught-up")
    assert ended.code == 0, ended.err
    put_aside(folder, [letter for sink in ("file", "lake") for letter in letters(folder, table, sink)])
    return folder


@pytest.fixture
def folder(after_a_run: Path, tmp_path: Path) -> Path:
    """A copy: paths in it are relative."""
    return Path(shutil.copytree(after_a_run, tmp_path / "pipeline"))


def letters(folder: Path, table: str, sink: str) -> list[DeadLetter]:
    return [
        DeadLetter(
            pipeline="orders",
            sink=sink,
            table=table,
            shard=ShardKey(line["stream"], line["shard"]),
            sequence=line["sequence"],
            created_ms=int(line["version"][:13]),
            kind="rejected",
            reason="too large",
            at=1_767_229_200.5,
            record=record_of(line),
        )
        for line in lines(folder / "file.jsonl")
    ]


def record_of(line: dict[str, Any]) -> bytes:
    images = {
        "ApproximateCreationDateTime": line["time_ms"] / 1000,
        "Keys": line["key"],
        "NewImage": line["after"],
        "SequenceNumber": line["sequence"],
    }
    return json.dumps({"eventName": "INSERT", "dynamodb": images}).encode()


def put_aside(folder: Path, found: Sequence[DeadLetter]) -> None:
    store = FileDeadLetters(folder / "cdc-dead-letters", "orders")
    store.open()
    store.write(found)
    store.close()


def dead_letters(folder: Path, command: str, *arguments: str) -> Ended:
    return cdc(folder, "dead-letters", command, "pipeline.yaml", *arguments)


def listed(folder: Path, *arguments: str) -> list[dict[str, Any]]:
    answer = dead_letters(folder, "list", "--json", *arguments)
    assert answer.code == 0, answer.err
    found: list[dict[str, Any]] = json.loads(answer.out)
    return found


def open_ones(folder: Path) -> dict[str, int]:
    shown = json.loads(cdc(folder, "status", "pipeline.yaml", "--json").out)
    return {sink["name"]: sink["dead_letters"] for sink in shown["sinks"]}


def test_list_has_a_line_each_and_no_values(folder: Path, table: str) -> None:
    before = tree(folder)
    answer = dead_letters(folder, "list")
    assert answer.code == 0
    assert SECRET not in answer.text
    rows = answer.out.splitlines()
    assert len(rows) == 5
    for found, row in zip(listed(folder), rows[1:], strict=True):
        assert all(
            word in row for word in (found["id"], found["sink"], table, "rejected", "too large", "open")
        )
    assert SECRET not in json.dumps(listed(folder))
    assert {letter["sink"] for letter in listed(folder, "--sink", "lake")} == {"lake"}
    assert len(listed(folder, "--table", table)) == 4
    assert not listed(folder, "--table", "other")
    assert tree(folder) == before


def test_show_has_the_record(folder: Path) -> None:
    first = listed(folder)[0]
    answer = dead_letters(folder, "show", first["id"])
    assert answer.code == 0
    assert SECRET in answer.out
    shown = json.loads(dead_letters(folder, "show", first["id"], "--json").out)
    assert {key: shown[key] for key in first} == first
    assert json.loads(shown["record"])["dynamodb"]["SequenceNumber"] == first["sequence"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("show", "nothing"), "no dead letter nothing"),
        (("replay", "nothing"), "no dead letter nothing"),
        (("replay",), "--all"),
        (("replay", "x", "--all"), "--all"),
        (("replay", "--all"), "--force"),
        (("replay", "--all", "--sink", "lake"), "--force"),
    ],
)
def test_what_is_refused_is_2_and_changes_nothing(
    folder: Path, arguments: tuple[str, ...], said: str
) -> None:
    before = tree(folder)
    answer = dead_letters(folder, *arguments)
    assert answer.code == 2, answer.text
    assert said in answer.err
    assert tree(folder) == before


def test_by_force_with_the_version_of_then_and_a_mark(folder: Path, table: str) -> None:
    one, two, *in_lake = listed(folder)
    answer = dead_letters(folder, "replay", two["id"], "--force")
    assert answer.code == 0, answer.text
    assert two["id"] in answer.out
    written = lines(folder / "file.jsonl")
    assert [line.get("replayed") for line in written] == [None, None, True]
    jsonschema.validate(written[2], LINE)
    assert {k: v for k, v in written[2].items() if k != "replayed"} == written[1]
    assert open_ones(folder) == {"file": 1, "lake": 2}

    plain = files(folder, table)
    everything = dead_letters(folder, "replay", "--all", "--force", "--json")
    assert everything.code == 0, everything.text
    assert {done["id"] for done in json.loads(everything.out)} == {one["id"], *(x["id"] for x in in_lake)}
    assert open_ones(folder) == {"file": 0, "lake": 0}
    new = {name: found for name, found in files(folder, table).items() if name not in plain}
    assert {mark for mark, _ in plain.values()} == {None}
    assert {mark for mark, _ in new.values()} == {"true"}
    versions = [version for _, found in new.values() for version in found]
    assert versions == [letter["version"] for letter in in_lake]

    once_more = dead_letters(folder, "replay", two["id"])
    assert once_more.code == 2
    assert "--force" in once_more.err
    nothing = dead_letters(folder, "replay", "--all")
    assert (nothing.code, nothing.out) == (0, "")
    assert len(lines(folder / "file.jsonl")) == 4


def files(folder: Path, table: str) -> dict[str, tuple[str | None, list[str]]]:
    """Each file's mark, and the versions of its rows."""
    found = {}
    for path in sorted((folder / "lake").glob(f"{table}/**/*.avro")):
        with path.open("rb") as stored:
            reader: Any = fastavro.reader(stored)
            found[path.name] = (reader.metadata.get("cdc.replayed"), [row["__version"] for row in reader])
    return found


def test_one_that_is_refused_again_stays(folder: Path, table: str) -> None:
    first, second = letters(folder, table, "file")
    unreadable = replace(first, sequence="1", record=b"{}")
    other = replace(first, sequence="2")
    keyless = replace(second, sequence="3", record=second.record.replace(b'"Keys"', b'"Key"'))
    keyless = replace(keyless, record=keyless.record.replace(second.sequence.encode(), b"3"))
    put_aside(folder, [unreadable, other, keyless])
    answer = dead_letters(folder, "replay", "--all", "--sink", "file", "--force")
    assert answer.code == 1
    assert "3 of 5" in answer.err
    told = {line.split()[0]: line for line in answer.out.splitlines()}
    for letter, why in ((unreadable, "cannot be read"), (other, "another change"), (keyless, "no keys")):
        assert "refused: " in told[letter.id]
        assert why in told[letter.id]
    assert open_ones(folder)["file"] == 3
    assert SECRET not in answer.text


def test_a_sink_or_a_table_that_is_not_configured_any_more(folder: Path, table: str, tables: Tables) -> None:
    write(folder, tables.url, table, [file_sink()])
    gone = dead_letters(folder, "replay", "--all", "--force")
    assert gone.code == 2
    assert "sink lake, which is not in this configuration" in gone.err
    other = tables.create()
    write(folder, tables.url, other, [file_sink(), LAKE])
    moved = dead_letters(folder, "replay", "--all", "--force", "--sink", "file")
    assert moved.code == 2
    assert f"table {table}, which is not in this configuration" in moved.err
    assert open_ones(folder) == {"file": 2, "lake": 2}


def test_beside_a_run_it_lists_and_does_not_replay(folder: Path) -> None:
    with running(folder) as run:
        run.event("running")
        assert len(listed(folder)) == 4
        refused = dead_letters(folder, "replay", "--all", "--force")
        assert refused.code == 1
        assert str(run.process.pid) in refused.err
        run.stop()
    assert len(lines(folder / "file.jsonl")) == 2


def test_a_sink_that_refuses_whole_batches_gets_all_but_what_is_to_blame(
    tables: Tables, tmp_path: Path
) -> None:
    table = tables.create()
    poison = {7, 8, 31}
    for at in range(40):
        tables.put(table, at, **({"poison": {"BOOL": True}} if at in poison else {}))
    env = install(tmp_path / "site")
    picky = {"name": "picky", "type": "picky", "path": "./taken", "refuses": ["poison"]}
    # A shard is called five times a second: looking for more every 0.1 s takes them from the search.
    write(tmp_path, tables.url, table, [file_sink(), picky], idle_poll_seconds=1)
    ended = cdc(tmp_path, *RUN, env=env)
    assert ended.code == 0, ended.err
    written = lines(tmp_path / "file.jsonl")
    numbers = {line["sequence"]: int(line["key"]["at"]["N"]) for line in written}
    assert len(numbers) == 40
    taken = [numbers[sequence] for sequence in (tmp_path / "taken").read_text().split()]
    assert taken == [at for at in range(40) if at not in poison]
    found = json.loads(cdc(tmp_path, "dead-letters", "list", "pipeline.yaml", "--json", env=env).out)
    assert [numbers[letter["sequence"]] for letter in found] == sorted(poison)
    assert {letter["reason"] for letter in found} == {"there is something in it"}

    replay = ("dead-letters", "replay", "pipeline.yaml", "--all", "--force")
    still = cdc(tmp_path, *replay, env=env)
    assert (still.code, still.out.count("refused: there is something in it")) == (1, 3)
    write(tmp_path, tables.url, table, [file_sink(), picky | {"refuses": []}])
    mended = cdc(tmp_path, *replay, env=env)
    assert mended.code == 0, mended.text
    taken = [numbers[sequence] for sequence in (tmp_path / "taken").read_text().split()]
    assert taken[37:] == sorted(poison)


def keyless(answer: dict[str, Any]) -> None:
    for record in answer["Records"]:
        del record["dynamodb"]["Keys"]


def test_a_flood_halts_its_sink_until_the_limit_is_raised(tables: Tables, table: str, tmp_path: Path) -> None:
    with proxy(tables.url) as front:
        front.edits["GetRecords"] = keyless
        limit = {"max_dead_letters_per_minute": 1}
        write(tmp_path, front.url, table, [file_sink()], dead_letters=limit)
        ended = cdc(tmp_path, *RUN)
        assert ended.code == 1
        assert "sink file, which is halted: 2 changes were refused within a minute" in ended.err
        assert "the record has no keys" in ended.err
        assert "remedy: " in ended.err
        assert "max_dead_letters_per_minute" in ended.err.split("remedy: ")[-1]
        assert not listed(tmp_path)

        with running(tmp_path) as run:
            run.event("sink-halted")
            halted = partial(is_said, run, "/ready", 503, "sink file is halted")
            eventually(halted, "a halted sink is not ready", run=run)
            eventually(lambda: sink_of(run)["state"] == "halted", "the status", run=run)
            assert "max_dead_letters_per_minute" in sink_of(run)["remedy"]
            alarms = json.loads(run.admin("/status")[1])["alarms"]
            (alarm,) = (alarm for alarm in alarms if alarm["about"] == "sink file")
            assert (alarm["severity"], alarm["remedy"]) == ("error", sink_of(run)["remedy"])
            metrics = run.admin("/metrics")[1]
            assert 'cdc_sink_up{pipeline="orders",sink="file"} 0.0' in metrics
            run.stop()

        write(tmp_path, front.url, table, [file_sink()], dead_letters={"max_dead_letters_per_minute": 2})
        raised = cdc(tmp_path, *RUN)
        assert raised.code == 0, raised.err
        assert len(listed(tmp_path)) == 2


def is_said(run: Running, path: str, code: int, what: str) -> bool:
    answered, body = run.admin(path)
    return answered == code and what in body


def sink_of(run: Running) -> dict[str, Any]:
    sinks = json.loads(run.admin("/status")[1])["sinks"]
    (found,) = (sink for sink in sinks if sink["name"] == "file")
    assert isinstance(found, dict)
    return found
