"""The layers hold, and would not hold with an import that they forbid: planted in a copy, never in the tree itself."""

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("cdc", "connectors", "schemas")


def lint(tree: Path) -> subprocess.CompletedProcess[str]:
    """`lint-imports` with the tree's own configuration, its packages before the installed ones."""
    program = "from importlinter.cli import lint_imports_command as lint; lint(['--no-cache'])"
    return subprocess.run(
        [sys.executable, "-c", program], cwd=tree, capture_output=True, text=True, check=False
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def plant(tree: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        file = tree / name
        file.parent.mkdir(exist_ok=True)
        (file.parent / "__init__.py").touch()
        assert not file.exists()
        file.write_text(text)


def test_the_tree_as_it_is(tree: Path) -> None:
    result = lint(tree)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("files", "contract"),
    [
        ({"cdc/core/planted.py": "import boto3"}, "The core decides, never does"),
        ({"cdc/core/planted.py": "def wait():\n    import time\n"}, "The core decides, never does"),
        (
            {"cdc/core/planted.py": "import cdc.planted", "cdc/planted.py": "from concurrent import futures"},
            "The core decides, never does",
        ),
        ({"cdc/core/planted.py": "import schemas"}, "Imports go down the layers"),
        ({"schemas/planted.py": "import connectors"}, "Imports go down the layers"),
        ({"connectors/planted.py": "from cdc import core"}, "Connectors know the ports, not the core"),
        (
            {"connectors/planted.py": "from cdc.runtime import planted", "cdc/runtime/planted.py": ""},
            "Imports go down the layers",
        ),
        (
            {"connectors/planted.py": "import connectors.planted_too", "connectors/planted_too.py": ""},
            "Connectors do not know each other",
        ),
        (
            {"cdc/demo/planted.py": "from schemas import framing"},
            "The demonstration proves with nothing of what it shows",
        ),
        ({"schemas/planted.py": "import threading"}, "Schemas compute; only their registries go out"),
    ],
    ids=lambda value: value if isinstance(value, str) else ",".join(value),
)
def test_a_forbidden_import(tree: Path, files: Mapping[str, str], contract: str) -> None:
    plant(tree, files)
    result = lint(tree)
    assert result.returncode == 1, result.stdout + result.stderr
    assert f"{contract} BROKEN" in result.stdout


def test_a_registry_may_go_out(tree: Path) -> None:
    plant(tree, {"schemas/registry/planted.py": "import boto3\nimport threading\n"})
    result = lint(tree)
    assert result.returncode == 0, result.stdout + result.stderr


def test_make_check_asks_for_the_layers() -> None:
    asked = subprocess.run(["make", "-n", "check"], cwd=ROOT, check=True, capture_output=True, text=True)
    assert "lint-imports" in asked.stdout
