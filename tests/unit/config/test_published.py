"""What is made from the models and committed: the JSON Schema and the reference."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from cdc.config import (
    AdminConfig,
    Config,
    ConfluentRegistryConfig,
    DeadLettersConfig,
    DynamoDBStateConfig,
    FilesRegistryConfig,
    SchemaConfig,
    SqliteStateConfig,
    json_schema,
    load,
)
from cdc.config.reference import EXAMPLE, reference
from cdc.connector import ConfigModel
from tests.unit.config.parts import CONNECTORS, RIGHT

ROOT = Path(__file__).parents[3]
SCHEMA = json_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def test_the_schema_that_is_committed() -> None:
    committed = json.loads((ROOT / "schemas" / "config.schema.json").read_text())
    assert committed == SCHEMA, "python -m cdc.config > schemas/config.schema.json"


def test_the_reference_that_is_committed() -> None:
    committed = (ROOT / "docs" / "configuration.md").read_text()
    assert committed == reference(), "python -m cdc.config.reference > docs/configuration.md"


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_example_of_the_reference(tmp_path: Path) -> None:
    file = tmp_path / "orders.yaml"
    file.write_text(EXAMPLE)
    assert [sink.name for sink in load(file, environ={}).sinks] == ["bus", "log"]
    VALIDATOR.validate(yaml.safe_load(EXAMPLE))


@pytest.mark.parametrize(
    ("key", "value", "valid"),
    [
        ("type", "console", True),
        ("type", "consol", False),
        ("type", None, True),
        ("nmae", "x", False),
        ("name", "Bad Name", False),
        ("name", "${NAME}", True),
        ("schema", {"envelope": "flat"}, True),
        ("schema", {"envelope": "round"}, False),
    ],
)
def test_what_an_editor_says_about_a_sink(key: str, value: object, valid: bool) -> None:
    sink = {"name": "one", "type": "null", key: value}
    assert VALIDATOR.is_valid({**yaml.safe_load(EXAMPLE), "sinks": [sink]}) is valid


@pytest.mark.parametrize(
    ("key", "value", "valid"),
    [
        ("admin", None, True),
        ("admin", {"port": 0}, True),
        ("admin", {"port": "${PORT:-8780}"}, True),
        ("admin", {"port": "many"}, False),
        ("version", 2, False),
        ("schema", {"mode": "${MODE}"}, True),
        ("state", {"lease_seconds": 0}, False),
        ("state", {"type": "dynamodb", "region": "eu-west-1"}, True),
        ("state", {"type": "dynamodb", "path": "./state.db"}, False),
        ("state", {"table": "cdc_state"}, False),
        ("sinks", [], False),
        ("base", "/etc", False),
    ],
)
def test_what_an_editor_says_about_the_top(key: str, value: object, valid: bool) -> None:
    assert VALIDATOR.is_valid({**yaml.safe_load(EXAMPLE), key: value}) is valid


def test_the_connectors_that_are_given_are_the_ones_described() -> None:
    connectors = type(CONNECTORS)(CONNECTORS.sources, {key: CONNECTORS.sinks[key] for key in ("bus", "null")})
    schema = json_schema(connectors)
    assert jsonschema.Draft202012Validator(schema).is_valid(yaml.safe_load(RIGHT))
    assert not jsonschema.Draft202012Validator(schema).is_valid(yaml.safe_load(EXAMPLE))
    text = reference(connectors)
    assert "`sinks[]` of type `bus`" in text
    assert "| `password` | secret or null | null |" in text
    assert "kafka" not in text.split("## The file")[1].split("## Not in this version")[0]


@pytest.mark.parametrize(
    "model",
    [
        Config,
        SchemaConfig,
        SqliteStateConfig,
        DynamoDBStateConfig,
        FilesRegistryConfig,
        ConfluentRegistryConfig,
        DeadLettersConfig,
        AdminConfig,
    ],
)
def test_every_key_has_a_meaning(model: type[ConfigModel]) -> None:
    assert {name for name, field in model.model_fields.items() if not field.description} == set()
