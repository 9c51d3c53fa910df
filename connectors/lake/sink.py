"""The lake as a `Sink`: accepted rows go to files in progress, durable ones to files that readers see."""

import contextlib
import math
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field, replace
from functools import partial
from threading import Condition, RLock

from cdc.connector import SinkContext
from cdc.errors import ErrorKind, SinkError
from cdc.model import Durability, EncodedBatch, Place, Position, ShardKey
from cdc.ports import Receipt
from cdc.receipts import Receipts, Undurable
from connectors.lake.config import LakeConfig
from connectors.lake.in_progress import FileKey, InProgress, Waiting
from connectors.lake.lanes import Lanes
from connectors.lake.partition import split
from connectors.lake.storage import Storage

MAX_FILES = 64
"""Files in progress at once. More partitions than this (a backlog) close the one that was written least lately."""

LOOK_SECONDS = 1.0
"""How often the clock is looked at while files are in progress."""


@dataclass(eq=False, slots=True)
class _Flush:
    """Somebody who waits for files."""

    until: float
    """Monotonic seconds."""
    files: set[InProgress]
    done: "Future[None]" = field(default_factory=Future)


class LakeSink:
    """At least once: a crash between the appearance of files and the save of the position writes their rows again.

    Rows are sorted, packed and compressed by the sink's own thread, under one lock. A storage that is far away is
    written by a pool (`Lanes`), which takes the lock only to tell the outcome; one that is near at once, under the lock.
    A thread beside them looks at the clock.

    Nothing of an accepted batch stays in memory but its positions and what its files still lack. What files hold back
    and what is on its way is bounded (`Terms.memory_bytes`): when half of that is held back, the fullest file hands over
    what it has or the one written least lately is closed; when all of it is in use, batches wait to be accepted.

    After a failure of the storage all that is not durable is handed back and its files are given up; the next write, or
    `open`, begins anew. Nothing that was half written becomes visible.
    """

    def __init__(self, config: LakeConfig, context: SinkContext, storage: Storage) -> None:
        self.name = config.name
        self._codec = config.codec
        self._flush_after_seconds = config.flush_after_seconds
        self._flush_after_bytes = config.flush_after_megabytes * 1e6
        self._clock = context.clock
        self._executor = context.executor
        self._storage = storage
        self._terms = storage.terms
        self._receipts = Receipts()
        self._files: OrderedDict[FileKey, InProgress] = OrderedDict()
        self._leaving: set[InProgress] = set()
        self._unaccepted: list[Undurable] = []
        self._flushes: list[_Flush] = []
        self._lock = RLock()
        self._wake = Condition(self._lock)
        self._lanes = Lanes(
            self._wake,
            context.clock,
            attempts=storage.terms.attempts,
            freed=self._accept,
            failed=self._break,
            ended_by_bug=self._hand_on,
        )
        self._timer: Future[None] | None = None
        self._bug: BaseException | None = None
        self._broken: SinkError | None = None
        """Why the storage has to be opened again."""
        self._is_open = False
        self._is_claimed = False
        self._is_closing = False

    def open(self) -> None:
        self._open()
        if self._timer is None:
            pool = self._executor(1 + self._terms.threads)
            self._lanes.pool = pool if self._terms.threads else None
            self._timer = pool.submit(self._keep_time)

    def claim(self, shards: Collection[ShardKey]) -> Mapping[ShardKey, Position] | None:
        with self._lock:
            for shard in shards:
                self._receipts.forget(shard)
        if not self._is_claimed:
            self._storage.remove_leftovers()
            self._is_claimed = True
        return None

    def write(self, batch: EncodedBatch) -> Receipt:
        with self._lock:
            self._raise_bug()
            entry = self._receipts.take(batch)
        if isinstance(entry, Receipt):
            return entry
        try:
            self._open()
        except SinkError as error:
            with self._lock:
                self._break(error)
            return entry.receipt
        with self._lock:
            self._take(entry)
        return entry.receipt

    def flush(self, *, deadline: float) -> "Future[None]":
        with self._lock:
            self._raise_bug()
            until = self._clock.now().monotonic + deadline
            flush = _Flush(until, {*self._files.values(), *self._leaving})
            self._flushes.append(flush)
            self._leave(list(self._files.values()), until=until)
            self._end_flushes()
            self._wake.notify_all()
        return flush.done

    def release(self, shards: Collection[ShardKey]) -> None:
        with self._lock:
            files = {f for f in (*self._files.values(), *self._leaving) if f.shards & set(shards)}
            self._leave([file for file in self._files.values() if file in files])
            self._wait(lambda: not files & self._leaving, until=math.inf)
            for shard in shards:
                self._receipts.forget(shard)
            if self._broken is not None and any(file.is_given_up for file in files):
                raise self._broken

    def close(self, *, deadline: float) -> None:
        until = self._clock.now().monotonic + deadline
        with self._lock:
            self._leave(list(self._files.values()), until=until)
            self._wait(lambda: not self._leaving, until=until)
            self._give_up_files()
            grace = self._clock.now().monotonic + LOOK_SECONDS
            self._wait(lambda: self._lanes.is_idle, until=max(until, grace))
            self._lanes.close()
            self._receipts.abandon()
            for flush in self._flushes:
                flush.done.set_exception(SinkError(ErrorKind.UNAVAILABLE, "the sink was closed"))
            self._flushes.clear()
            if self._is_open:
                with contextlib.suppress(SinkError):  # what is left is removed by the next claim
                    self._storage.close()
            self._is_open = False
            self._is_closing = True
            self._wake.notify_all()
        if self._timer is not None:
            wait([self._timer], timeout=max(LOOK_SECONDS, deadline))
            self._raise_bug()

    def _open(self) -> None:
        """By the sink's own thread, without the lock: it may wait for the network."""
        if not self._is_open:
            self._storage.open()
            if self._is_claimed:
                self._storage.remove_leftovers()
            self._broken = None
            self._is_open = True

    def _take(self, entry: Undurable) -> None:
        if self._broken is not None:  # between its opening and now, by another thread
            self._receipts.fail(entry, self._broken)
            return
        batch = entry.encoded.batch
        try:
            waiting = self._append(entry)
        except SinkError as error:
            if error is not self._broken:
                self._break(error)
            return
        entry.encoded = EncodedBatch(replace(batch, changes=(), body=b""))  # only its positions count now
        self._unaccepted.append(entry)
        self._finished(waiting)
        self._accept()
        ended = batch.end.place is Place.END
        self._leave(
            [
                file
                for file in self._files.values()
                if file.size >= self._flush_after_bytes or (ended and entry.shard in file.shards)
            ]
        )
        self._make_room()
        self._accept()

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
            if self._broken is not None:
                raise self._broken
        return waiting

    def _file(self, key: FileKey) -> InProgress:
        file = self._files.get(key)
        if file is None:
            if len(self._files) >= MAX_FILES:
                self._leave([next(iter(self._files.values()))])
            if self._broken is not None:
                raise self._broken
            now = self._clock.now().monotonic
            file = InProgress(key, self._storage, self._lanes, codec=self._codec, opened_at=now)
            self._files[key] = file
            self._wake.notify_all()
        self._files.move_to_end(key)
        return file

    def _leave(self, files: Sequence[InProgress], *, until: float = math.inf) -> None:
        """Has the files made visible, those that can be until then (monotonic seconds). First all are sealed: a full
        disk shows itself before anything of them is visible."""
        sealed = []
        for file in files:
            if self._clock.now().monotonic >= until:
                break
            file.seal()
            sealed.append(file)
        for file in sealed:
            if file.is_given_up:
                return
            del self._files[file.key]
            self._leaving.add(file)
            file.publish(partial(self._published, file))

    def _published(self, file: InProgress) -> None:
        self._leaving.discard(file)
        for waiting in file.waiting:
            self._finished(waiting)
        for flush in self._flushes:
            flush.files.discard(file)
        self._end_flushes()

    def _finished(self, waiting: Waiting) -> None:
        """One thing less that this batch waits for."""
        waiting.files -= 1
        if not waiting.files:
            self._receipts.durable(waiting.entry, waiting.durability)

    def _accept(self) -> None:
        """Batches whose rows have their place in memory: all, or none while there is too much of it."""
        if not self._unaccepted:
            return
        held = self._lanes.held + sum(file.held for file in self._files.values())
        if held <= self._terms.memory_bytes and len(self._leaving) <= MAX_FILES:
            for entry in self._unaccepted:
                self._receipts.accept(entry)
            self._unaccepted.clear()

    def _make_room(self) -> None:
        """What is in files in progress back to half of the memory: the other half is for what is on its way."""
        while sum(file.held for file in self._files.values()) > self._terms.memory_bytes / 2:
            fullest = max(self._files.values(), key=lambda file: file.chunk_bytes)
            if fullest.chunk_bytes >= self._terms.least_chunk_bytes:
                fullest.hand_over()
            else:
                self._leave([next(iter(self._files.values()))])

    def _end_flushes(self) -> None:
        """Tells those whose files are durable, and those whose time is up."""
        now = self._clock.now().monotonic
        for flush in self._flushes:
            if not flush.files:
                flush.done.set_result(None)
            elif flush.until <= now:
                message = (
                    f"{len(flush.files)} files of the lake {self._storage.place} are not durable in time"
                )
                flush.done.set_exception(SinkError(ErrorKind.UNAVAILABLE, message))
        self._flushes = [flush for flush in self._flushes if not flush.done.done()]

    def _break(self, error: SinkError) -> None:
        """Hands back all that is not durable: what is in files that are not visible is given up with them."""
        self._broken = error
        self._is_open = False
        self._give_up_files()
        self._unaccepted.clear()
        for entry in self._receipts.undurable():
            self._receipts.fail(entry, error)
        for flush in self._flushes:
            flush.done.set_exception(error)
        self._flushes.clear()

    def _give_up_files(self) -> None:
        files = [*self._files.values(), *self._leaving]
        self._files.clear()
        self._leaving.clear()
        for file in files:
            file.abandon()

    def _keep_time(self) -> None:
        """Runs beside the sink's own thread until `close`."""
        with self._lock, self._handing_on_bugs():
            while not self._is_closing:
                self._wake.wait(min(self._do_what_is_due(), LOOK_SECONDS) if self._is_at_work() else None)

    def _is_at_work(self) -> bool:
        return bool(self._files or self._flushes) or not self._lanes.is_idle

    def _do_what_is_due(self) -> float:
        """Returns in how many seconds something is due again."""
        now = self._clock.now().monotonic
        self._lanes.make_due(now)
        due = now - self._flush_after_seconds
        self._leave([file for file in self._files.values() if file.opened_at <= due])
        self._end_flushes()
        times = [
            self._lanes.next_due,
            *(flush.until for flush in self._flushes),
            *(file.opened_at + self._flush_after_seconds for file in self._files.values()),
        ]
        return max(0.0, min(times) - now)

    def _wait(self, done: Callable[[], bool], *, until: float) -> None:
        """For the pool, until then (monotonic seconds), without the lock meanwhile."""
        while not done() and self._bug is None:
            now = self._clock.now().monotonic
            if now >= until:
                return
            self._lanes.make_due(now)
            self._wake.wait(min(until - now, LOOK_SECONDS))

    @contextlib.contextmanager
    def _handing_on_bugs(self) -> Iterator[None]:
        try:
            yield
        except BaseException as bug:
            self._hand_on(bug)
            raise

    def _hand_on(self, bug: BaseException) -> None:
        """What is no `SinkError` is a bug: it must reach the engine, and not end in a thread that nobody looks at."""
        self._bug = bug
        for entry in self._receipts.undurable():
            self._receipts.fail(entry, bug)

    def _raise_bug(self) -> None:
        if self._bug is not None:
            raise self._bug
