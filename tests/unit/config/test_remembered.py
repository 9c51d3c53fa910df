"""A sink that has positions stays what it was."""

import pytest

from cdc.errors import ConfigError
from tests.unit.config.parts import RIGHT, Folder

TWO = RIGHT + "  - name: two\n    type: null\n"


def test_what_is_remembered(folder: Folder) -> None:
    assert folder.load(TWO).remembered() == {
        "sink.one.type": "bus",
        "sink.one.schema": "document/debezium",
        "sink.two.type": "null",
    }


@pytest.mark.parametrize(
    ("pipeline", "own", "remembered"),
    [
        ("{}", "{}", "document/debezium"),
        ("{envelope: flat}", "{}", "document/flat"),
        ("{}", "{envelope: flat}", "document/flat"),
        ("{envelope: flat}", "{envelope: debezium}", "document/debezium"),
        ("{mode: document}", "{mode: document}", "document/debezium"),
    ],
)
def test_whose_schema_counts(folder: Folder, pipeline: str, own: str, remembered: str) -> None:
    config = folder.load(RIGHT + f"    schema: {own}\nschema: {pipeline}\n")
    assert config.remembered()["sink.one.schema"] == remembered


def test_nothing_has_changed(folder: Folder) -> None:
    config = folder.load(TWO)
    config.check_remembered({})
    config.check_remembered(config.remembered())


def test_sinks_that_came_or_went(folder: Folder) -> None:
    folder.load(TWO).check_remembered(folder.load(RIGHT).remembered())
    folder.load(RIGHT).check_remembered(folder.load(TWO).remembered())


def test_what_this_version_does_not_remember(folder: Folder) -> None:
    folder.load(RIGHT).check_remembered({"sink.one.of-a-later-version": "x"})


def test_another_type(folder: Folder) -> None:
    saved = {**folder.load(TWO).remembered(), "sink.two.type": "bus", "sink.two.schema": "document/debezium"}
    with pytest.raises(ConfigError) as caught:
        folder.load(TWO).check_remembered(saved)
    assert caught.value.message == (
        f"{folder.file}:10: sinks[1].type: sink two has positions that were saved with type bus, and is now null; "
        "allowed: bus"
    )
    assert "new name" in caught.value.remedy


@pytest.mark.parametrize(
    "text", [RIGHT + "    schema: {envelope: flat}\n", RIGHT + "schema: {envelope: flat}\n"]
)
def test_another_envelope(folder: Folder, text: str) -> None:
    saved = folder.load(RIGHT).remembered()
    with pytest.raises(
        ConfigError, match=r"schema document/debezium, and is now document/flat; allowed: document/deb"
    ):
        folder.load(text).check_remembered(saved)
