"""`python -m tests.services`, run on a copy of itself so that the services of this checkout stay as they are."""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.services import environment
from tests.services.process import ProcessIdentity
from tests.services.server import listens

SERVES_NOTHING = (
    'case "$*" in *-version*) echo \'openjdk version "17.0.1"\' >&2;; *) echo broken >&2; exit 1;; esac'
)
RESOLVES_NOTHING = """for argument in "$@"; do case "$argument" in
-Dmdep.outputFile=*) for file in libsqlite4java-linux-amd64-1 libsqlite4java-osx-1 registry.tar.gz; do
printf '%s' "$separator$0-libs/$file"; separator=:; done > "${argument#*=}";; esac; done"""
GETS_NOTHING = """case "$1" in version) echo go version go1.99.0 linux/amd64;; *) echo no module proxy >&2; exit 1;; esac"""
BUILDS_NOTHING = """case "$1" in version) echo go version go1.99.0 linux/amd64;; install)
printf '#!/bin/sh\necho broken >&2; exit 1\n' > "$GOBIN/versitygw"; chmod +x "$GOBIN/versitygw";; esac"""


@dataclass(frozen=True)
class Checkout:
    """A checkout that holds `tests/services` alone, and a machine with only the commands given to it."""

    root: Path

    @property
    def env_file(self) -> Path:
        return self.root / ".services" / "env"

    @property
    def left_behind(self) -> list[Path]:
        return [*(self.root / "tmp").iterdir(), *self.root.glob(".services")]

    def provide(self, command: str, script: str) -> None:
        path = self.root / "bin" / command
        path.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
        path.chmod(0o755)

    def run(
        self, *arguments: str, path: str | None = None, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name not in ("JAVA_HOME", "CDC_REQUIRE_SERVICES", "CDC_SERVICES", "DOCKER_HOST")
        }
        return subprocess.run(
            [sys.executable, "-m", "tests.services", *arguments],
            cwd=self.root,
            env=inherited
            | {"PATH": path or str(self.root / "bin"), "TMPDIR": str(self.root / "tmp")}
            | {"CDC_SERVICES": "maven"}
            | {"PIP_NO_INDEX": "1"}  # a Go is not downloaded in passing
            | variables,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(environment.ROOT / "tests" / "services", tmp_path / "tests" / "services", ignore=ignored)
    (tmp_path / "tests" / "__init__.py").touch()
    (tmp_path / "tmp").mkdir()
    (tmp_path / "bin").mkdir()
    return Checkout(tmp_path)


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_a_process_is_another_one_when_its_start_time_differs(bystander: subprocess.Popen[bytes]) -> None:
    itself = ProcessIdentity.of(bystander.pid)
    earlier = ProcessIdentity(pid=bystander.pid, started=f"not {itself.started}")
    assert itself.alive()
    assert not earlier.alive()
    assert earlier.end()
    assert bystander.poll() is None, "the process that got the id of an ended one is left alone"
    assert itself.end()
    assert not itself.alive(), "ended, though its parent has not taken note yet"


def test_stop_ends_no_process_that_start_did_not_start(
    checkout: Checkout, bystander: subprocess.Popen[bytes]
) -> None:
    data = checkout.root / "tmp" / "dynamodb-cdc-services-ended"
    data.mkdir()
    checkout.env_file.parent.mkdir()
    record = {
        "variable": "KAFKA_BOOTSTRAP_SERVERS",
        "endpoint": "127.0.0.1:1",
        "pid": bystander.pid,
        "started": "0",
    }
    (checkout.env_file.parent / "records.json").write_text(
        json.dumps([record | {"directory": str(data)}]), "utf-8"
    )

    stopped = checkout.run("stop")
    assert (stopped.returncode, stopped.stderr) == (0, "")
    assert "had ended already" in stopped.stdout
    assert bystander.poll() is None
    assert checkout.left_behind == []


@pytest.mark.parametrize(
    ("commands", "remedy"),
    [
        ({}, "install Java 17"),
        ({"java": "echo 'openjdk version \"11.0.2\"' >&2"}, "install Java 17"),
        ({"java": SERVES_NOTHING}, "install Apache Maven"),
        ({"java": SERVES_NOTHING, "mvn": "echo no network; exit 1"}, "no network"),
    ],
)
def test_what_is_missing_is_told_with_its_remedy(
    checkout: Checkout, commands: dict[str, str], remedy: str
) -> None:
    for command, script in ({"go": GETS_NOTHING} | commands).items():
        checkout.provide(command, script)
    cache = str(checkout.root / "cache")

    for arguments, variables in (((), {}), (("--if-possible",), {"CDC_REQUIRE_SERVICES": "1"})):
        refused = checkout.run("start", *arguments, XDG_CACHE_HOME=cache, **variables)
        assert refused.returncode == 2
        assert remedy in refused.stderr

    skipped = checkout.run("start", "--if-possible", XDG_CACHE_HOME=cache)
    assert skipped.returncode == 0
    for service in environment.SERVICES:
        assert f"{service.name} IS NOT STARTED" in skipped.stderr
    assert skipped.stderr.count(remedy) == 3
    assert skipped.stderr.count("no module proxy") == 1
    assert checkout.left_behind == []


@pytest.mark.parametrize("go", [None, "echo go version go1.24.9 linux/amd64"])
def test_a_go_that_is_missing_or_too_old_is_replaced_or_told(checkout: Checkout, go: str | None) -> None:
    if go is not None:
        checkout.provide("go", go)
    refused = checkout.run("start", "--if-possible", XDG_CACHE_HOME=str(checkout.root / "cache"))
    assert refused.returncode == 0
    assert f"{environment.S3.name} IS NOT STARTED" in refused.stderr
    assert "nor from the Python package index: install Go" in refused.stderr


def test_a_failed_start_leaves_its_log_and_nothing_else(checkout: Checkout) -> None:
    checkout.provide("java", SERVES_NOTHING)
    checkout.provide("mvn", RESOLVES_NOTHING)
    libraries = checkout.root / "bin" / "mvn-libs"
    for library in ("linux-amd64", "osx"):
        (libraries / f"libsqlite4java-{library}-1").mkdir(parents=True)
    (libraries / "registry-runner.jar").touch()
    with tarfile.open(libraries / "registry.tar.gz", "w:gz") as archive:
        archive.add(libraries / "registry-runner.jar", arcname="registry-runner.jar")
    checkout.provide("go", BUILDS_NOTHING)

    failed = checkout.run("start", "--if-possible", XDG_CACHE_HOME=str(checkout.root / "cache"))
    assert failed.returncode == 1
    assert "broken" in failed.stderr
    assert not checkout.env_file.exists()
    assert [path.name for path in checkout.left_behind] == [".services"]
    assert checkout.run("stop").returncode == 0
    assert checkout.left_behind == []


@pytest.mark.integration
def test_the_services_from_start_to_stop(
    checkout: Checkout,
    kafka_bootstrap: str,
    dynamodb_endpoint: str,
    schema_registry_url: str,
    s3_endpoint: str,
) -> None:
    shared = {kafka_bootstrap, dynamodb_endpoint, schema_registry_url, s3_endpoint}
    path = os.environ["PATH"]
    try:
        started = checkout.run("start", path=path)
        assert started.returncode == 0, started.stderr
        env = dict(line.split("=", 1) for line in checkout.env_file.read_text("utf-8").splitlines())
        assert env.keys() == {service.variable for service in environment.SERVICES}
        ports = [int(re.findall(r":(\d+)", address)[-1]) for address in env.values()]
        assert not shared & set(env.values()), "not those of this run"
        assert all(listens(port) for port in ports)
        assert checkout.run("status", path=path).returncode == 0

        again = checkout.run("start", path=path)
        assert (again.returncode, again.stdout.count("already running")) == (0, 4)
        assert dict(line.split("=", 1) for line in checkout.env_file.read_text("utf-8").splitlines()) == env
    finally:
        stopped = checkout.run("stop", path=path)
    assert (stopped.returncode, stopped.stderr) == (0, "")
    assert not any(listens(port) for port in ports)
    assert checkout.left_behind == []
    assert checkout.run("status", path=path).returncode == 3
