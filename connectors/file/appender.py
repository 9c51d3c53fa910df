"""A file of lines that is only ever appended to, whole lines at a time."""

import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from cdc.errors import ErrorKind, SinkError
from schemas.change_line import PREFIX

MAX_APPEND_BYTES = 4 << 20
"""What is written between two fsyncs, but for the last batch of it (a page is at most 1 MB)."""

_REPAIR_BYTES = 16 << 20
"""More than was ever written without an fsync: only this much of the file's end can be torn."""

_KINDS = {
    errno.EACCES: ErrorKind.ACCESS_DENIED,
    errno.EPERM: ErrorKind.ACCESS_DENIED,
    errno.EROFS: ErrorKind.ACCESS_DENIED,
    errno.ENOENT: ErrorKind.NOT_FOUND,
    errno.ENOTDIR: ErrorKind.NOT_FOUND,
}


class Appender:
    """Appends to `path`, and is the only one that does: the file is locked (flock) while it is open.

    What `append` was told and did not raise is on the disk. What a crash left of an unfinished append is cut off when
    the file is opened; it was never called durable. A file that was moved away is followed by a new one.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None
        self._whole: int | None = None
        """The size to go back to, when an append failed and could not be undone."""

    def open(self) -> None:
        """
        Raises:
            SinkError: `NOT_FOUND`, `ACCESS_DENIED`, `CONFIGURATION` if it is no file of changes, `UNAVAILABLE`.
        """
        with _mapped(self._path):
            self._ensure_open()

    def append(self, lines: bytes) -> None:
        """Writes whole lines and has them on the disk, or leaves nothing of them.

        Raises:
            SinkError: as `open`; `UNAVAILABLE` for a full disk.
        """
        with _mapped(self._path):
            fd = self._ensure_open()
            self._whole = os.fstat(fd).st_size
            try:
                rest = memoryview(lines)
                while rest:
                    rest = rest[os.write(fd, rest) :]
                os.fsync(fd)
            except OSError:
                # After a failed fsync the kernel may have dropped the pages: nothing of this append counts.
                self._undo(fd)
                raise
            self._whole = None

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _ensure_open(self) -> int:
        if self._fd is not None:
            self._undo(self._fd)
            if self._whole is None and self._is_at_path(self._fd):
                return self._fd
        self.close()
        created = not self._path.exists()
        fd = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            _check_regular(self._path, fd)
            _lock(self._path, fd)
            _repair(self._path, fd)
            if created:
                _sync_folder(self._path.parent)
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd
        self._whole = None
        return fd

    def _is_at_path(self, fd: int) -> bool:
        try:
            return os.path.samestat(os.fstat(fd), self._path.stat())
        except FileNotFoundError:
            return False

    def _undo(self, fd: int) -> None:
        """Cuts off what a failed append left; if even that fails, it is tried again before the next one."""
        if self._whole is None:
            return
        try:
            os.ftruncate(fd, min(self._whole, os.fstat(fd).st_size))
            os.fsync(fd)
        except OSError:
            return
        self._whole = None


def examine(path: Path) -> Sequence[str]:
    """What `open` would find, without changing anything.

    Raises:
        SinkError: as `Appender.open`.
    """
    with _mapped(path):
        folder = path.parent
        free = f"{shutil.disk_usage(folder).free >> 20} MiB free"
        if not path.exists():
            if not os.access(folder, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, "not writable", str(folder))
            return [f"{path} will be created; {free}"]
        if not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, "not writable", str(path))
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            _check_regular(path, fd)
            torn = os.fstat(fd).st_size - _whole_size(path, fd)
        finally:
            os.close(fd)
    found = [f"{path} is writable; {free}"]
    if torn:
        found.append(f"{torn} bytes of an unfinished line at its end will be repaired")
    return found


@contextmanager
def _mapped(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        kind = _KINDS.get(error.errno or 0, ErrorKind.UNAVAILABLE)
        raise SinkError(kind, f"{path}: {os.strerror(error.errno or 0)}") from error


def _check_regular(path: Path, fd: int) -> None:
    mode = os.fstat(fd).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        raise SinkError(
            ErrorKind.CONFIGURATION, f"{path} is not a regular file", remedy="name a file under `path`"
        )


def _lock(path: Path, fd: int) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise SinkError(
            ErrorKind.UNAVAILABLE,
            f"{path} is being written by another process",
            remedy="give each sink its own file",
        ) from error


def _repair(path: Path, fd: int) -> None:
    size, whole = os.fstat(fd).st_size, _whole_size(path, fd)
    if whole == size:
        return
    try:
        msgspec.json.decode(os.pread(fd, size - whole, whole))
    except msgspec.DecodeError:
        os.ftruncate(fd, whole)
    else:
        os.write(fd, b"\n")  # a whole change, without its newline: written by hand, or as good as written
    os.fsync(fd)


def _whole_size(path: Path, fd: int) -> int:
    """Where the last whole line ends. What a lost power supply leaves behind are parts of lines, and zeros in the place
    of pages that were not written; both only behind the last fsync."""
    size = os.fstat(fd).st_size
    first = max(0, size - _REPAIR_BYTES)
    end = os.pread(fd, size - first, first)
    if not first and not end.strip(b"\0"):
        return 0
    _check_ours(path, os.pread(fd, len(PREFIX), 0).rstrip(b"\0") or b"\0")
    zero = end.find(b"\0")
    whole = end.rfind(b"\n", 0, zero if zero >= 0 else len(end)) + 1
    _check_ours(path, end[whole : whole + len(PREFIX)].split(b"\0", 1)[0])
    return first + whole


def _check_ours(path: Path, start: bytes) -> None:
    """Fails for a line that no sink of this kind began: somebody else's file is not to be cut."""
    if start != PREFIX[: len(start)]:
        raise SinkError(
            ErrorKind.CONFIGURATION,
            f"{path} holds something other than changes",
            remedy="name a file under `path` that does not exist yet",
        )


def _sync_folder(folder: Path) -> None:
    """A new file's name is durable only when its folder is (fsync(2))."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
