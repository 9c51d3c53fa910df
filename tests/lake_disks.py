"""Disks that fail, that die, and that know what a power failure would leave."""

import os
import signal
from pathlib import Path

from connectors.lake.disk import Disk


class CountedDisk(Disk):
    """Lets a test do something before each call."""

    def before(self, call: str) -> None:
        raise NotImplementedError

    def make_folder(self, path: Path) -> None:
        self.before("make_folder")
        super().make_folder(path)

    def create(self, path: Path) -> int:
        self.before("create")
        return super().create(path)

    def write(self, file: int, data: memoryview) -> int:
        self.before("write")
        return super().write(file, data)

    def sync(self, file: int) -> None:
        self.before("sync")
        super().sync(file)

    def close(self, file: int) -> None:
        super().close(file)  # close(2) frees the descriptor also when it fails
        self.before("close")

    def rename(self, old: Path, new: Path) -> None:
        self.before("rename")
        super().rename(old, new)

    def sync_folder(self, path: Path) -> None:
        self.before("sync_folder")
        super().sync_folder(path)

    def remove(self, path: Path) -> None:
        self.before("remove")
        super().remove(path)

    def remove_folder(self, path: Path) -> None:
        self.before("remove_folder")
        super().remove_folder(path)


class FailingDisk(CountedDisk):
    """Fails on request: call number `at` from now, and the `calls - 1` after it."""

    def __init__(self) -> None:
        self._faults: list[int] = []
        self.failed = 0

    def fail(self, error: int, *, at: int = 0, calls: int = 1) -> None:
        self._faults = [0] * at + [error] * calls

    def mend(self) -> None:
        self._faults = []

    def before(self, call: str) -> None:
        error = self._faults.pop(0) if self._faults else 0
        if error:
            self.failed += 1
            raise OSError(error, os.strerror(error))

    def write(self, file: int, data: memoryview) -> int:
        """Half of it, as write(2) may: the other half is another call, which may fail."""
        return super().write(file, data[: len(data) // 2 + 1])


class KillingDisk(CountedDisk):
    """Ends this process with SIGKILL before call number `at`."""

    def __init__(self, at: int) -> None:
        self._left = at

    def before(self, call: str) -> None:
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1


class PowerLossDisk(FailingDisk):
    """Knows which files would be there whole if the power failed now: their bytes synced after the last write, their
    name and those of all folders above it synced in the folder that holds it (fsync(2))."""

    def __init__(self) -> None:
        super().__init__()
        self._paths: dict[int, Path] = {}
        self._unsynced: set[Path] = set()
        self._unnamed: dict[Path, set[Path]] = {}

    def survivors(self, files: list[Path]) -> list[Path]:
        return [file for file in files if self._is_safe(file)]

    def _is_safe(self, file: Path) -> bool:
        named = all(path not in self._unnamed.get(path.parent, ()) for path in (file, *file.parents))
        return named and file not in self._unsynced

    def make_folder(self, path: Path) -> None:
        super().make_folder(path)
        self._unnamed.setdefault(path.parent, set()).add(path)

    def create(self, path: Path) -> int:
        file = super().create(path)
        self._paths[file] = path
        self._unsynced.add(path)
        self._unnamed.setdefault(path.parent, set()).add(path)
        return file

    def write(self, file: int, data: memoryview) -> int:
        self._unsynced.add(self._paths[file])
        return super().write(file, data)

    def sync(self, file: int) -> None:
        super().sync(file)
        self._unsynced.discard(self._paths[file])

    def rename(self, old: Path, new: Path) -> None:
        super().rename(old, new)
        if old in self._unsynced:
            self._unsynced.add(new)
        self._unnamed.setdefault(new.parent, set()).add(new)

    def sync_folder(self, path: Path) -> None:
        super().sync_folder(path)
        self._unnamed.pop(path, None)
