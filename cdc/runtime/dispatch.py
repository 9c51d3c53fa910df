"""Commands become calls of the ports, and their outcomes events. Nothing is decided here, and nothing is retried."""

import queue
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ParamSpec

from cdc.core import messages as m
from cdc.errors import CdcError, ErrorKind, SinkError
from cdc.model import RETENTION_SECONDS, Batch, Durability, EncodedBatch, Reject
from cdc.observe.log import emit_notice
from cdc.observe.metrics import Metrics, Stage
from cdc.ports import Clock, DeadLetter, DeadLetters, Encoder, Lease, Sink, Source, StateStore
from cdc.runtime.workers import Workers

P = ParamSpec("P")

_OPS = {"INSERT": "c", "MODIFY": "u", "REMOVE": "d"}


@dataclass(frozen=True, slots=True)
class Crashed:
    """A worker met an exception that no port may raise: the process ends with its traceback."""

    error: BaseException


Inbox = queue.SimpleQueue[m.Event | Crashed]


@dataclass(frozen=True, slots=True)
class Outlet:
    """A sink and what belongs to it. Its one thread makes all calls of it, in order."""

    sink: Sink
    encoder: Encoder | None
    thread: Executor


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything outside that the commands reach."""

    pipeline: str
    tables: Sequence[str]
    source: Source
    outlets: Mapping[str, Outlet]
    state: StateStore
    lease: Lease
    dead_letters: DeadLetters
    clock: Clock
    metrics: Metrics


class Dispatcher:
    """Sends each command to the thread that does it, and its outcome to the inbox."""

    def __init__(self, ports: Ports, workers: Workers, inbox: Inbox, *, readers: int) -> None:
        self._ports = ports
        self._inbox = inbox
        self._readers = workers.pool("read", readers)
        self._state = workers.pool("state", 1)
        self._letters = workers.pool("letters", 1)

    def do(self, command: m.Command) -> None:
        match command:
            case m.ResolveStreams() | m.ListShards() | m.OpenIterator() | m.Read():
                self._run(self._readers, lambda: self._source(command))
            case m.OpenSink() | m.Claim() | m.FlushSink() | m.Write():
                self._run(self._ports.outlets[command.sink].thread, lambda: self._sink(command))
            case m.WriteLetters():
                self._run(self._letters, lambda: self._write_letters(command))
            case m.Save():
                self._run(self._state, lambda: self._save(command))
            case m.Notice():
                emit_notice(command)
            case m.Stop():
                raise AssertionError("the loop ends with a stop; it is not dispatched")

    def renew(self, admin: str, failed: Callable[[CdcError | None], None]) -> None:
        """Renews the lease on the state store's thread."""

        def work() -> None:
            try:
                self._ports.state.renew(self._ports.lease, now=self._ports.clock.now().wall, admin=admin)
            except CdcError as error:
                failed(error)
            else:
                failed(None)

        self._run(self._state, work)

    def _run(self, executor: Executor, work: Callable[[], None]) -> None:
        executor.submit(guarded(self._inbox, work))

    @contextmanager
    def _timed(self, stage: Stage) -> Iterator[None]:
        began = self._ports.clock.now().monotonic
        yield
        self._ports.metrics.stage(stage).observe(self._ports.clock.now().monotonic - began)

    # The source

    def _source(self, command: m.ResolveStreams | m.ListShards | m.OpenIterator | m.Read) -> None:
        source, put = self._ports.source, self._inbox.put
        match command:
            case m.ResolveStreams():
                put(self._resolve())
            case m.ListShards(stream, parent):
                try:
                    put(m.ShardsListed(stream.arn, parent, source.shards(stream, parent=parent)))
                except CdcError as error:
                    put(m.ListingFailed(stream.arn, parent, error))
            case m.OpenIterator(reader, position, latest):
                try:
                    put(m.IteratorOpened(reader, source.iterator(reader.shard, position, latest=latest)))
                except CdcError as error:
                    put(m.ReadFailed(reader, error))
            case m.Read(reader, iterator):
                try:
                    with self._timed("read"):
                        page = source.read(reader.shard, iterator)
                    put(m.PageRead(reader, page))
                except CdcError as error:
                    put(m.ReadFailed(reader, error))

    def _resolve(self) -> m.StreamsResolved:
        """Each table by itself: one that is gone or denied keeps none of the others."""
        streams, failed = [], {}
        for table in self._ports.tables:
            try:
                streams.append(self._ports.source.stream(table))
            except CdcError as error:
                failed[table] = error
        return m.StreamsResolved(streams, failed)

    # The sinks

    def _sink(self, command: m.OpenSink | m.Claim | m.FlushSink | m.Write) -> None:
        outlet, put = self._ports.outlets[command.sink], self._inbox.put
        match command:
            case m.OpenSink(sink):
                try:
                    outlet.sink.open()
                except CdcError as error:
                    put(m.SinkFailed(sink, error))
                else:
                    put(m.SinkOpened(sink))
            case m.Claim(sink, shards):
                try:
                    put(m.Claimed(sink, shards, outlet.sink.claim(shards)))
                except CdcError as error:
                    put(m.ClaimFailed(sink, shards, error))
            case m.FlushSink(sink, deadline):
                self._flush(sink, outlet, deadline)
            case m.Write():
                self._write(command, outlet)

    def _flush(self, sink: str, outlet: Outlet, deadline: float) -> None:
        def flushed(future: "Future[None]") -> None:
            error = future.exception()
            if error is None or isinstance(error, CdcError):
                self._inbox.put(m.Flushed(sink, error))
            else:
                self._inbox.put(Crashed(error))

        outlet.sink.flush(deadline=deadline).add_done_callback(guarded(self._inbox, flushed))

    def _write(self, command: m.Write, outlet: Outlet) -> None:
        batch = command.batch
        try:
            if self._ports.clock.now().wall - batch.read_at > RETENTION_SECONDS:
                raise SinkError(ErrorKind.UNAVAILABLE, "a batch waited for a day: it is read again")
            if outlet.encoder is None:
                encoded = EncodedBatch(batch)
            else:
                with self._timed("encode"):
                    encoded = outlet.encoder.encode(batch)
        except CdcError as error:
            self._inbox.put(m.WriteFailed(command.sink, batch.shard, command.id, error))
            return
        answers = _Answers(self._ports, self._inbox, command, encoded.rejects)
        receipt = outlet.sink.write(encoded)
        receipt.accepted.add_done_callback(guarded(self._inbox, answers.accepted))
        receipt.durable.add_done_callback(guarded(self._inbox, answers.durable))

    def _write_letters(self, command: m.WriteLetters) -> None:
        sink, shard = command.sink, command.shard
        try:
            self._ports.dead_letters.write(
                [_letter(self._ports, command, reject) for reject in command.rejects]
            )
        except CdcError as error:
            self._inbox.put(m.LettersFailed(sink, shard, command.id, error))
        else:
            self._ports.metrics.dead_letters(command.stream.table, sink, len(command.rejects))
            self._inbox.put(m.LettersWritten(sink, shard, command.id))

    def _save(self, command: m.Save) -> None:
        try:
            with self._timed("save"):
                self._ports.state.save(self._ports.lease, command.change)
        except CdcError as error:
            self._inbox.put(m.SaveFailed(command.change, error))
        else:
            self._inbox.put(m.CursorsSaved(command.change))


def guarded(inbox: Inbox, work: Callable[P, None]) -> Callable[P, None]:
    """`work`, whose exceptions reach the loop, which raises them: a pool keeps them in a future that nobody looks at, and a
    future that calls back writes them to the log and goes on."""

    def work_guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            work(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001 - carried to the loop
            inbox.put(Crashed(error))

    return work_guarded


class _Answers:
    """Turns the two answers of one write into events. Called back from the sink's own threads."""

    def __init__(self, ports: Ports, inbox: Inbox, command: m.Write, unencodable: Sequence[Reject]) -> None:
        self._ports = ports
        self._inbox = inbox
        self._sink = command.sink
        self._id = command.id
        self._shard = command.batch.shard
        self._table = command.batch.stream.table
        self._ops = _operations(command.batch)
        self._unencodable = unencodable
        self._began = ports.clock.now().monotonic

    def accepted(self, future: "Future[None]") -> None:
        # A failure is told once, by `durable`, which fails likewise.
        if future.exception() is None:
            self._ports.metrics.stage("accept").observe(self._ports.clock.now().monotonic - self._began)
            self._inbox.put(m.Accepted(self._sink, self._shard, self._id))

    def durable(self, future: "Future[Durability]") -> None:
        error = future.exception()
        if isinstance(error, CdcError):
            self._inbox.put(m.WriteFailed(self._sink, self._shard, self._id, error))
        elif error is not None:
            self._inbox.put(Crashed(error))
        else:
            metrics = self._ports.metrics
            metrics.stage("durable").observe(self._ports.clock.now().monotonic - self._began)
            for op, count in self._ops.items():
                metrics.changes(self._table, self._sink, op, count)
            rejects = (*self._unencodable, *future.result().rejects)
            self._inbox.put(m.Durable(self._sink, self._shard, self._id, rejects))


def _operations(batch: Batch) -> Counter[str]:
    return Counter(_OPS[change.event_name] for change in batch.changes)


def _letter(ports: Ports, command: m.WriteLetters, reject: Reject) -> DeadLetter:
    return DeadLetter(
        ports.pipeline,
        command.sink,
        command.stream.table,
        command.shard,
        reject.sequence,
        command.stream.created_ms,
        reject.kind.value,
        reject.reason,
        ports.clock.now().wall,
        reject.record,
    )
