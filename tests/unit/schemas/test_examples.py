"""The schemas in `schemas/examples` are the ones that are registered for such a table."""

import json
from importlib.resources import files

import fastavro
import pytest

from cdc.model import KeyAttribute
from schemas.envelope import key_schema, value_schema

TABLE = "orders"
KEY = (KeyAttribute("customer-id", "S"), KeyAttribute("placed_at", "N"))

SCHEMAS = {
    "key.avsc": key_schema(TABLE, KEY),
    "debezium.avsc": value_schema(TABLE, KEY, "debezium"),
    "flat.avsc": value_schema(TABLE, KEY, "flat"),
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_an_example_is_what_the_code_produces(name: str) -> None:
    example = (files("schemas") / "examples" / name).read_text(encoding="utf-8")
    assert example == json.dumps(json.loads(SCHEMAS[name]), indent=2, ensure_ascii=False) + "\n"
    fastavro.parse_schema(json.loads(example))


def test_every_example_is_checked() -> None:
    assert {file.name for file in (files("schemas") / "examples").iterdir()} == set(SCHEMAS)
