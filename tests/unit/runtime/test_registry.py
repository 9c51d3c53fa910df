"""What a pipeline remembers of its schema registry: ids of one registry mean nothing in another."""

import shutil
from pathlib import Path

import pytest

from cdc import config as configuration
from cdc.config import Config
from cdc.errors import ConfigError
from cdc.runtime.registry import registry_of, remembered_registry


def loaded(folder: Path, sink: str = "{name: lake, type: lake, url: 'file:./lake'}") -> Config:
    path = folder / "pipeline.yaml"
    path.write_text(
        "version: 1\npipeline: orders\n"
        "source: {type: dynamodb-streams, tables: [orders], region: eu-west-1}\n"
        f"sinks: [{sink}]\n"
    )
    return configuration.load(path, environ={})


def remembered(config: Config, saved: dict[str, str], *, create: bool) -> dict[str, str]:
    registry = registry_of(config, lambda _: None, lambda *_: None)
    return remembered_registry(config, registry, saved, create=create)


def test_the_same_registry_is_taken_again(tmp_path: Path) -> None:
    config = loaded(tmp_path)
    known = remembered(config, {}, create=True)
    assert all(known.values())
    assert remembered(config, known, create=True) == known
    assert remembered(config, known, create=False) == known


def test_a_lost_registry_is_refused_and_not_made_anew(tmp_path: Path) -> None:
    config = loaded(tmp_path)
    known = remembered(config, {}, create=True)
    shutil.rmtree(tmp_path / "cdc-schemas")
    for create in (True, False):
        with pytest.raises(ConfigError, match="not the schema registry") as refusal:
            remembered(config, known, create=create)
        assert "restore" in refusal.value.remedy
    assert not (tmp_path / "cdc-schemas").exists()


def test_another_registry_is_refused(tmp_path: Path) -> None:
    config = loaded(tmp_path)
    known = remembered(config, {}, create=True)
    shutil.rmtree(tmp_path / "cdc-schemas")
    remembered(config, {}, create=True)
    with pytest.raises(ConfigError, match="not the schema registry"):
        remembered(config, known, create=True)


def test_where_no_sink_takes_avro_there_is_no_registry(tmp_path: Path) -> None:
    config = loaded(tmp_path, "{name: log, type: file, path: ./out.jsonl}")
    assert remembered(config, {}, create=True) == {}
    assert not (tmp_path / "cdc-schemas").exists()
