"""What the sections may say, and what is said about those that say something else."""

from typing import Any

import pytest
from pydantic import SecretStr

from tests.unit.config.parts import BUS, PLAIN, RIGHT, RIVER, BusConfig, Folder, PlainConfig


def test_what_is_left_out(folder: Folder) -> None:
    config = folder.load(RIGHT)
    assert config.schema_.mode == "document"
    assert config.schema_.envelope is None
    assert (config.state.checkpoint_seconds, config.state.lease_seconds) == (1, 15)
    assert config.admin is not None
    assert (config.admin.host, config.admin.port) == ("127.0.0.1", 8780)


def test_no_admin(folder: Folder) -> None:
    assert folder.load(RIGHT + "admin: null\n").admin is None


def test_the_connectors_of_a_configuration(folder: Folder) -> None:
    config = folder.load(RIGHT + "  - {name: two, type: null}\n")
    assert config.source_with_connector() == (config.source, RIVER)
    assert config.sinks_with_connectors() == [(config.sinks[0], BUS), (config.sinks[1], PLAIN)]


@pytest.mark.parametrize("word", ["null", "~", "Null", "'null'", '"null"'])
def test_the_null_sink(folder: Folder, word: str) -> None:
    [sink] = folder.load(RIGHT.replace("type: bus", f"type: {word}")).sinks
    assert isinstance(sink, PlainConfig)
    assert sink.type == "null"


def test_secrets(folder: Folder) -> None:
    [sink] = folder.load(RIGHT + "    password: hunter2\n").sinks
    assert isinstance(sink, BusConfig)
    assert sink.password == SecretStr("hunter2")
    assert "hunter2" not in repr(sink)


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        (
            "    topik: hunter2\n",
            "9: sinks[0].topik: unknown key; did you mean topic?; allowed: name, schema, type, topic, format, compress",
        ),
        (
            "    limits:\n      persecond: 1\n",
            "10: sinks[0].limits.persecond: unknown key; did you mean per_second?; allowed: per_second",
        ),
        (
            "    limits: {per_second: 0}\n",
            "9: sinks[0].limits.per_second: should be greater than or equal to 1",
        ),
        (
            "    limits: {per_second: many}\n",
            "9: sinks[0].limits.per_second: should be a whole number, and is text",
        ),
        ("    limits: 3\n", "9: sinks[0].limits: should be a mapping (key: value), and is a number"),
        ("    topic: 12\n", "9: sinks[0].topic: should be text, and is a number; put it in quotes"),
        ("    topic: [hunter2]\n", "9: sinks[0].topic: should be text, and is a list"),
        ("    topic: null\n", "9: sinks[0].topic: should be text, and is nothing (null)"),
        ("    password: 123456\n", "9: sinks[0].password: should be text, and is a number; put it in quotes"),
        ("    password: {hunter2: 1}\n", "9: sinks[0].password: should be text, and is a mapping"),
        ("    compress: maybe\n", "9: sinks[0].compress: should be true or false, and is text"),
        ("    format: arvo\n", "9: sinks[0].format: not arvo; did you mean avro?; allowed: avro, json"),
        ("    partitions: all\n", "9: sinks[0].partitions: should be a whole number, and is text"),
        ("    format: a b\n", "9: sinks[0].format: not this; allowed: avro, json"),
        ("    format: 7\n", "9: sinks[0].format: allowed: avro, json"),
        (
            "    properties: {a: b, format: 5}\n",
            "9: sinks[0].properties.format: should be text, and is a number; put it in quotes",
        ),
        (
            "    properties:\n      a.b: []\n",
            '10: sinks[0].properties["a.b"]: should be text, and is a list',
        ),
        ("stat: {}\n", "9: stat: unknown key; did you mean state?; allowed: version, pipeline"),
        (
            "sink: []\n",
            "9: sink: unknown key; allowed: version, pipeline, source, schema, sinks",
        ),
        (
            "schema: {envelope: flot}\n",
            "9: schema.envelope: not flot; did you mean flat?; allowed: debezium, flat",
        ),
        ("state: {lease_seconds: 0}\n", "9: state.lease_seconds: should be greater than or equal to 1"),
        (
            "state: {type: dynamo}\n",
            "9: state.type: dynamo is no state store; did you mean dynamodb?; allowed: sqlite, dynamodb",
        ),
        (
            "state: {type: dynamodb, lease_seconds: 0}\n",
            "9: state.lease_seconds: should be greater than or equal to 1",
        ),
        ("state: {type: dynamodb, path: x}\n", "9: state.path: unknown key"),
        ("state: {table: x}\n", "9: state.table: unknown key"),
        (
            "state: {type: dynamodb, external_id: abc}\n",
            "9: state: external_id is used when a role is assumed",
        ),
        ("state: null\n", "9: state: should be a mapping (key: value), and is nothing (null)"),
        ("admin: {port: 65536}\n", "9: admin.port: should be less than or equal to 65535"),
        ("base: /etc\n", "9: base: unknown key"),
    ],
)
def test_a_key(folder: Folder, more: str, problem: str) -> None:
    [found] = folder.problems(RIGHT + more)
    assert found.startswith(problem)
    assert "hunter2" not in found


@pytest.mark.parametrize(
    ("right", "wrong", "problem"),
    [
        (
            "type: bus",
            "type: bsu",
            "8: sinks[0].type: bsu is not installed; did you mean bus?; allowed: bus, null, broken",
        ),
        (
            "type: bus",
            "typ: bus",
            "7: sinks[0].type: this key is missing (is it meant by typ?); allowed: bus, null",
        ),
        ("type: bus", "type: [bus]", "8: sinks[0].type: is no word; allowed: bus, null, broken"),
        (
            "type: bus",
            "type: broken",
            "8: sinks[0].type: broken: its connector cannot be imported: No module named 'quux'; install what is missing",
        ),
        (
            "type: river",
            "type: rivver",
            "4: source.type: rivver is not installed; did you mean river?; allowed: river",
        ),
        ("name: one", "name: One", "7: sinks[0].name: "),
        ("- name: one\n    type: bus", "- one", "7: sinks[0]: is no mapping"),
        ("[orders]", "orders", "5: source.tables: should be a list, and is text"),
        ("[orders]", "[]", "5: source.tables: "),
        ("[orders]", "[orders, a, orders]", "5: source.tables[2]: this table stands here twice"),
        ("pipeline: orders", "pipeline: Orders!", "2: pipeline: "),
        ("pipeline: orders\n", "", "1: pipeline: this key is missing"),
        ("source:\n  type: river\n  tables: [orders]\n", "", "1: source: this key is missing"),
        ("source:\n  type: river\n  tables: [orders]\n", "source: river\n", "3: source: is no mapping"),
        (
            "\n  - name: one\n    type: bus",
            " []",
            "6: sinks: is empty; allowed: a list of at least one sink (bus, null",
        ),
        ("\n  - name: one\n    type: bus", "", "6: sinks: is empty"),
        ("\n  - name: one\n    type: bus", " {name: one, type: bus}", "6: sinks: is no list"),
        ("sinks:\n  - name: one\n    type: bus\n", "", "1: sinks: this key is missing"),
    ],
)
def test_a_file(folder: Folder, right: str, wrong: str, problem: str) -> None:
    assert right in RIGHT
    [found] = folder.problems(RIGHT.replace(right, wrong))
    assert found.startswith(problem)


def test_two_sinks_of_one_name(folder: Folder) -> None:
    problems = folder.problems(RIGHT + "  - {name: two, type: null}\n  - name: one\n    type: unheard-of\n")
    assert problems == [
        "10: sinks[2].name: the sink in line 7 has this name; allowed: one that no other sink has",
        "11: sinks[2].type: unheard-of is not installed; allowed: bus, null, broken",
    ]


def test_a_sink_that_cannot_take_these_tables_together(folder: Folder) -> None:
    text = RIGHT.replace("[orders]", "[orders, lines]") + "  - name: two\n    type: bus\n    topic: all\n"
    assert folder.problems(text) == ["9: sinks[1]: several tables need {table} in topic"]


def test_an_envelope_that_would_have_no_effect(folder: Folder) -> None:
    [problem] = folder.problems(RIGHT + "  - {name: two, type: null, schema: {envelope: flat}}\n")
    assert problem.startswith("9: sinks[1].schema.envelope: a sink of type null takes changes as they are")


def test_everything_that_is_wrong_is_said_at_once_in_the_order_of_the_file(folder: Folder) -> None:
    problems = folder.problems(
        """\
version: 1
pipeline: A
source: {type: river, tables: []}
sinks:
  - {name: one, type: bus, topic: 1, format: x}
  - {name: two}
state: {path: 1, checkpoint_seconds: -1}
admin: {port: x}
what: 1
"""
    )
    keys = sorted(problem.split(": ")[1] for problem in problems)
    assert keys == [
        "admin.port",
        "pipeline",
        "sinks[0].format",
        "sinks[0].topic",
        "sinks[1].type",
        "source.tables",
        "state.checkpoint_seconds",
        "state.path",
        "what",
    ]
    lines = [int(problem.split(":")[0]) for problem in problems]
    assert lines == [2, 3, 5, 5, 6, 7, 7, 8, 9]


def test_a_flood_of_problems_is_cut_short(folder: Folder) -> None:
    problems = folder.problems(RIGHT + "".join(f"x{n}: 1\n" for n in range(80)))
    assert len(problems) == 51
    assert problems[-1] == " and 30 more problems"


@pytest.mark.parametrize("attribute", ["pipeline", "source", "sinks"])
def test_nothing_changes_after_loading(folder: Folder, attribute: str) -> None:
    config: Any = folder.load(RIGHT)
    with pytest.raises(ValueError, match="frozen"):
        setattr(config, attribute, None)
