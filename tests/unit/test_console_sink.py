import dataclasses
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.errors import SinkError
from cdc.model import Answer, Batch, EncodedBatch
from cdc.testing.batches import EVERY_TYPE, Table
from cdc.testing.sink_run import SinkRun
from connectors.console import CONNECTOR
from connectors.console.sink import ConsoleSink
from connectors.console.text import one_line
from schemas.change_line import encode_lines


def life() -> Batch:
    shard = Table().shard()
    shard.put("o-1", total={"N": "19.90"}, note={"S": "new"})
    shard.put("o-1", total={"N": "24.90"})
    shard.delete("o-1", by_ttl=True)
    return shard.batch()


def test_people_see_what_happened() -> None:
    batch = life()
    assert [one_line(batch, change).plain for change in batch.changes] == [
        '00:00:00 orders + pk="o-1" total: 19.90 note: "new"',
        '00:00:01 orders ~ pk="o-1" total: 19.90 → 24.90 note: "new" → gone',
        '00:00:02 orders - pk="o-1" (time to live)',
    ]


def test_every_type_has_a_form() -> None:
    shard = Table().shard()
    shard.put("a", **EVERY_TYPE)
    batch = shard.batch()
    line = one_line(batch, batch.changes[0]).plain
    for name, form in {
        "precise": "12345678901234567890.123456789012345678",
        "nothing": "null",
        "yes": "true",
        "strings": '{"x", "y"}',
        "list": '[1, "x", [], {}]',
        "bytes": "<AP8B/w==>",
    }.items():
        assert f"{name}: {form}" in line


@given(st.text(), st.text(min_size=1))
def test_a_value_has_no_power_over_the_terminal(value: str, name: str) -> None:
    shard = Table().shard()
    shard.put("a", **{name: {"S": value}, "member": {"M": {name: {"S": value}}}})
    batch = shard.batch()
    assert one_line(batch, batch.changes[0]).plain.isprintable()


def test_a_terminal_shows_text_and_anything_else_gets_json() -> None:
    main, terminal = os.openpty()
    batch = life()
    with open(main, "rb", buffering=0) as screen, open(terminal, "w") as output:  # noqa: PTH123 - descriptors
        ConsoleSink("console", output=output).write(EncodedBatch(batch)).durable.result(0)
        shown = screen.read(10_000).decode()
    assert "24.90" in shown
    assert "\x1b[" in shown or os.environ.get("NO_COLOR") or os.environ.get("TERM") in {None, "dumb"}
    assert shown.count("\n") == 3
    elsewhere = io.StringIO()
    ConsoleSink("console", output=elsewhere).write(EncodedBatch(batch)).durable.result(0)
    assert [json.loads(line)["op"] for line in elsewhere.getvalue().splitlines()] == ["c", "u", "d"]


def test_a_long_line_is_one_line_whatever_the_width() -> None:
    shard = Table().shard()
    shard.put("a", text={"S": "word " * 200})
    output = io.StringIO()
    ConsoleSink("console", "text", output).write(EncodedBatch(shard.batch()))
    assert output.getvalue().count("\n") == 1


READERLESS = """
from cdc.model import EncodedBatch
from connectors.console.sink import ConsoleSink
from tests.unit.test_console_sink import life
import sys

input()
sink = ConsoleSink("console", "json")
for _ in range(2):
    error = sink.write(EncodedBatch(life())).durable.exception(0)
    print(error.kind, "|", error.remedy, file=sys.stderr)
"""


def test_nothing_is_durable_when_the_reader_has_gone_and_the_process_ends_quietly() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", READERLESS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        process.stdout = None
        _, errors = process.communicate("go\n", timeout=30)
    assert process.returncode == 0
    lines = errors.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("unavailable |") for line in lines)


def test_an_error_does_not_show_values(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123 - the device that is always full
        error = ConsoleSink("console", "json", full).write(EncodedBatch(life())).durable.exception(0)
        assert isinstance(error, SinkError)
        assert "24.90" not in str(error)
        os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())


def test_is_built_by_its_type_on_standard_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    batch = life()
    with SinkRun(
        lambda context: CONNECTOR.build(CONNECTOR.config(name="look", type="console"), context),
        tmp_path,
        shards=[batch.shard],
    ) as run:
        run.deliver([batch])
    assert capsys.readouterr().out.encode() == encode_lines(batch)


@pytest.mark.parametrize(
    ("image", "created"),
    [
        ('{"pk": {"S": "a"}, "x": {}}', 1),
        ('{"pk": {"S": "a"}, "x": {"N": 1}}', 1),
        ('{"pk": {"S": "a"}, "x": {"L": {"y": 1}}}', 1),
        ('{"pk": "a"}', 1),
        ("[1]", 1),
        ('{"pk": {"S": "a"}}', 10**300),
    ],
)
def test_a_record_that_is_none_of_dynamodb_s_is_shown_as_it_is(image: str, created: int) -> None:
    record = (
        '{"eventName": "INSERT", "dynamodb": {"SequenceNumber": "1", "Keys": {"pk": {"S": "a"}},'
        f' "ApproximateCreationDateTime": {created}.0, "NewImage": {image}}}}}'
    )
    page = msgspec.json.decode(f'{{"Records": [{record}]}}', type=Answer)
    shard = Table("orders").shard()
    batch = dataclasses.replace(shard.batch(), changes=page.records)
    output = io.StringIO()
    receipt = ConsoleSink("console", "text", output).write(EncodedBatch(batch))
    assert receipt.durable.result(0).rejects == []
    assert output.getvalue().count("\n") == 1
