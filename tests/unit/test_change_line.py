import importlib
import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import msgspec
import pytest

import schemas
from cdc.errors import ErrorKind
from cdc.model import Answer, Batch
from cdc.testing.batches import EVERY_TYPE, Table, stream_of
from cdc.testing.sink_run import SinkRun
from schemas.change_line import PREFIX, encode_lines, rejects

SCHEMA = json.loads((Path(schemas.__file__).parent / "file-line.schema.json").read_text())


def test_the_schemas_own_example_fits() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    for example in SCHEMA["examples"]:
        jsonschema.validate(example, SCHEMA)


@pytest.mark.parametrize("view", ["KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES"])
def test_every_line_fits_the_schema(view: str) -> None:
    shard = Table(stream=stream_of(view_type=view)).shard()  # type: ignore[arg-type]
    shard.put("a", **EVERY_TYPE)
    shard.put("a")
    shard.delete("a", by_ttl=True)
    lines = encode_lines(shard.batch()).splitlines()
    for line in lines:
        jsonschema.validate(json.loads(line), SCHEMA)
        assert line.startswith(PREFIX)
    created, updated, deleted = map(json.loads, lines)
    assert [created["op"], updated["op"], deleted["op"]] == ["c", "u", "d"]
    assert [created["ttl"], deleted["ttl"]] == [False, True]
    assert (created["after"] is not None) == (view in {"NEW_IMAGE", "NEW_AND_OLD_IMAGES"})
    assert (deleted["before"] is not None) == (view in {"OLD_IMAGE", "NEW_AND_OLD_IMAGES"})
    assert created["before"] is None
    assert deleted["after"] is None


def test_a_line_of_a_replayed_change_says_so() -> None:
    shard = Table().shard()
    shard.put("a", **EVERY_TYPE)
    batch = shard.batch()
    (line,) = encode_lines(replace(batch, replayed=True)).splitlines()
    jsonschema.validate(json.loads(line), SCHEMA)
    assert json.loads(line) == {**json.loads(encode_lines(batch)), "replayed": True}


def test_an_image_is_the_services_own_text() -> None:
    shard = Table().shard()
    shard.put("a", **EVERY_TYPE)
    batch = shard.batch()
    assert bytes(batch.changes[0].dynamodb.new_image) in encode_lines(batch)


def test_a_record_that_is_laid_out_on_many_lines_is_one_line() -> None:
    shard = Table().shard()
    shard.put("a", **EVERY_TYPE)
    batch = shard.batch()
    body = msgspec.json.format(batch.body, indent=2)
    laid_out = replace(batch, body=body, changes=msgspec.json.decode(body, type=Answer).records)
    assert encode_lines(laid_out) == encode_lines(batch)


def without_keys(batch: Batch, *numbers: int) -> Batch:
    answer = json.loads(batch.body)
    for number in numbers:
        del answer["Records"][number]["dynamodb"]["Keys"]
    body = json.dumps(answer).encode()
    return replace(batch, body=body, changes=msgspec.json.decode(body, type=Answer).records)


def test_a_record_without_keys_is_a_reject_and_no_line() -> None:
    shard = Table().shard()
    for name in ("a", "b", "c"):
        shard.put(name, **EVERY_TYPE)
    whole = shard.batch()
    batch = without_keys(whole, 1)
    (reject,) = rejects(batch)
    assert (reject.sequence, reject.kind) == (whole.changes[1].sequence, ErrorKind.UNENCODABLE)
    assert json.loads(reject.record) == json.loads(batch.body)["Records"][1]
    lines = [json.loads(line) for line in encode_lines(batch).splitlines()]
    assert [line["sequence"] for line in lines] == [whole.changes[0].sequence, whole.changes[2].sequence]
    assert not rejects(whole)


@pytest.mark.parametrize("sink", ["file", "console"])
def test_sinks_of_lines_reject_it(sink: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    connector = importlib.import_module(f"connectors.{sink}").CONNECTOR
    keys = {"name": "lines", "type": sink} | ({"path": Path("lines")} if sink == "file" else {})
    shard = Table().shard()
    shard.put("a")
    shard.put("b")
    batch = without_keys(shard.batch(), 0)
    with SinkRun(
        lambda context: connector.build(connector.config(**keys), context), tmp_path, shards=[batch.shard]
    ) as run:
        receipt = run.write(batch)
        run.flush()
        durability = receipt.durable.result(10)
    assert [reject.sequence for reject in durability.rejects] == [batch.changes[0].sequence]
    written = (tmp_path / "lines").read_text() if sink == "file" else capsys.readouterr().out
    assert [json.loads(line)["key"] for line in written.splitlines()] == [{"pk": {"S": "b"}}]


def test_nothing_makes_no_line() -> None:
    assert encode_lines(Table().shard().batch()) == b""
