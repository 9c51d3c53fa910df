"""A server as a process of this machine: how it is started, ended, frozen, and where its log is."""

import signal
import subprocess
from abc import abstractmethod
from pathlib import Path

from tests.services.process import ProcessIdentity
from tests.services.records import ProcessRecord
from tests.services.server import Server, ServerFailedError


class LocalServer(Server):
    """A server whose process is a child of this one; its data are in `directory`, its output in `log`."""

    def __init__(self, directory: Path, *, log: Path | None = None) -> None:
        super().__init__(directory, log=log)
        self._identity: ProcessIdentity | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def _command(self) -> list[str]:
        """The command line, after any preparation of the data directory."""

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def identity(self) -> ProcessIdentity:
        """The process that was launched last. Raises RuntimeError before the first."""
        if self._identity is None:
            raise RuntimeError(f"{self.service.name} was never launched")
        return self._identity

    @property
    def record(self) -> ProcessRecord:
        return ProcessRecord(
            variable=self.service.variable,
            endpoint=self.endpoint,
            pid=self.identity.pid,
            started=self.identity.started,
            directory=str(self.directory),
        )

    def launch(self) -> None:
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

    def stop(self) -> None:
        if self._process is None:
            return
        self.identity.send(signal.SIGCONT)
        ended = self.identity.end()
        self._process.wait()
        if not ended:
            raise ServerFailedError(f"{self.service.name} did not stop on SIGTERM:\n{self._log_tail()}")

    def kill(self) -> None:
        if self._process is not None:
            if self.running:
                self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def pause(self) -> None:
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def discard(self) -> None:
        self.kill()

    def _signal(self, number: signal.Signals) -> None:
        if not self.running:
            raise RuntimeError(f"{self.service.name} does not run")
        self.identity.send(number)

    def _log_tail(self) -> str:
        return self.log.read_text("utf-8", errors="replace")[-3000:]
