"""The file itself: what cannot be read, and what YAML makes of it."""

from pathlib import Path

import pytest

from cdc.config import FilesRegistryConfig, SqliteStateConfig, load
from cdc.errors import ConfigError
from tests.unit.config.parts import CONNECTORS, RIGHT, BusConfig, Folder


def test_a_file_that_is_right(folder: Folder) -> None:
    config = folder.load(RIGHT)
    assert (config.version, config.pipeline, config.source.tables) == (1, "orders", ("orders",))
    [sink] = config.sinks
    assert isinstance(sink, BusConfig)
    assert sink.name == "one"


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: no such file"):
        load(tmp_path / "nowhere.yaml", environ={}, connectors=CONNECTORS)


def test_a_folder_instead_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(tmp_path, environ={}, connectors=CONNECTORS)


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n", "---\n"])
def test_an_empty_file(folder: Folder, text: str) -> None:
    [problem] = folder.problems(text)
    assert "empty" in problem or "single value" in problem
    assert "version" in problem


@pytest.mark.parametrize(("text", "kind"), [("- a\n- b\n", "list"), ("# x\njust a word\n", "single value")])
def test_no_mapping_at_the_top(folder: Folder, text: str, kind: str) -> None:
    [problem] = folder.problems(text)
    assert f"the top of the file is a {kind}; allowed: a mapping" in problem


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("version: 1\nsource: [a\nsinks: []\n", "3: not valid YAML: "),
        ("version: 1\n\tx: 1\n", "2: not valid YAML: "),
        ("version: 1\nversion: {a: b: c}\n", "2: not valid YAML: "),
        ("version: 1\n---\nversion: 1\n", "2: not valid YAML: "),
        ("version: 1\nx: \x07\n", "2: not valid YAML: a character that YAML does not allow"),
        ('version: 1\nx: "\\UFFFFFFFF"\n', "not valid YAML: "),
        ("[" * 5000, "1: not valid YAML: nested too deeply"),
    ],
)
def test_what_is_no_yaml(folder: Folder, text: str, place: str) -> None:
    [problem] = folder.problems(text)
    assert place in problem


def test_the_column_of_what_is_no_yaml(folder: Folder) -> None:
    [problem] = folder.problems("version: 1\npipeline: 'a' b\n")
    assert problem.startswith("2: not valid YAML: ")
    assert problem.endswith("column 15")


@pytest.mark.parametrize(
    "value",
    [
        "*hunter2",
        "!hunter2 x",
        "!hunter2!h x",
        "[&hunter2 a, &hunter2 b]",
        "'hunter2' hunter2",
        '"\\hunter2"',
    ],
)
def test_what_is_no_yaml_is_not_shown(folder: Folder, value: str) -> None:
    problems = folder.problems(RIGHT + f"    password: {value}\n")
    assert "hunter2" not in "".join(problems)
    assert problems[0].startswith("9: ")


def test_text_that_begins_like_an_alias(folder: Folder) -> None:
    [problem] = folder.problems(RIGHT + "    password: *hunter2\n")
    assert "quote it if it is text" in problem


def test_not_utf_8(folder: Folder) -> None:
    [problem] = folder.problems("version: 1\npipeline: \xe4rger\n".encode("latin-1"))
    assert problem == "2: not text in UTF-8; allowed: UTF-8"


def test_a_byte_order_mark(folder: Folder) -> None:
    assert folder.load(b"\xef\xbb\xbf" + RIGHT.encode()).pipeline == "orders"


def test_a_key_that_stands_there_twice(folder: Folder) -> None:
    problems = folder.problems(RIGHT + "    topic: a\n    topic: b\npipeline: other\n")
    assert problems == [
        "10: sinks[0].topic: stands here twice, first in line 9; allowed: once",
        "11: pipeline: stands here twice, first in line 2; allowed: once",
    ]


@pytest.mark.parametrize(
    "word", ["no", "on", "yes", "y", "off", "12:30", "2024-01-01", "1_000", "0b1", ".inf", ".nan"]
)
def test_words_that_older_yaml_takes_for_something_else(folder: Folder, word: str) -> None:
    assert folder.load(RIGHT.replace("[orders]", f"[{word}]")).source.tables == (word,)


def test_numbers(folder: Folder) -> None:
    config = folder.load(
        RIGHT + "state: {checkpoint_seconds: 1e-1, lease_seconds: 0x10}\nadmin: {port: 0o17}\n"
    )
    assert config.state.checkpoint_seconds == 0.1
    assert config.state.lease_seconds == 16
    assert config.admin is not None
    assert config.admin.port == 15


@pytest.mark.parametrize("value", [".inf", ".nan", "inf", "NaN"])
def test_no_number_is_infinite(folder: Folder, value: str) -> None:
    [problem] = folder.problems(RIGHT + f"state: {{checkpoint_seconds: {value}}}\n")
    assert problem.startswith("9: state.checkpoint_seconds: ")


def test_anchors_and_merging(folder: Folder) -> None:
    config = folder.load(
        RIGHT
        + """\
    <<: &shared {topic: shared, compress: true}
  - {name: two, type: bus, topic: own, <<: *shared}
  - {name: three, type: bus, <<: [{topic: first}, *shared]}
"""
    )
    sinks = [sink for sink in config.sinks if isinstance(sink, BusConfig)]
    assert [(sink.topic, sink.compress) for sink in sinks] == [
        ("shared", True),
        ("own", True),
        ("first", True),
    ]


@pytest.mark.parametrize(
    "value",
    [
        "&a [*a]",
        "&a {b: *a}",
        "&a {<<: *a}",
        "&a {<<: [*a, *a]}",
        "&a [*a, *a]",
        "{<<: word}",
        "{[a]: b}",
        "{{a}: b}",
    ],
)
def test_knots(folder: Folder, value: str) -> None:
    assert folder.problems(RIGHT + f"state: {value}\n")


@pytest.mark.parametrize(
    "value", ["!!int x", "!!bool x", "!!float x", "!!set {a}", "!!binary aGk=", "9" * 5000]
)
def test_tags_and_forms_that_say_something_else(folder: Folder, value: str) -> None:
    [problem] = folder.problems(RIGHT + f"state: {value}\n")
    assert problem.startswith("9: state: ")


def test_another_version(folder: Folder) -> None:
    problems = folder.problems("version: 2\nwhat: knows\n")
    assert problems == ["1: version: this program does not know version 2 of the configuration; allowed: 1"]


@pytest.mark.parametrize("version", ["one", "null", "[1]", "1.5", "'1'"])
def test_no_version(folder: Folder, version: str) -> None:
    [problem] = folder.problems(RIGHT.replace("version: 1", f"version: {version}"))
    assert problem.startswith("1: version: ")
    assert problem.endswith("allowed: 1")


def test_paths_are_relative_to_the_file(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    config = folder.load(RIGHT + "dead_letters: {path: letters}\nschema: {registry: {path: /abs}}\n")
    assert config.base == folder.base
    assert isinstance(config.state, SqliteStateConfig)
    assert config.state.path == folder.base / "cdc-state.db"
    assert config.dead_letters.path == folder.base / "letters"
    assert config.schema_.registry == FilesRegistryConfig(path=Path("/abs"))


def test_a_relative_file(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.file.write_text(RIGHT)
    monkeypatch.chdir(folder.base)
    config = load(Path("orders.yaml"), environ={}, connectors=CONNECTORS)
    assert config.base == folder.base
    assert isinstance(config.state, SqliteStateConfig)
    assert config.state.path == folder.base / "cdc-state.db"


@pytest.mark.parametrize("path", ["''", "/", "."])
def test_a_path_without_a_name(folder: Folder, path: str) -> None:
    assert folder.problems(RIGHT + f"state: {{path: {path}}}\n") == [
        "9: state.path: is no path of a file or folder"
    ]
