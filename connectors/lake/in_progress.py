"""A file that is being written: rows gather into blocks, blocks go to the disk."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cdc.model import Durability, ShardKey
from cdc.receipts import Undurable
from connectors.lake.container import SYNC_BYTES, Codec, block, header
from connectors.lake.disk import Disk
from connectors.lake.folder import LakeFolder
from connectors.lake.partition import Partition

BLOCK_BYTES = 256 * 1024
"""Rows are held in memory up to here: enough to compress well, little enough for many files at once."""


class FileKey(NamedTuple):
    """What the rows of one file share: another schema is another file."""

    partition: Partition
    schema: str
    """Avro schema JSON."""
    replayed: bool = False
    """Dead letters that were sent again: files of their own, whose metadata say so."""


@dataclass(eq=False, slots=True)
class Waiting:
    """An undurable batch, and how many files still have to appear before it is durable."""

    entry: Undurable
    durability: Durability
    files: int = 0


class InProgress:
    """One Avro file of one partition and one schema. Methods raise `OSError`, after which only `abandon` may follow.

    Args:
        opened_at: monotonic seconds.
    """

    def __init__(
        self, key: FileKey, folder: LakeFolder, disk: Disk, *, codec: Codec, opened_at: float
    ) -> None:
        self.key = key
        self.opened_at = opened_at
        self.shards: set[ShardKey] = set()
        """Whose rows are in it."""
        self.waiting: list[Waiting] = []
        """The batches that have rows in it."""
        self._folder = folder
        self._disk = disk
        self._codec: Codec = codec
        self._sync = os.urandom(SYNC_BYTES)
        self._name = folder.new_name()
        self._rows = bytearray()
        self._count = 0
        self._written = 0
        self._file: int | None = disk.create(folder.in_progress(self._name))
        try:
            self._write(header(key.schema, codec, self._sync, replayed=key.replayed))
        except OSError:
            self.abandon()
            raise

    @property
    def size(self) -> int:
        """Bytes, those not yet written included."""
        return self._written + len(self._rows)

    def append(self, values: Sequence[bytes], waiting: Waiting) -> None:
        waiting.files += 1
        self.waiting.append(waiting)
        self.shards.add(waiting.entry.shard)
        self._rows += b"".join(values)
        self._count += len(values)
        if len(self._rows) >= BLOCK_BYTES:
            self._write_block()

    def sync(self) -> None:
        """Brings all rows to the disk; more may follow."""
        if self._count:
            self._write_block()
        self._disk.sync(self._open_file())

    def publish(self) -> None:
        """Makes the file visible. It must be synced."""
        file, self._file = self._open_file(), None
        self._disk.close(file)
        self._folder.publish(self._name, self.key.partition)

    def abandon(self) -> None:
        """Gives the file up, and the room that it takes; what cannot be removed now is a leftover of this writer."""
        file, self._file = self._file, None
        try:
            if file is not None:
                self._disk.close(file)
            self._folder.discard(self._name)
        except OSError:
            return

    def _open_file(self) -> int:
        if self._file is None:
            raise ValueError("used after it was published or abandoned")
        return self._file

    def _write_block(self) -> None:
        self._write(block(self._rows, self._count, self._codec, self._sync))
        self._rows.clear()
        self._count = 0

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            taken = self._disk.write(self._open_file(), rest)
            self._written += taken
            rest = rest[taken:]
