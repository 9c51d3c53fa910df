"""What the documents say is true of the repository: links, examples, metrics, commands."""

import json
import re
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import get_args

import jsonschema
import pytest
import typer

from cdc.cli import app
from cdc.model import BEGINNING, ShardKey, after, end_of_shard
from cdc.observe.metrics import MetricName
from cdc.observe.positions import from_bytes, to_dict
from cdc.ports import Saved, SavedCursor, SavedGap, SavedStart
from cdc.runtime.witness import schema

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
EXAMPLE = re.compile(r"<!-- schema: (\S+) -->\n```json\n(.*?)```", re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
CODE = re.compile(r"```sh\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text()) if "://" not in link]
    missing = [link for link in links if not (page.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_are_there(page: Path) -> None:
    named = re.findall(
        r"`((?:schemas|cdc|connectors|tests|docs|examples|deploy)/[\w./-]*[\w/])`", page.read_text()
    )
    assert not [name for name in named if not (ROOT / name).exists()]


def test_examples_are_valid() -> None:
    found = EXAMPLE.findall((ROOT / "docs/formats.md").read_text())
    assert {name for name, _ in found} == {
        "kafka-headers.schema.json",
        "file-line.schema.json",
        "dead-letter.schema.json",
        "positions.schema.json",
        "witness.schema.json",
        "check.schema.json",
    }
    for name, text in found:
        schema = json.loads((ROOT / "schemas" / name).read_text())
        jsonschema.Draft202012Validator(schema).validate(json.loads(text))


def test_the_example_of_positions_can_be_imported() -> None:
    (example,) = (
        text
        for name, text in EXAMPLE.findall((ROOT / "docs/formats.md").read_text())
        if name == "positions.schema.json"
    )
    found, saved = from_bytes(example.encode(), path="docs/formats.md")
    assert found.pipeline == "orders"
    assert len(saved.cursors) == 1


def test_the_witness_has_the_shape_of_its_schema() -> None:
    committed = (ROOT / "schemas/witness.schema.json").read_text()
    assert committed == json.dumps(schema(), indent=2) + "\n", (
        "write it anew: python -c 'import json; from cdc.runtime.witness import schema; "
        "print(json.dumps(schema(), indent=2))' > schemas/witness.schema.json"
    )


def test_saved_positions_have_the_shape_of_their_schema() -> None:
    shard = ShardKey("arn:aws:dynamodb:eu-west-1:000000000000:table/orders/stream/label", "shardId-1")
    positions = (BEGINNING, after("30"), end_of_shard("31", epoch=2))
    saved = Saved(
        [SavedCursor("bus", shard, position, "orders", False, 1.0, 2.0) for position in positions],
        [SavedStart("bus", shard.stream, "orders", "latest", 1.0)],
        [
            SavedGap("bus", shard, "orders", 1.0, "expired"),
            SavedGap("dr", shard, "orders", 1.0, "expired", "skip"),
        ],
    )
    schema = json.loads((ROOT / "schemas/positions.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(to_dict("orders", saved, at=3.0))


def test_metrics_in_the_runbook_exist() -> None:
    text = (ROOT / "docs/operations.md").read_text()
    named = {
        name for name in re.findall(r"`(cdc_\w+)`", text) if not name.startswith("cdc_dead_letters_file")
    }
    assert named
    assert named <= set(get_args(MetricName))


def test_commands_that_are_shown_exist() -> None:
    shown = set()
    for page in PAGES:
        for block in CODE.findall(page.read_text()):
            shown |= {
                tuple(match.split())
                for match in re.findall(
                    r"^cdc ((?:positions |schema |dead-letters )?[a-z-]+)", block, re.MULTILINE
                )
            }
    assert {("run",), ("check",), ("status",)} <= shown
    assert shown <= set(_commands(app))


def _commands(group: typer.Typer) -> Iterator[tuple[str, ...]]:
    """Those of this version."""
    for command in group.registered_commands:
        if not command.hidden and command.callback is not None:
            yield (command.name or command.callback.__name__,)
    for inner in group.registered_groups:
        if inner.typer_instance is not None:
            yield from ((str(inner.name), *rest) for rest in _commands(inner.typer_instance))


@pytest.mark.parametrize("type_", sorted(entry.name for entry in entry_points(group="cdc.sinks")))
def test_every_sink_has_a_page_with_its_settings(type_: str) -> None:
    (connector,) = [entry.load() for entry in entry_points(group="cdc.sinks") if entry.name == type_]
    page = (ROOT / "docs/sinks" / f"{type_}.md").read_text()
    for heading in ("Guarantee", "Settings", "Permissions", "When something fails"):
        assert f"\n## {heading}" in page
    named = set(re.findall(r"`([a-z_]+)(?:\.[a-z_]+)?`", page))
    fields = {field.alias or name for name, field in connector.config.model_fields.items()}
    assert fields - {"type"} <= named
