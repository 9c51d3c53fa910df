"""`cdc` in processes of its own: started, watched, killed and asked as an operator does it."""

import json
import os
import signal
import subprocess
import sysconfig
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.pipeline.places import Folders
from tests.services.server import HOST, free_port

READY_SECONDS = 30.0
POLL_SECONDS = 0.02
COMMAND = Path(sysconfig.get_path("scripts")) / "cdc"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}

Report = dict[str, Any]
"""`cdc status --json`."""


class PipelineError(AssertionError):
    """The process did not do what it was expected to. The message holds the end of its log."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended."""

    code: int
    stderr: str
    seconds: float
    """From the request to end, or from the beginning of the wait."""


class Pipeline:
    """One configuration, and the process that runs it now. `folder` gets everything the pipeline keeps, and the log of
    each start. Also a context manager: what still runs at its end is killed.

    `sinks`, `source` and `sections` (`schema`, `state`) are as in the configuration file.
    """

    def __init__(
        self,
        folder: Path,
        *,
        source: Mapping[str, Any],
        sinks: Sequence[Mapping[str, Any]],
        sections: Mapping[str, Any] | None = None,
        lease_seconds: int = 15,
        name: str = "orders",
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.config = folder / "pipeline.yaml"
        self._admin = f"http://{HOST}:{(port := free_port())}"
        self._process: subprocess.Popen[bytes] | None = None
        self._starts = 0
        sections = sections or Folders(folder).sections
        settings = {
            "version": 1,
            "pipeline": name,
            "source": dict(source),
            "sinks": [dict(sink) for sink in sinks],
            "schema": sections["schema"],
            "state": {**sections["state"], "lease_seconds": lease_seconds},
            "dead_letters": {"type": "file", "path": "./dead-letters"},
            "admin": {"host": HOST, "port": port},
        }
        self.config.write_text(yaml.safe_dump(settings, sort_keys=False), "utf-8")

    @property
    def log(self) -> Path:
        """Standard error of the newest start."""
        return self.folder / f"run-{self._starts}.log"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, *options: str) -> Self:
        """`cdc run`; returns at once."""
        assert not self.running
        self._starts += 1
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [COMMAND, "run", self.config, "--log-format", "json", *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | CREDENTIALS,
                start_new_session=True,
            )
        return self

    def wait_ready(self, *, seconds: float = READY_SECONDS) -> float:
        """Returns once `/ready` says so: the seconds that it took."""
        return self.wait(self.ready, "it is ready", seconds=seconds)

    def ready(self) -> bool:
        try:
            self._get("/ready")
        except (urllib.error.URLError, ConnectionError):
            return False
        return True

    def wait(self, holds: Callable[[], bool], what: str, *, seconds: float = 60.0) -> float:
        """Returns the seconds until `holds`. Raises PipelineError if the process ends before, or after `seconds`."""
        began = time.monotonic()
        while not holds():
            if not self.running:
                raise PipelineError(f"it ended before {what}: {self._tail()}")
            if time.monotonic() - began > seconds:
                raise PipelineError(f"{seconds:.0f} s passed before {what}: {self._tail()}")
            time.sleep(POLL_SECONDS)
        return time.monotonic() - began

    def kill(self) -> None:
        """`kill -9`, while it runs."""
        assert self._process is not None
        assert self.running, f"it ended before it was killed: {self._tail()}"
        self._process.send_signal(signal.SIGKILL)
        assert self._process.wait() == -signal.SIGKILL

    def terminate(self, *, seconds: float = 30.0) -> Ended:
        """SIGTERM; returns when it has ended."""
        assert self._process is not None
        assert self.running, f"it ended before it was asked to: {self._tail()}"
        self._process.send_signal(signal.SIGTERM)
        return self.wait_ended(seconds=seconds)

    def wait_ended(self, *, seconds: float) -> Ended:
        """Raises PipelineError if it runs for longer."""
        assert self._process is not None
        began = time.monotonic()
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise PipelineError(f"it still runs after {seconds:.0f} s: {self._tail()}") from None
        return Ended(code, self.log.read_text("utf-8"), time.monotonic() - began)

    def run_until_caught_up(self, *, seconds: float = 120.0) -> float:
        """`cdc run --until-caught-up`, to its end with 0: the seconds that it took."""
        ended = self.start("--until-caught-up").wait_ended(seconds=seconds)
        if ended.code != 0:
            raise PipelineError(f"exit code {ended.code}: {self._tail()}")
        return ended.seconds

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`cdc WORDS CONFIG`, whatever its exit code."""
        return subprocess.run(
            [COMMAND, *words, self.config],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=os.environ | CREDENTIALS,
        )

    def status(self) -> Report:
        """`cdc status --json`."""
        done = self.command("status", "--json")
        assert done.returncode == 0, done.stderr
        report: Report = json.loads(done.stdout)
        return report

    def live_status(self) -> Report:
        """`/status`."""
        report: Report = json.loads(self._get("/status"))
        return report

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the series with these labels. Raises PipelineError if there is none."""
        samples = [
            sample.value
            for family in text_string_to_metric_families(self._get("/metrics").decode())
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
        if not samples:
            raise PipelineError(f"no metric {name}{labels}")
        return sum(samples)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.running:
            self.kill()

    def _get(self, path: str) -> bytes:
        with urllib.request.urlopen(self._admin + path, timeout=15) as answer:
            body: bytes = answer.read()
        return body

    def _tail(self) -> str:
        return f"{self.log}:\n{self.log.read_text('utf-8')[-3000:]}"


def sink_of(report: Report, name: str) -> dict[str, Any]:
    """A sink's part of a report."""
    (sink,) = [sink for sink in report["sinks"] if sink["name"] == name]
    assert isinstance(sink, dict)
    return sink


def lag_of(report: Report, name: str) -> float:
    """Seconds, for the one table that these pipelines have."""
    (table,) = sink_of(report, name)["tables"]
    lag = table["lag_seconds"]
    assert lag is not None, f"the lag of {name} is unknown"
    return float(lag)
