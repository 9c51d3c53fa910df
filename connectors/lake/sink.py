"""The lake as a `Sink`: accepted rows go to files in progress, durable ones to files that readers see."""

import contextlib
import errno
import math
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import Future, wait
from dataclasses import replace
from threading import Condition, RLock

from cdc.connector import SinkContext
from cdc.errors import ErrorKind, SinkError
from cdc.model import Durability, EncodedBatch, Place, Position, ShardKey
from cdc.ports import Receipt
from cdc.receipts import Receipts, Undurable
from connectors.lake import LakeConfig
from connectors.lake.disk import Disk
from connectors.lake.folder import LakeFolder
from connectors.lake.in_progress import FileKey, InProgress, Waiting
from connectors.lake.partition import split

MAX_FILES = 64
"""Files in progress at once. More partitions than this (a backlog) close the one that was written least lately."""

LOOK_SECONDS = 1.0
"""How often the clock is looked at while files are in progress."""

_BUGS = (errno.EBADF, errno.EFAULT)


class LakeSink:
    """At least once: a crash between the appearance of files and the save of the position writes their rows again.

    All work is done under one lock, by the sink's thread or by the one that flushes by time. Nothing of an accepted
    batch stays in memory but its positions and what a block still lacks.

    After a failure of the disk all that is not durable is handed back and its files are given up; the next write, or
    `open`, begins anew. Nothing that was half written becomes visible.

    Args:
        disk: the calls to the operating system.
    """

    def __init__(self, config: LakeConfig, context: SinkContext, *, disk: Disk | None = None) -> None:
        self.name = config.name
        self._codec = config.codec
        self._flush_after_seconds = config.flush_after_seconds
        self._flush_after_bytes = config.flush_after_megabytes * 1e6
        self._clock = context.clock
        self._executor = context.executor
        self._count_call = context.count_call
        self._disk = disk if disk is not None else Disk()
        self._folder = LakeFolder(
            config.folder(context.base), f"{context.pipeline}.{config.name}", self._disk
        )
        self._receipts = Receipts()
        self._files: OrderedDict[FileKey, InProgress] = OrderedDict()
        self._lock = RLock()
        self._wake = Condition(self._lock)
        self._timer: Future[None] | None = None
        self._is_open = False
        self._is_claimed = False
        self._is_closing = False

    def open(self) -> None:
        with self._lock:
            if not self._is_open:
                try:
                    self._open()
                except OSError as error:
                    raise self._mapped(error, opening=True) from error
            if self._timer is None:
                self._timer = self._executor(1).submit(self._flush_by_time)

    def claim(self, shards: Collection[ShardKey]) -> Mapping[ShardKey, Position] | None:
        with self._lock:
            for shard in shards:
                self._receipts.forget(shard)
            if not self._is_claimed:
                try:
                    self._folder.remove_leftovers()
                except OSError as error:
                    raise self._mapped(error) from error
                self._is_claimed = True
        return None

    def write(self, batch: EncodedBatch) -> Receipt:
        with self._lock:
            self._raise_what_ended_the_timer()
            entry = self._receipts.take(batch)
            if isinstance(entry, Receipt):
                return entry
            try:
                waiting = self._append(entry)
            except OSError as error:
                self._break(error)
                return entry.receipt
            entry.encoded = EncodedBatch(
                replace(batch.batch, changes=(), body=b"")
            )  # only its positions count now
            self._receipts.accept(entry)
            self._finished(waiting)
            ended = batch.batch.end.place is Place.END
            self._publish_or_break(
                [
                    file
                    for file in self._files.values()
                    if file.size >= self._flush_after_bytes or (ended and entry.shard in file.shards)
                ]
            )
            return entry.receipt

    def flush(self, *, deadline: float) -> "Future[None]":
        flushed: Future[None] = Future()
        with self._lock:
            self._raise_what_ended_the_timer()
            error = self._publish_or_break(
                list(self._files.values()), until=self._clock.now().monotonic + deadline
            )
            if error is None and self._files:
                error = SinkError(
                    ErrorKind.UNAVAILABLE,
                    f"{len(self._files)} files of the lake {self._folder.root} are not durable after {deadline} s",
                )
        if error is None:
            flushed.set_result(None)
        else:
            flushed.set_exception(error)
        return flushed

    def release(self, shards: Collection[ShardKey]) -> None:
        with self._lock:
            released = set(shards)
            error = self._publish_or_break([f for f in self._files.values() if f.shards & released])
            for shard in shards:
                self._receipts.forget(shard)
            if error is not None:
                raise error

    def close(self, *, deadline: float) -> None:
        until = self._clock.now().monotonic + deadline
        with self._lock:
            self._publish_or_break(list(self._files.values()), until=until)
            self._give_up_files()
            self._receipts.abandon()
            if self._is_open:
                with contextlib.suppress(OSError):  # what is left is removed by the next claim
                    self._folder.close()
            self._is_open = False
            self._is_closing = True
            self._wake.notify_all()
        if self._timer is not None:
            wait([self._timer], timeout=max(LOOK_SECONDS, deadline))
            self._raise_what_ended_the_timer()

    def _open(self) -> None:
        self._folder.open()
        if self._is_claimed:
            self._folder.remove_leftovers()
        self._is_open = True

    def _append(self, entry: Undurable) -> Waiting:
        """Every row in a file in progress; the batch cannot become durable before `_finished`."""
        waiting = Waiting(entry, Durability(), files=1)
        batch, avro = entry.encoded.batch, entry.encoded.avro
        if avro is None:
            return waiting
        rows, misplaced = split(batch.stream.table, avro)
        waiting.durability = Durability(
            [batch.reject(c, ErrorKind.REJECTED, "its time is not on the calendar") for c in misplaced]
        )
        for partition, values in rows.items():
            key = FileKey(partition, avro.value_schema.text, batch.replayed)
            self._file(key).append(values, waiting)
        return waiting

    def _file(self, key: FileKey) -> InProgress:
        if not self._is_open:
            self._open()
        file = self._files.get(key)
        if file is None:
            if len(self._files) >= MAX_FILES:
                self._publish([next(iter(self._files.values()))])
            now = self._clock.now().monotonic
            file = InProgress(key, self._folder, self._disk, codec=self._codec, opened_at=now)
            self._files[key] = file
            self._wake.notify_all()
        self._files.move_to_end(key)
        return file

    def _publish(self, files: Iterable[InProgress], *, until: float = math.inf) -> None:
        """Makes the files visible, those that can be until then (monotonic seconds). First all are synced: a full disk
        shows itself before anything of them is visible."""
        synced = []
        for file in files:
            if self._clock.now().monotonic >= until:
                break
            file.sync()
            synced.append(file)
        for file in synced:
            try:
                file.publish()
            except OSError:
                self._count_call("publish", "error")
                raise
            self._count_call("publish", "ok")
            del self._files[file.key]
            for waiting in file.waiting:
                self._finished(waiting)

    def _finished(self, waiting: Waiting) -> None:
        """One thing less that this batch waits for."""
        waiting.files -= 1
        if not waiting.files:
            self._receipts.durable(waiting.entry, waiting.durability)

    def _publish_or_break(self, files: Iterable[InProgress], *, until: float = math.inf) -> SinkError | None:
        try:
            self._publish(files, until=until)
        except OSError as error:
            return self._break(error)
        return None

    def _break(self, cause: OSError) -> SinkError:
        """Hands back all that is not durable: what is in the files in progress is given up with them."""
        error = self._mapped(cause)
        error.__cause__ = cause
        self._is_open = False
        self._give_up_files()
        for entry in self._receipts.undurable():
            self._receipts.fail(entry, error)
        return error

    def _give_up_files(self) -> None:
        for file in self._files.values():
            file.abandon()
        self._files.clear()

    def _flush_by_time(self) -> None:
        """Runs beside the sink's own thread until `close`."""
        with self._lock, self._handing_on_bugs():
            while not self._is_closing:
                now = self._clock.now().monotonic
                due = {file: file.opened_at + self._flush_after_seconds for file in self._files.values()}
                self._publish_or_break([file for file, at in due.items() if at <= now])
                left = min((at - now for at in due.values() if at > now), default=math.inf)
                self._wake.wait(min(left, LOOK_SECONDS) if self._files else None)

    @contextlib.contextmanager
    def _handing_on_bugs(self) -> Iterator[None]:
        """What is no `OSError` is a bug: it must reach the engine, and not end in a thread that nobody looks at."""
        try:
            yield
        except BaseException as bug:
            for entry in self._receipts.undurable():
                entry.receipt.durable.set_exception(bug)
            raise

    def _raise_what_ended_the_timer(self) -> None:
        if self._timer is not None and self._timer.done():
            self._timer.result()

    def _mapped(self, error: OSError, *, opening: bool = False) -> SinkError:
        if error.errno in _BUGS:
            raise error
        denied = opening and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
        return SinkError(
            ErrorKind.ACCESS_DENIED if denied else ErrorKind.UNAVAILABLE,
            f"the lake {self._folder.root}: {error.strerror or error}",
        )
