"""The pipeline: its configuration, and the process `cdc run` that is killed and started again."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from cdc.demo.dynamodb import CREDENTIALS, REPLICA_REGION, SOURCE_REGION, TABLE
from cdc.demo.interrupts import Interrupts

PIPELINE = "demo"
TOPIC = f"cdc.{TABLE}"

_START_SECONDS = 20.0
_STOP_SECONDS = 15.0
_ADMIN = re.compile(r'"admin": ?"(?:http://)?([^"/ ]+:[0-9]+)')
_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Loopback is reached without a proxy, whatever the environment says."""


class WorkerError(Exception):
    """The process ended by itself, or does not get going. Its log tells why."""


@dataclass(frozen=True, slots=True)
class SinkFigures:
    """What the running process says of one of its sinks."""

    name: str
    state: str
    """`up`, `probing`, `opening` or `down`."""
    delivered: int
    """Changes, by this process."""
    lag_seconds: float | None
    headroom_seconds: float | None

    @property
    def is_up(self) -> bool:
        return self.state == "up"


def write_configuration(folder: Path, *, source_url: str, replica_url: str, bootstrap_servers: str) -> Path:
    """The configuration of a pipeline as a user would write it, but for the short times."""
    path = folder / "demo.yaml"
    text = f"""\
version: 1
pipeline: {PIPELINE}
source:
  type: dynamodb-streams
  tables: [{TABLE}]
  region: {SOURCE_REGION}
  endpoint_url: {source_url}
  idle_poll_seconds: 0.2
schema:
  mode: document
  registry:
    type: files
    path: ./schemas
sinks:
  - name: bus
    type: kafka
    bootstrap_servers: "{bootstrap_servers}"
    topic: cdc.{{table}}
    delivery: at-least-once
  - name: lake
    type: lake
    url: file:./lake
    format: avro
    flush_after_seconds: 1
  - name: dr
    type: replica
    region: {REPLICA_REGION}
    endpoint_url: {replica_url}
    max_in_flight: 4
state:
  type: sqlite
  path: ./state.db
dead_letters:
  type: file
  path: ./dead-letters
admin:
  host: 127.0.0.1
  port: 0
"""
    path.write_text(text, encoding="utf-8")
    return path


class Worker:
    """`cdc run` in its own process, as often as it is started."""

    def __init__(self, configuration: Path, log: Path, interrupts: Interrupts) -> None:
        self._configuration = configuration
        self._log = log
        self._interrupts = interrupts
        self._process: subprocess.Popen[bytes] | None = None
        self._admin = ""
        self._log_from = 0

    @property
    def pid(self) -> int:
        return self._running().pid

    def start(self) -> None:
        """Returns when the process answers, which is before its sinks are open.

        Raises:
            WorkerError: it ended, or does not answer in time.
        """
        self._admin = ""
        # A signal between the start and the assignment would leave a process behind that nobody knows.
        with self._log.open("ab") as log, self._interrupts.held():
            self._log_from = log.tell()
            self._process = subprocess.Popen(  # noqa: S603 - this very program
                [
                    *(sys.executable, "-c", "from cdc.cli import main; main()"),
                    *("run", str(self._configuration), "--log-format", "json"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_environment(),
                # Ctrl-C is for the demonstration, which then ends this process itself.
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_SECONDS
        while not self.figures():
            if time.monotonic() > deadline:
                raise WorkerError(f"the worker does not answer after {_START_SECONDS:.0f} s")
            time.sleep(0.05)

    def figures(self) -> list[SinkFigures]:
        """The sinks in the order of the configuration; none while the process does not answer yet.

        Raises:
            WorkerError: it has ended.
        """
        process = self._running()
        if process.poll() is not None:
            raise WorkerError(f"the worker ended by itself, with {process.returncode}")
        if not self._admin:
            match = _ADMIN.search(self._log_text())
            if match is None:
                return []
            self._admin = match[1]
        try:
            with _direct.open(f"http://{self._admin}/status", timeout=2.0) as answer:
                status = json.load(answer)
        except (urllib.error.URLError, OSError):
            return []
        return [_figures(sink) for sink in status["sinks"]]

    def kill(self) -> None:
        """`kill -9`: no chance to finish anything."""
        process = self._running()
        process.kill()
        process.wait()
        self._process = None

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        process = self._running()
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(_STOP_SECONDS)
        finally:
            self.end()

    def end(self) -> None:
        """Whatever state it is in."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def log_tail(self, lines: int = 15) -> list[str]:
        return self._log_text().splitlines()[-lines:]

    def _log_text(self) -> str:
        """Of the newest start."""
        if not self._log.exists():
            return ""
        with self._log.open("rb") as log:
            log.seek(self._log_from)
            return log.read().decode(errors="replace")

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            raise WorkerError("the worker is not running")
        return self._process


def _figures(sink: dict[str, object]) -> SinkFigures:
    tables = sink["tables"]
    figures = tables[0] if isinstance(tables, list) and tables else {}
    return SinkFigures(
        name=str(sink["name"]),
        state=str(sink["state"]),
        delivered=int(str(sink["delivered"])),
        lag_seconds=figures.get("lag_seconds"),
        headroom_seconds=figures.get("retention_headroom_seconds"),
    )


def _environment() -> dict[str, str]:
    """Nobody's AWS account and no proxy: the process sees the embedded servers and nothing else."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("AWS_") and not name.lower().endswith("_proxy")
    }
    own = {
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    return kept | own | CREDENTIALS
