"""Only what a configuration names is imported."""

import subprocess
import sys
from pathlib import Path

import pytest

from cdc.config import installed, load
from cdc.connector import SinkConnector, SourceConnector
from cdc.errors import ConfigError

CONSOLE = """\
version: 1
pipeline: orders
source: {type: dynamodb-streams, tables: [orders]}
sinks: [{name: look, type: TYPE}]
"""


def test_this_distributions_own() -> None:
    connectors = installed()
    assert {"dynamodb-streams"} <= set(connectors.sources)
    assert {"console", "file", "kafka", "lake", "null", "replica"} <= set(connectors.sinks)
    assert all(isinstance(load_(), SourceConnector) for load_ in connectors.sources.values())
    assert all(isinstance(load_(), SinkConnector) for load_ in connectors.sinks.values())


@pytest.mark.parametrize("type_", ["console", "no-such-type"])
def test_other_connectors_and_vendors_libraries_are_not_imported(tmp_path: Path, type_: str) -> None:
    file = tmp_path / "orders.yaml"
    file.write_text(CONSOLE.replace("TYPE", type_))
    program = (
        "import sys; from pathlib import Path; from cdc import config; from cdc.errors import ConfigError\n"
        "try: config.load(Path(sys.argv[1]))\nexcept ConfigError as error: print(error.message)\n"
        "print([name for name in sys.modules if name in ('boto3', 'botocore', 'confluent_kafka', 'fastavro')\n"
        "       or name.startswith('connectors.') and name.split('.')[1] not in ('console', 'dynamodb_streams')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(file)], capture_output=True, text=True, check=True
    )
    *message, modules = done.stdout.splitlines()
    assert modules == "[]"
    assert bool(message) == (type_ == "no-such-type")


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Somebody else's distribution, with connectors of all kinds."""
    metadata = tmp_path / "others-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: others\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[cdc.sinks]\n"
        "others = others_sink:CONNECTOR\n"
        "lacking = others_lacking:CONNECTOR\n"
        "nothing = others_sink:NOTHING\n"
        "console = others_sink:CONNECTOR\n"
    )
    (tmp_path / "others_sink.py").write_text(
        "from typing import Literal\n"
        "from cdc.connector import SinkConfig, SinkConnector\n"
        "class OthersConfig(SinkConfig):\n"
        "    type: Literal['others']\n"
        "CONNECTOR = SinkConnector(OthersConfig, print, print, None)\n"
        "NOTHING = None\n"
    )
    (tmp_path / "others_lacking.py").write_text("import library_that_is_not_there\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("type_", "problem"),
    [
        ("others", ""),
        ("lacking", "cannot be imported: No module named 'library_that_is_not_there'"),
        ("nothing", "the entry point others_sink:NOTHING is no SinkConnector"),
        ("console", "two connectors have this type: "),
    ],
)
def test_connectors_of_others(distribution: Path, type_: str, problem: str) -> None:
    file = distribution / "orders.yaml"
    file.write_text(CONSOLE.replace("TYPE", type_))
    if not problem:
        assert type(load(file, environ={}).sinks[0]).__name__ == "OthersConfig"
        return
    with pytest.raises(ConfigError, match="sinks\\[0\\].type: " + type_) as caught:
        load(file, environ={})
    assert problem in caught.value.message
