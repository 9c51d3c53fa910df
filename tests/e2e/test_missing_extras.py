"""Installed without an extra: said so, with what to install, and nothing is changed."""

from pathlib import Path

import pytest

from tests.command.folder import file_sink, write
from tests.command.process import cdc
from tests.dynamodb_streams.tables import Tables
from tests.services.server import free_port


def without(folder: Path, *packages: str) -> dict[str, str]:
    """An environment in which importing these fails as if they were not installed."""
    absent = folder / "site"
    for name in packages:
        (absent / name).mkdir(parents=True)
        (absent / name / "__init__.py").write_text(
            f"raise ModuleNotFoundError(\"No module named '{name}'\", name='{name}')\n"
        )
    return {"PYTHONPATH": str(absent), "PYTHONDONTWRITEBYTECODE": "1"}


def test_the_demonstration_names_what_it_needs(tmp_path: Path) -> None:
    answer = cdc(tmp_path, "demo", "--plain", env=without(tmp_path, "moto", "confluent_kafka"))
    assert answer.code == 2, answer.text
    assert "the demonstration needs" in answer.err
    assert "pip install 'dynamodb-cdc[demo]'" in answer.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["site"]


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_sink_names_what_it_needs(tables: Tables, tmp_path: Path, command: str) -> None:
    bus = {"name": "bus", "type": "kafka", "bootstrap_servers": f"127.0.0.1:{free_port()}"}
    write(tmp_path, tables.url, tables.create(), [file_sink(), bus])
    environment = without(tmp_path, "confluent_kafka")
    before = sorted(path.name for path in tmp_path.iterdir())
    answer = cdc(tmp_path, command, "pipeline.yaml", env=environment)
    assert answer.code == 2, answer.text
    assert "sink bus needs the Python package confluent_kafka" in answer.err
    assert "remedy: pip install" in answer.err
    assert sorted(path.name for path in tmp_path.iterdir()) == before
