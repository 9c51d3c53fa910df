"""Which process is this, and does that one still live? The identity behind the lease of a state store.

A pid alone does not tell: it is given again to others. With the start time it names one process for as long as the
machine is up; with the boot and the pid namespace it is known whether this process can judge at all.
"""

import os
import socket
import subprocess
from pathlib import Path

from cdc.ports import Owner

_PROC = Path("/proc")


def this_process(*, admin: str = "") -> Owner:
    """The identity of the calling process, as `StateStore.acquire` takes it."""
    return Owner(
        host=socket.gethostname(),
        pid=os.getpid(),
        process_started=_started(os.getpid()) or "unknown",
        admin=admin,
    )


def is_dead(owner: Owner) -> bool:
    """Whether `owner` is known to be dead. False also for one that cannot be judged from here: on another host, or in
    another container or boot under the same host name; its lease has to expire.
    """
    if owner.host != socket.gethostname():
        return False
    boot, _, _ = owner.process_started.rpartition("/")
    if boot and boot != _boot_and_namespace():
        return False
    try:
        os.kill(owner.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # it exists, under another user
    started = _started(owner.pid)
    return started is not None and started != owner.process_started


def _started(pid: int) -> str | None:
    """`{boot id}/{pid namespace}/{start time}` on Linux, the start time elsewhere; `ended` for a process that is dead
    but has not been waited for; None if the system does not tell."""
    if (_PROC / "self" / "stat").exists():
        return _started_linux(pid)
    return started_ps(pid)


def _started_linux(pid: int) -> str | None:
    """Field 22 of proc(5) `stat`: clock ticks since boot. The name in field 2 may hold blanks and parentheses."""
    try:
        fields = (_PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
    except OSError:  # gone, or hidden (`hidepid`): kill(2) has said which
        return None
    if fields[0] in (b"Z", b"X", b"x"):
        return "ended"
    return f"{_boot_and_namespace()}/{fields[19].decode()}"


def _boot_and_namespace() -> str:
    """Empty where the system has no such thing."""
    try:
        boot = (_PROC / "sys" / "kernel" / "random" / "boot_id").read_text().strip()
        return f"{boot}/{(_PROC / 'self' / 'ns' / 'pid').readlink()}"
    except OSError:
        return ""


def started_ps(pid: int) -> str | None:
    """What `ps` tells (macOS, the BSDs): the start time to the second; `ended` for a zombie; None if it is gone."""
    shown = subprocess.run(  # noqa: S603 - a fixed command, its only variable a number
        ["/bin/ps", "-o", "stat=", "-o", "lstart=", "-p", str(pid)],
        capture_output=True,
        text=True,
        env={"LC_ALL": "C", "TZ": "UTC"},
        check=False,
    ).stdout.split()
    if not shown:
        return None
    return "ended" if shown[0].startswith("Z") else " ".join(shown[1:])
