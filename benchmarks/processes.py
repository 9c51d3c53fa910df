"""The processes of a run: the canned server, and the one that is measured, by the system's own accounting."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.certificates import HOST, Files
from benchmarks.server import Command, Counts

START_SECONDS = 120.0
POLL_SECONDS = 0.02
_TICKS = os.sysconf("SC_CLK_TCK")

_CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIDBENCHMARK",
    "AWS_SECRET_ACCESS_KEY": "made-up",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


class BenchmarkError(Exception):
    """A process did not do what was measured, or its output is wrong: there is no figure."""


def environment(files: Files) -> dict[str, str]:
    """Credentials of nobody, and trust in the authority of this run."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CDC_"))}
    return kept | _CREDENTIALS | {"AWS_CA_BUNDLE": str(files.authority), "PYTHONHASHSEED": "0"}


class Server:
    """The canned server in a process of its own."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._lock = threading.Lock()
        self.endpoint = f"https://{HOST}:{self._answer()['port']}"

    def ask(self, command: Command, *, seconds: float = 0.0) -> Any:
        with self._lock:
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps({"command": command, "seconds": seconds}) + "\n")
            self._process.stdin.flush()
            return self._answer()

    def counts(self) -> Counts:
        found: Counts = self.ask("counts")
        return found

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise BenchmarkError(f"the canned server has ended with {self._process.wait()}")
        return json.loads(line)


@contextmanager
def serving(files: Files, tables: Sequence[str], *options: str) -> Iterator[Server]:
    command = [sys.executable, "-m", "benchmarks.server", "--certificate", str(files.certificate)]
    with subprocess.Popen(
        [*command, *options, *tables], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Server(process)
        finally:
            process.kill()


class Use(NamedTuple):
    """What a process has used by now."""

    cpu: float
    """Seconds of all cores, user and system, of its ended children too."""
    at: float
    """Monotonic seconds."""


class Measured:
    """A process that is started, looked at, and ended; its output goes to `out.txt` and `err.txt` of its folder."""

    def __init__(self, arguments: Sequence[str], folder: Path, env: Mapping[str, str]) -> None:
        self._err = folder / "err.txt"
        self._out = folder / "out.txt"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(
                arguments, cwd=folder, env=dict(env), stdin=subprocess.PIPE, stdout=out, stderr=err
            )
        self.peak_bytes = 0
        """Resident memory at its highest; known at the end."""

    def use(self) -> Use:
        """By proc(5) `stat`: user and system time, its own and that of children it has waited for."""
        self.check()
        fields = Path(f"/proc/{self._process.pid}/stat").read_bytes().rpartition(b")")[2].split()
        return Use(sum(map(int, fields[11:15])) / _TICKS, time.monotonic())

    def out(self) -> str:
        return self._out.read_text()

    def err(self) -> str:
        return self._err.read_text()

    def check(self) -> None:
        """Raises `BenchmarkError` if it does not run any more."""
        if self._process.poll() is not None:
            raise BenchmarkError(
                f"{self._process.args!r} ended with {self._process.returncode}: {self.err()[-4000:]}"
            )

    def end(self, number: signal.Signals | None) -> None:
        """Ends it by this signal, or by the end of its input; waits for it, and asks the system for its peak."""
        self.check()
        assert self._process.stdin is not None
        self._process.stdin.close()
        if number is not None:
            self._process.send_signal(number)
        _, status, usage = os.wait4(self._process.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        self.peak_bytes = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        if self._process.returncode != 0:
            raise BenchmarkError(f"ended with {self._process.returncode}: {self.err()[-4000:]}")

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._process.stdin.close()
