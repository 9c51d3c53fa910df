"""A file that is being written: rows gather into blocks, blocks into chunks, chunks go to the storage."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from cdc.model import Durability, ShardKey
from cdc.receipts import Undurable
from connectors.lake.container import SYNC_BYTES, Codec, block, header
from connectors.lake.lanes import Call, Lane, Lanes
from connectors.lake.partition import Partition
from connectors.lake.storage import Storage, Terms

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
    """One Avro file of one partition and one schema. All under the sink's lock.

    What fails is the lanes' to tell: after it the file is given up, and nothing that is asked of it does anything.

    Args:
        opened_at: monotonic seconds.

    Raises:
        SinkError: no file could be made.
    """

    def __init__(
        self, key: FileKey, storage: Storage, lanes: Lanes, *, codec: Codec, opened_at: float
    ) -> None:
        self.key = key
        self.opened_at = opened_at
        self.shards: set[ShardKey] = set()
        """Whose rows are in it."""
        self.waiting: list[Waiting] = []
        """The batches that have rows in it."""
        self._terms: Terms = storage.terms
        self._lanes = lanes
        self._lane = Lane()
        self._codec: Codec = codec
        self._sync = os.urandom(SYNC_BYTES)
        self._rows = bytearray()
        self._count = 0
        self._chunk = bytearray(header(key.schema, codec, self._sync, replayed=key.replayed))
        self._handed_over = 0
        self._sealed = 0
        self._file = storage.create(key.partition)

    @property
    def size(self) -> int:
        """Bytes, those not yet written included."""
        return self._handed_over + self.held

    @property
    def held(self) -> int:
        """Bytes in memory that are not on their way yet."""
        return len(self._chunk) + len(self._rows)

    @property
    def chunk_bytes(self) -> int:
        """How much `hand_over` would hand over."""
        return len(self._chunk)

    @property
    def is_given_up(self) -> bool:
        return self._lane.is_given_up

    def append(self, values: Sequence[bytes], waiting: Waiting) -> None:
        waiting.files += 1
        self.waiting.append(waiting)
        self.shards.add(waiting.entry.shard)
        self._rows += b"".join(values)
        self._count += len(values)
        if len(self._rows) >= BLOCK_BYTES:
            self._end_block()

    def hand_over(self) -> None:
        """Gives the storage what there is of the next chunk."""
        chunk = self._take_chunk()
        self._lanes.push(self._lane, Call(partial(self._file.write, chunk), len(chunk)))

    def seal(self) -> None:
        """Gives the storage all that is left; only `publish` may follow."""
        if self._count:
            self._end_block()
        chunk = self._take_chunk()
        self._sealed = len(chunk)
        # A storage may keep the end of a file until it publishes it.
        self._lanes.push(self._lane, Call(partial(self._file.seal, chunk)))

    def publish(self, then: Callable[[], None]) -> None:
        """Makes the file visible. It must be sealed."""
        self._lanes.push(self._lane, Call(self._file.publish, self._sealed, then))

    def abandon(self) -> None:
        """Gives the file up, and the memory and the room that it takes."""
        self._rows.clear()
        self._chunk.clear()
        self._lanes.give_up(self._lane, self._file.abandon)

    def _end_block(self) -> None:
        rows, self._rows = self._rows, bytearray()
        count, self._count = self._count, 0
        self._gather(block(rows, count, self._codec, self._sync))

    def _gather(self, data: bytes) -> None:
        self._chunk += data
        if len(self._chunk) >= self._terms.chunk_bytes:
            self.hand_over()

    def _take_chunk(self) -> bytearray:
        chunk, self._chunk = self._chunk, bytearray()
        self._handed_over += len(chunk)
        return chunk
