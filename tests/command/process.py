"""`cdc` as a process: its exit code, what it wrote, and its admin server."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

COMMAND = Path(sys.prefix) / "bin" / "cdc"

MADE_UP = {
    "AWS_ACCESS_KEY_ID": "AKIDTEST",
    "AWS_SECRET_ACCESS_KEY": "made-up",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""Credentials of nobody, and none of the machine's own."""

SECONDS = 60.0
"""More than anything here takes that does not hang."""


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str
    seconds: float

    @property
    def text(self) -> str:
        return self.out + self.err


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """What the command inherits; an empty value takes a variable away."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CDC_"))}
    merged = kept | MADE_UP | dict(more or {})
    return {name: value for name, value in merged.items() if value}


def launch(folder: Path, *arguments: str, env: Mapping[str, str] | None = None) -> "subprocess.Popen[str]":
    """In `folder`, where the configuration is."""
    return subprocess.Popen(
        [str(COMMAND), *arguments],
        cwd=folder,
        env=environment(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: "subprocess.Popen[str]", *, seconds: float = SECONDS) -> Ended:
    """Waits for it; one that hangs is killed, and fails the test."""
    began = time.monotonic()
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"{process.args!r} did not end in {seconds:g} s: {out}{err}") from None
    return Ended(process.returncode, out, err, time.monotonic() - began)


def cdc(
    folder: Path, *arguments: str, env: Mapping[str, str] | None = None, seconds: float = SECONDS
) -> Ended:
    with launch(folder, *arguments, env=env) as process:
        return ended(process, seconds=seconds)


class Running:
    """A `cdc run` that goes on. Reads its output all the while, so that it never waits for a reader."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self._heard = threading.Condition()
        self._lines: list[str] = []
        self._out: list[str] = []
        self._threads = [
            threading.Thread(target=self._read, args=(process.stderr, self._lines), name="stderr"),
            threading.Thread(target=self._read, args=(process.stdout, self._out), name="stdout"),
        ]
        for thread in self._threads:
            thread.start()

    @property
    def err(self) -> str:
        with self._heard:
            return "".join(self._lines)

    def event(self, name: str, *, seconds: float = SECONDS) -> dict[str, Any]:
        """The first log line of this event, once it is there."""
        deadline = time.monotonic() + seconds
        with self._heard:
            while True:
                for line in self._lines:
                    fields = json.loads(line) if line.startswith("{") else {}
                    if fields.get("event") == name:
                        return dict(fields)
                left = deadline - time.monotonic()
                ended = not any(thread.is_alive() for thread in self._threads)
                heard = "".join(self._lines)
                assert not ended, f"ended without the event {name}: {heard}"
                assert left > 0, f"no event {name}: {heard}"
                self._heard.wait(min(left, 0.5))

    def admin(self, path: str) -> tuple[int, str]:
        """GET: status and body."""
        address = self.event("running")["admin"]
        try:
            with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self, *, seconds: float = SECONDS) -> Ended:
        """Waits for the end."""
        began = time.monotonic()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"did not end in {seconds:g} s: {self.err}") from None
        took = time.monotonic() - began
        for thread in self._threads:
            thread.join()
        return Ended(self.process.returncode, "".join(self._out), self.err, took)

    def stop(self) -> Ended:
        """As its operator ends it."""
        self.send(signal.SIGTERM)
        stopped = self.end(seconds=15)
        assert stopped.code == 0, stopped.err
        return stopped

    def _read(self, stream: IO[str], lines: list[str]) -> None:
        for line in stream:
            with self._heard:
                lines.append(line)
                self._heard.notify_all()


@contextmanager
def running(folder: Path, *arguments: str, env: Mapping[str, str] | None = None) -> Iterator[Running]:
    """`cdc run`; killed if it still runs at the end."""
    with launch(folder, "run", "pipeline.yaml", *arguments, env=env) as process:
        run = Running(process)
        try:
            yield run
        finally:
            if process.poll() is None:
                process.kill()
            run.end()


def eventually(
    holds: Callable[[], bool], what: str, *, seconds: float = SECONDS, run: Running | None = None
) -> None:
    """Looks again and again: what is looked at is written by another process (`run`), which tells nobody."""
    deadline = time.monotonic() + seconds
    while not holds():
        if run is not None:
            assert run.process.poll() is None, f"ended before {what}: {run.err}"
        assert time.monotonic() < deadline, f"not in {seconds:g} s: {what}"
        time.sleep(0.02)
