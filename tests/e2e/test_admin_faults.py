"""The admin server goes on answering, whatever it finds."""

import json
from pathlib import Path

from tests.command.folder import file_sink, write
from tests.command.process import running
from tests.dynamodb_streams.tables import Tables


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
