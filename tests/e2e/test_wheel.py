"""The built wheel, installed outside the checkout: everything is in it, and nothing else."""

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("*.whl")
    return built


def test_it_holds_the_three_packages_and_their_data(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"cdc", "connectors", "schemas"}
    packages = ("cdc", "connectors", "schemas")
    tracked = subprocess.run(
        ["git", "ls-files", *packages], cwd=ROOT, check=True, capture_output=True, text=True
    )
    expected = set(tracked.stdout.split())
    if expected:  # not so where the tests run on an unpacked archive
        assert expected <= set(names)


def test_it_runs_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    home = tmp_path / "venv"
    venv.create(home, with_pip=True)
    site = next((home / "lib").glob("python3*")) / "site-packages"
    # The dependencies are those of this run; the package itself must come from the wheel.
    (site / "dependencies.pth").write_text(
        "".join(f"{path}\n" for path in sys.path if "site-packages" in path)
    )
    python = home / "bin" / "python"
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--no-deps", "--force-reinstall", wheel], check=True
    )

    def cdc(*arguments: str) -> str:
        command = [str(home / "bin" / "cdc"), *arguments]
        return subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    where = subprocess.run(
        [python, "-c", "import cdc; print(cdc.__file__)"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    assert Path(where.stdout.strip()).is_relative_to(home)
    assert cdc("version").strip()
    assert '"pipeline"' in cdc("schema", "config")
