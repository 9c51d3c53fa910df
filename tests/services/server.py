"""What the servers have in common, jars and containers alike: a loopback port, data that outlive a stop, a log."""

import http.client
import random
import socket
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, Self

from tests.services.environment import Service
from tests.services.records import Record

HOST = "127.0.0.1"
READY_SECONDS = 90.0
POLL_SECONDS = 0.02
# Below the ranges from which Linux (32768) and macOS (49152) take the ports of outgoing connections: the port of a
# stopped server is not handed out before it starts again, and a client that keeps trying never meets itself.
PORTS = range(20_000, 32_000)


class ServerFailedError(Exception):
    """The server ended or did not become ready. The message holds the end of its log."""


class Server(ABC):
    """One server; its port and its data last as long as this object, over any number of stops and starts.

    Also a context manager: starts, and stops gracefully.

        broker = KafkaBroker(tmp_path).start()
        broker.kill()
        broker.start()  # same address, same data
        broker.pause()  # connections stay open, nothing answers
        broker.resume()
    """

    service: ClassVar[Service]

    def __init__(self, directory: Path, *, log: Path | None = None) -> None:
        """
        Args:
            directory: exists, and gets the data of a process; the caller removes it.
            log: gets the output of a process, appended (default: in `directory`).
        """
        self.directory = directory
        self.log = log or directory / "server.log"
        self.port = free_port()

    @property
    @abstractmethod
    def endpoint(self) -> str:
        """The address in the form clients want it."""

    @property
    @abstractmethod
    def running(self) -> bool:
        """Whether it was started and has not ended; a paused server runs."""

    @property
    @abstractmethod
    def record(self) -> Record:
        """What another process needs to end this server. Raises RuntimeError before the first launch."""

    @classmethod
    @abstractmethod
    def prepare(cls) -> None:
        """Gets all that a start needs. Raises UnavailableError where this machine cannot run the server."""

    @abstractmethod
    def launch(self) -> None:
        """Starts the server and returns at once. Raises UnavailableError as `prepare`, RuntimeError if it runs."""

    @abstractmethod
    def stop(self) -> None:
        """Ends the server as its operator would; a paused one is resumed first. Nothing to do if it does not run.

        Raises:
            ServerFailedError: it had to be killed.
        """

    @abstractmethod
    def kill(self) -> None:
        """Ends the server as a power failure would (SIGKILL). Nothing to do if it does not run."""

    @abstractmethod
    def pause(self) -> None:
        """Freezes the server: its connections stay open, and nothing answers. Raises RuntimeError if it does not run."""

    @abstractmethod
    def resume(self) -> None:
        """Lets a paused server go on where it was. Raises RuntimeError if it does not run."""

    @abstractmethod
    def discard(self) -> None:
        """Kills the server and removes what it left outside the directory of the caller."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether the listening server serves clients."""

    @abstractmethod
    def _log_tail(self) -> str:
        """The end of what the server printed."""

    def wait_ready(self, *, seconds: float = READY_SECONDS) -> None:
        """Returns when the server serves clients. Raises ServerFailedError; the server then does not run."""
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

    def restart(self) -> Self:
        """`stop` and `start`: same address, same data."""
        self.stop()
        return self.start()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exception: object) -> None:
        self.stop()


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


def http_status(port: int, path: str, *, method: str = "GET", json: str | None = None) -> int | None:
    """The status that the server on the loopback port answers with; None where it does not answer."""
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    headers = {} if json is None else {"Content-Type": "application/json"}
    try:
        connection.request(method, path, body=json, headers=headers)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
