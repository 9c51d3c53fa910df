"""The linters of `deploy/`: taken from the path, or fetched once into `.tools/` by the package managers' own clients."""

import json
import platform
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
TOOLS = ROOT / ".tools"

COMPOSE_GO = "github.com/compose-spec/compose-go/v2@v2.16.2"
"""Whose module has the Compose Specification's JSON Schema, as `docker compose` uses it."""


class ToolMissingError(Exception):
    """Says which tool, and how it is installed."""


@cache
def hadolint() -> str:
    """The linter of Dockerfiles; a development requirement where it has a wheel."""
    found = shutil.which("hadolint", path=f"{Path(sys.executable).parent}") or shutil.which("hadolint")
    if found is None:
        raise ToolMissingError(f"hadolint: no wheel for {platform.machine()}; put one on the path")
    return found


@cache
def promtool() -> str:
    """Prometheus' own checker of rules; on Debian and Ubuntu out of its package, without installing it."""
    found = shutil.which("promtool")
    if found is not None:
        return found
    unpacked = TOOLS / "prometheus"
    program = unpacked / "usr/bin/promtool"
    if not program.exists():
        if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
            raise ToolMissingError("promtool: put it on the path (it comes with Prometheus)")
        TOOLS.mkdir(exist_ok=True)
        done = _run("apt-get", "download", "--quiet", "prometheus", cwd=TOOLS)
        packages = sorted(TOOLS.glob("prometheus_*.deb"))
        if done.returncode or not packages:
            raise ToolMissingError(f"promtool: `apt-get download prometheus` failed: {done.stderr.strip()}")
        _run("dpkg-deb", "--extract", str(packages[-1]), str(unpacked)).check_returncode()
    return str(program)


@cache
def compose_schema() -> dict[str, object]:
    """The Compose Specification as JSON Schema."""
    if shutil.which("go") is None:
        raise ToolMissingError("the Compose Specification comes as a Go module: install Go")
    done = _run("go", "mod", "download", "-json", COMPOSE_GO, cwd=TOOLS.parent)
    if done.returncode:
        raise ToolMissingError(f"{COMPOSE_GO}: {done.stdout.strip()} {done.stderr.strip()}")
    folder = Path(json.loads(done.stdout)["Dir"])
    schema: dict[str, object] = json.loads((folder / "schema/compose-spec.json").read_text())
    return schema


@cache
def systemd_analyze() -> str:
    found = shutil.which("systemd-analyze")
    if found is None:
        raise ToolMissingError("systemd-analyze: it comes with systemd")
    return found


def _run(*command: str, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=300)
