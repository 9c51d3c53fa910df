"""The admin server goes on answering, whatever it finds."""

import json
from pathlib import Path
from typing import Any

import jsonschema

import schemas
from tests.command.folder import file_sink, lines, write
from tests.command.process import cdc, eventually, running
from tests.command.proxy import proxy
from tests.dynamodb_streams.tables import Tables

STATUS = json.loads((Path(schemas.__file__).parent / "status.schema.json").read_text("utf-8"))


def test_dead_letters_that_cannot_be_read_cost_the_status_and_not_the_server(
    tables: Tables, tmp_path: Path
) -> None:
    letters = tmp_path / "letters"
    letters.mkdir()
    (letters / "orders.file.jsonl").write_text("this is no dead letter\n")
    write(
        tmp_path,
        tables.url,
        tables.create(),
        [file_sink()],
        dead_letters={"type": "file", "path": "./letters"},
    )
    with running(tmp_path) as run:
        for _ in range(8):  # more than the server has threads
            code, body = run.admin("/status")
            assert (code, "is no dead letter" in json.loads(body)["error"]) == (503, True)
        assert run.admin("/health")[0] == 200
        run.stop()


def keyless(answer: dict[str, Any]) -> None:
    """No sink can take what has no key."""
    for record in answer["Records"]:
        del record["dynamodb"]["Keys"]


def test_dead_letters_that_cannot_be_written_are_said_until_they_can(tables: Tables, tmp_path: Path) -> None:
    table, letters = tables.create(), tmp_path / "letters"
    with proxy(tables.url) as front:
        front.edits["GetRecords"] = keyless
        write(tmp_path, front.url, table, [file_sink()], dead_letters={"type": "file", "path": "./letters"})
        with running(tmp_path) as run:
            eventually(lambda: run.admin("/ready")[0] == 200, "ready", run=run)
            letters.rename(tmp_path / "aside")
            letters.write_text("")  # permissions do not hold root back; this does
            tables.put(table, 1)
            said = "sink file: dead letters cannot be written: the dead letters in "
            eventually(lambda: said in run.admin("/ready")[1], "the reason", run=run)
            code, body = run.admin("/ready")
            assert (code, "Not a directory" in body) == (503, True)

            found = json.loads(cdc(tmp_path, "status", "pipeline.yaml", "--json").out)
            jsonschema.validate(found, STATUS)
            (sink,) = found["sinks"]
            assert (sink["state"], "Not a directory" in sink["dead_letters_error"]) == ("up", True)
            (held,) = (shard["waits_for"] for shard in found["shards"] if shard["waits_for"])
            assert held.startswith("its dead letters cannot be written")
            (alarm,) = (alarm for alarm in found["alarms"] if alarm["about"] == "sink file")
            assert (alarm["severity"], alarm["remedy"]) == ("error", sink["dead_letters_remedy"])
            assert "look at this folder" in alarm["remedy"]
            shown = cdc(tmp_path, "status", "pipeline.yaml")
            assert "dead letters cannot be written" in " ".join(shown.out.split())

            letters.unlink()
            (tmp_path / "aside").rename(letters)
            eventually(lambda: run.admin("/ready")[0] == 200, "ready again", run=run)
            run.stop()
    assert len(lines(letters / "orders.file.jsonl")) == 1
