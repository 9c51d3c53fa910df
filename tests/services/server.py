"""What the servers have in common: a Java process on a loopback port, data in a directory, a log beside it."""

import random
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, Self

from tests.services.environment import Service
from tests.services.process import POLL_SECONDS, ProcessIdentity

HOST = "127.0.0.1"
READY_SECONDS = 90.0
# Below the ranges from which Linux (32768) and macOS (49152) take the ports of outgoing connections: the port of a
# stopped server is not handed out before it starts again, and a client that keeps trying never meets itself.
PORTS = range(20_000, 32_000)
# Compiles little and soon: half the processor time of a start.
JVM_OPTIONS = (
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    "-Djava.net.preferIPv4Stack=true",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
)


class ServerFailedError(Exception):
    """The server ended or did not become ready. The message holds the end of its log."""


class JavaServer(ABC):
    """One server; its port and its data last as long as this object, over any number of stops and starts.

    `directory` must exist and gets the data; the caller removes it. `log` gets the server's output, appended
    (default: in `directory`). Also a context manager: starts, and stops gracefully.

        broker = KafkaBroker(tmp_path).start()
        broker.kill()
        broker.start()  # same address, same data
    """

    service: ClassVar[Service]

    def __init__(self, directory: Path, *, log: Path | None = None) -> None:
        self.directory = directory
        self.log = log or directory / "server.log"
        self.port = free_port()
        self._identity: ProcessIdentity | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    @abstractmethod
    def endpoint(self) -> str:
        """The address in the form clients want it."""

    @classmethod
    @abstractmethod
    def prepare(cls) -> None:
        """Gets all that a start needs. Raises UnavailableError where this machine cannot run the server."""

    @abstractmethod
    def _command(self) -> list[str]:
        """The command line, after any preparation of the data directory."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether the listening server serves clients."""

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def identity(self) -> ProcessIdentity:
        """The process that was launched last. Raises RuntimeError before the first."""
        if self._identity is None:
            raise RuntimeError(f"{self.service.name} was never launched")
        return self._identity

    def launch(self) -> ProcessIdentity:
        """Starts the process and returns at once. Raises UnavailableError as `prepare`, RuntimeError if it runs."""
        if self.running:
            raise RuntimeError(f"{self.service.name} is running already")
        command = self._command()
        with self.log.open("ab") as log:
            # A session of its own: Ctrl-C in a terminal is for the tests, not for the server.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                start_new_session=True,
            )
        # Before anything waits for the process: it may have ended already, and must not be lost.
        self._identity = ProcessIdentity.of(self._process.pid)
        return self._identity

    def wait_ready(self, *, seconds: float = READY_SECONDS) -> None:
        """Returns when the server serves clients. Raises ServerFailedError; the process is then gone."""
        deadline = time.monotonic() + seconds
        while True:
            if not self.running:
                raise ServerFailedError(f"{self.service.name} ended at its start:\n{self._log_tail()}")
            if listens(self.port) and self._answers():
                return
            if time.monotonic() > deadline:
                self.kill()
                raise ServerFailedError(
                    f"{self.service.name} not ready after {seconds:.0f} s:\n{self._log_tail()}"
                )
            time.sleep(POLL_SECONDS)

    def start(self) -> Self:
        """Launches and waits until clients are served. Raises as `launch` and `wait_ready`."""
        self.launch()
        self.wait_ready()
        return self

    def stop(self) -> None:
        """Ends the server as its operator would (SIGTERM). Raises ServerFailedError if it had to be killed."""
        if self._process is None or self._identity is None:
            return
        if not self._identity.end():
            self._process.wait()
            raise ServerFailedError(f"{self.service.name} did not stop on SIGTERM:\n{self._log_tail()}")
        self._process.wait()

    def kill(self) -> None:
        """Ends the server as a power failure would (SIGKILL)."""
        if self._process is not None:
            if self.running:
                self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def restart(self) -> Self:
        """`stop` and `start`: same address, same data."""
        self.stop()
        return self.start()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def _log_tail(self) -> str:
        return self.log.read_text("utf-8", errors="replace")[-3000:]


def free_port() -> int:
    """A port of `PORTS` that nothing listens on, on any address of this machine. Raises OSError if none is."""
    for port in random.sample(PORTS, 200):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
            return port
    raise OSError(f"no free port found in {PORTS}")


def listens(port: int) -> bool:
    """Whether something accepts connections on the loopback port."""
    try:
        with socket.create_connection((HOST, port), timeout=1):
            return True
    except OSError:
        return False
