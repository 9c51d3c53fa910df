"""The `file` sink: batches are collected, and one thread appends and syncs them, many at a time."""

import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Executor, Future, wait
from pathlib import Path

from cdc.errors import SinkError
from cdc.model import Durability, EncodedBatch, Position, ShardKey
from cdc.ports import Receipt
from cdc.receipts import Receipts, Undurable
from connectors.file.appender import MAX_APPEND_BYTES, Appender
from schemas.change_line import encode_lines, rejects

_MAX_WAITING_BYTES = 8 << 20
"""More than this is not accepted before the disk has taken what is waiting."""


class FileSink:
    """Args:
    flush_after_seconds: how long lines may wait for others, so that one fsync does for many batches.
    executor: `SinkContext.executor`; one thread is used.
    """

    def __init__(
        self, name: str, path: Path, *, flush_after_seconds: float, executor: Callable[[int], Executor]
    ) -> None:
        self.name = name
        self._appender = Appender(path)
        self._flush_after_seconds = flush_after_seconds
        self._executor = executor
        self._receipts = Receipts()
        self._changed = threading.Condition()
        self._waiting: deque[tuple[Undurable, bytes]] = deque()
        self._waiting_bytes = 0
        self._hurry = False
        self._closing = False
        self._writer: Future[None] | None = None

    def open(self) -> None:
        if self._writer is None:
            self._appender.open()
            self._writer = self._executor(1).submit(self._write_until_closed)

    def claim(self, shards: Collection[ShardKey]) -> Mapping[ShardKey, Position] | None:
        for shard in shards:
            self._receipts.forget(shard)
        return None

    def write(self, batch: EncodedBatch) -> Receipt:
        entry = self._receipts.take(batch)
        if isinstance(entry, Receipt):
            return entry
        lines = encode_lines(batch.batch)
        with self._changed:
            self._waiting.append((entry, lines))
            self._waiting_bytes += len(lines)
            room = self._waiting_bytes <= _MAX_WAITING_BYTES
            self._changed.notify()
        if room:
            self._receipts.accept(entry)
        return entry.receipt

    def flush(self, *, deadline: float) -> "Future[None]":
        flushed: Future[None] = Future()
        durables = [entry.receipt.durable for entry in self._receipts.undurable()]

        def look(_: object) -> None:
            if all(durable.done() for durable in durables) and not flushed.done():
                failed = [error for durable in durables if (error := durable.exception()) is not None]
                if failed:
                    flushed.set_exception(failed[0])
                else:
                    flushed.set_result(None)

        for durable in durables:
            durable.add_done_callback(look)
        if not durables:
            flushed.set_result(None)
        with self._changed:
            self._hurry = True
            self._changed.notify()
        return flushed

    def release(self, shards: Collection[ShardKey]) -> None:
        """Nothing was claimed."""

    def close(self, *, deadline: float) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._writer is not None:
            wait([self._writer], timeout=deadline)
        self._receipts.abandon()

    def _write_until_closed(self) -> None:
        try:
            while True:
                self._gather()
                with self._changed:
                    taken = self._take()
                if not taken:
                    return
                self._append(taken)
        except Exception as bug:
            for entry in self._receipts.undurable():
                self._receipts.fail(entry, bug)
            raise
        finally:
            self._appender.close()

    def _gather(self) -> None:
        """Waits for the first lines, and then a while for more; until there are some, or it is time to close."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            self._changed.wait_for(
                lambda: self._hurry or self._closing or self._waiting_bytes >= MAX_APPEND_BYTES,
                timeout=self._flush_after_seconds,
            )

    def _take(self) -> list[tuple[Undurable, bytes]]:
        taken, size = [], 0
        while self._waiting and size < MAX_APPEND_BYTES:
            entry, lines = self._waiting.popleft()
            taken.append((entry, lines))
            size += len(lines)
        self._waiting_bytes -= size
        if not self._waiting:
            self._hurry = False
        return taken

    def _append(self, taken: list[tuple[Undurable, bytes]]) -> None:
        # What was handed back meanwhile is not written: the engine sends it again.
        live = [(entry, lines) for entry, lines in taken if not entry.receipt.durable.done()]
        for entry, _ in live:
            self._receipts.accept(entry)
        lines = b"".join(lines for _, lines in live)
        try:
            if lines:
                self._appender.append(lines)
        except SinkError as error:
            for entry, _ in live:
                self._receipts.fail(entry, error)
            return
        for entry, _ in live:
            self._receipts.durable(entry, Durability(rejects(entry.encoded.batch)))
