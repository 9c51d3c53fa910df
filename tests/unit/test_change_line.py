import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import msgspec
import pytest

import schemas
from cdc.model import Answer
from cdc.testing.batches import EVERY_TYPE, Table, stream_of
from schemas.change_line import PREFIX, encode_lines

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


def test_nothing_makes_no_line() -> None:
    assert encode_lines(Table().shard().batch()) == b""
