"""The lake as a folder: files in progress out of the readers' sight, made visible whole."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from pathlib import Path
from typing import Self

from cdc.connector import CountCall, SinkContext
from cdc.errors import ErrorKind, SinkError
from connectors.lake.config import OWN_FOLDER, LakeConfig
from connectors.lake.disk import Disk
from connectors.lake.partition import Partition
from connectors.lake.storage import Data, Names, Terms

_BUGS = (errno.EBADF, errno.EFAULT)


class LakeFolder:
    """A `Storage` on a file system.

    Files in progress are in `_cdc/in-progress/{pipeline}.{sink}/{writer}/`: on the same file system, so that a rename
    makes them visible at once, and each writer in a folder of its own, so that what a dead one left behind is known by
    its place.

    Args:
        root: the lake.
        names: whose the files are; only one process is this owner at a time.
        disk: the calls to the operating system.
    """

    terms = Terms(chunk_bytes=0, least_chunk_bytes=0, memory_bytes=inf, attempts=1, threads=0)

    def __init__(self, root: Path, names: Names, disk: Disk, count_call: CountCall) -> None:
        self.place = str(root)
        self.root = root
        self.disk = disk
        self.count_call = count_call
        self._names = names
        self._area = root / OWN_FOLDER / "in-progress" / names.owner

    @classmethod
    def of(cls, config: LakeConfig, context: SinkContext, disk: Disk | None = None) -> Self:
        names = Names(context.pipeline, config.name)
        return cls(config.folder(context.base), names, disk or Disk(), context.count_call)

    def open(self) -> None:
        with self.errors(opening=True):
            self._names.begin_writer()
            self._make_folders(self._area / self._names.writer)

    def remove_leftovers(self) -> None:
        with self.errors():
            for writer in self._area.iterdir():
                if writer.name != self._names.writer:
                    self._remove_writer(writer)

    def create(self, partition: Partition) -> "FileInFolder":
        with self.errors():
            return FileInFolder(self, partition, self._names.new(), self._area / self._names.writer)

    def close(self) -> None:
        """Removes this writer's folder and what is left in it."""
        with self.errors():
            self._remove_writer(self._area / self._names.writer)

    def publish(self, path: Path, partition: Partition) -> None:
        """Makes a synced file visible; when this returns, its name is durable as well."""
        folder = self.root / partition.folder
        table = self.root / partition.table
        for each in (table, folder.parent, folder):
            self._make_folder(each)
        self.disk.rename(path, folder / path.name)
        # Also folders that somebody made who died before this.
        for each in (folder, folder.parent, table, self.root):
            self.disk.sync_folder(each)

    @contextmanager
    def errors(self, *, opening: bool = False) -> Iterator[None]:
        """`OSError` as `SinkError`, but for those that only a bug here makes."""
        try:
            yield
        except OSError as error:
            if error.errno in _BUGS:
                raise
            denied = opening and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
            raise SinkError(
                ErrorKind.ACCESS_DENIED if denied else ErrorKind.UNAVAILABLE,
                f"the lake {self.place}: {error.strerror or error}",
            ) from error

    def _remove_writer(self, folder: Path) -> None:
        for file in folder.iterdir():
            self.disk.remove(file)
        self.disk.remove_folder(folder)

    def _make_folders(self, path: Path) -> None:
        """With those above it, which become durable as well."""
        missing = [folder for folder in (path, *path.parents) if not folder.is_dir()]
        for folder in reversed(missing):
            self._make_folder(folder)
            self.disk.sync_folder(folder.parent)

    def _make_folder(self, path: Path) -> None:
        try:
            self.disk.make_folder(path)
        except FileExistsError as error:
            if not path.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, "not a folder", os.fspath(path)) from error


class FileInFolder:
    """A `NewFile` on a file system. After a failure only `abandon` may follow."""

    def __init__(self, lake: LakeFolder, partition: Partition, name: str, folder: Path) -> None:
        self._lake = lake
        self._partition = partition
        self._path = folder / name
        self._file: int | None = lake.disk.create(self._path)

    def write(self, data: Data) -> None:
        with self._lake.errors():
            rest = memoryview(data)
            while rest:
                rest = rest[self._lake.disk.write(self._open_file(), rest) :]

    def seal(self, data: Data) -> None:
        self.write(data)
        with self._lake.errors():
            self._lake.disk.sync(self._open_file())

    def publish(self) -> None:
        file, self._file = self._open_file(), None
        try:
            with self._lake.errors():
                self._lake.disk.close(file)
                self._lake.publish(self._path, self._partition)
        except SinkError:
            self._lake.count_call("publish", "error")
            raise
        self._lake.count_call("publish", "ok")

    def abandon(self) -> None:
        file, self._file = self._file, None
        try:
            if file is not None:
                self._lake.disk.close(file)
            self._lake.disk.remove(self._path)
        except OSError:
            return

    def _open_file(self) -> int:
        if self._file is None:
            raise ValueError("used after it was published or abandoned")
        return self._file
