"""Processes that outlive the command which started them, known by process id and start time.

A process id alone is reused by the system; with the start time it names one process.
"""

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

POLL_SECONDS = 0.02
GRACE_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class ProcessIdentity:
    """`started` is opaque: what the system says of the start of `pid`, equal only for the same process."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> "ProcessIdentity":
        """Raises ProcessLookupError where there is no such process.

        The caller's own child always has one until it is waited for, even where it has ended by now.
        """
        seen = _look_up(pid)
        if seen is None:
            raise ProcessLookupError(f"no process {pid}")
        return cls(pid=pid, started=seen.started)

    def alive(self) -> bool:
        seen = _look_up(self.pid)
        return seen is not None and seen.started == self.started and not seen.ended

    def send(self, number: signal.Signals) -> None:
        """Signals this process and no other; nothing happens where it has ended."""
        if self.alive():
            os.kill(self.pid, number)

    def wait_ended(self, *, seconds: float) -> bool:
        """Whether the process ended within `seconds`."""
        deadline = time.monotonic() + seconds
        while self.alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)
        return True

    def end(self, *, grace_seconds: float = GRACE_SECONDS) -> bool:
        """Asks the process to end, and kills it after `grace_seconds`. Whether it ended by itself.

        Raises:
            TimeoutError: not even SIGKILL ended it (it hangs in the system).
        """
        self.send(signal.SIGTERM)
        if self.wait_ended(seconds=grace_seconds):
            return True
        self.kill()
        return False

    def kill(self) -> None:
        """SIGKILL, and waits for the end. Raises TimeoutError as `end` does."""
        self.send(signal.SIGKILL)
        if not self.wait_ended(seconds=GRACE_SECONDS):
            raise TimeoutError(f"process {self.pid} survives SIGKILL")


class _Seen(NamedTuple):
    started: str
    ended: bool  # and waits for its parent to take note


def _look_up(pid: int) -> _Seen | None:
    if Path("/proc/self/stat").exists():
        try:
            stat = Path(f"/proc/{pid}/stat").read_text("utf-8", errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            return None
        # proc(5): the command name is in parentheses and may hold any character; state is field 3, starttime
        # (in clock ticks since boot) field 22.
        fields = stat.rpartition(")")[2].split()
        return _Seen(started=fields[19], ended=fields[0] in "ZX")
    told = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, started = told.stdout.strip().partition(" ")
    return _Seen(started=started.strip(), ended=state.startswith("Z")) if state else None
