"""The lake's folder: files in progress out of the readers' sight, made visible whole."""

import errno
import os
from pathlib import Path
from uuid import uuid4

from connectors.lake import OWN_FOLDER
from connectors.lake.disk import Disk
from connectors.lake.partition import Partition


class LakeFolder:
    """What one writer does to the folder. All methods raise `OSError`.

    Files in progress are in `_cdc/in-progress/{owner}/{writer}/`: on the same file system, so that a rename makes them
    visible at once, and each writer in a folder of its own, so that what a dead one left behind is known by its place.

    Args:
        root: the lake.
        owner: `{pipeline}.{sink}`; only one process is this owner at a time.
    """

    def __init__(self, root: Path, owner: str, disk: Disk) -> None:
        self.root = root
        self._area = root / OWN_FOLDER / "in-progress" / owner
        self._writer = ""
        self._disk = disk

    def open(self) -> None:
        """Begins a new writer, with a folder of its own. What an earlier one has is left alone."""
        writer = uuid4().hex[:12]
        self._make_folders(self._area / writer)
        self._writer = writer

    def new_name(self) -> str:
        """A name that was never used before."""
        return f"{self._writer}-{uuid4()}.avro"

    def in_progress(self, name: str) -> Path:
        return self._area / self._writer / name

    def publish(self, name: str, partition: Partition) -> None:
        """Makes a synced file visible; when this returns, its name is durable as well."""
        folder = self.root / partition.folder
        table = self.root / partition.table
        for path in (table, folder.parent, folder):
            self._make_folder(path)
        self._disk.rename(self.in_progress(name), folder / name)
        # Also folders that somebody made who died before this.
        for path in (folder, folder.parent, table, self.root):
            self._disk.sync_folder(path)

    def discard(self, name: str) -> None:
        self._disk.remove(self.in_progress(name))

    def remove_leftovers(self) -> None:
        """Removes what other writers of this owner left in progress; only for the one that owns the lake now."""
        for writer in self._area.iterdir():
            if writer.name != self._writer:
                self._remove_writer(writer)

    def close(self) -> None:
        """Removes this writer's folder and what is left in it."""
        self._remove_writer(self._area / self._writer)

    def _remove_writer(self, folder: Path) -> None:
        for file in folder.iterdir():
            self._disk.remove(file)
        self._disk.remove_folder(folder)

    def _make_folders(self, path: Path) -> None:
        """With those above it, which become durable as well."""
        missing = [folder for folder in (path, *path.parents) if not folder.is_dir()]
        for folder in reversed(missing):
            self._make_folder(folder)
            self._disk.sync_folder(folder.parent)

    def _make_folder(self, path: Path) -> None:
        try:
            self._disk.make_folder(path)
        except FileExistsError as error:
            if not path.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, "not a folder", os.fspath(path)) from error
