"""Batches through librdkafka, with order kept through every failure."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from threading import Condition, RLock
from time import monotonic

from confluent_kafka import KafkaError, KafkaException, Producer

from cdc.errors import ErrorKind, SinkError
from cdc.model import ShardKey
from cdc.receipts import Receipts, Undurable
from connectors.kafka.client import (
    BATCH_BYTES,
    LOG,
    Redaction,
    library_properties,
    new_producer,
    serve,
    sink_error,
)
from connectors.kafka.codes import ALL_BROKERS_DOWN, DENIED, FATAL
from connectors.kafka.config import KafkaConfig
from connectors.kafka.flight import Flight
from connectors.kafka.messages import Message, messages_of

OPEN_SECONDS = 10.0
"""How long `connect` tries to reach a broker."""

_METADATA_SECONDS = 1.0
_POLL_SECONDS = 0.1
_IDLE_SECONDS = 0.5
_ALONE_WINDOW = 100
"""How many records travel one by one at a time: what a refusal of one of them has to send again."""
_LEAST_BATCH_BYTES = 16_384
_PURGED_SECONDS = 2.0


class Delivery:
    """Gives librdkafka the batches it is given, and answers for them in `receipts`.

    How order survives a failure: librdkafka keeps what it was given in order and never gives up by itself
    (`library_properties`). At the first sign of trouble the sink stops giving it more and waits until everything that
    it has is reported (*drains*); only then it decides what is handed back to the engine, what is sent again from here,
    and goes on. So nothing is ever sent again while something later may still be on its way.

    - *Stall*: nothing arrived for `stall_seconds`. All batches are handed back, but librdkafka keeps what it has: its
      sequence numbers make sure that the cluster, when it returns, takes each once and in order, also those that a cut
      connection delivers late. What the engine sends again waits until then.
    - *Refusal* of a batch of records: which record was meant is not known, so all are sent again with a producer that
      sends records one by one, until the refused ones are found; those become rejects.
    - *Fatal* (the gapless guarantee makes every permanent failure fatal): the producer is replaced.

    What at-least-once cannot prevent: a process that ends, or a producer that is replaced after a fatal error, leaves
    requests in the network that may arrive after newer ones. Transactions fence them off.
    """

    def __init__(
        self,
        config: KafkaConfig,
        receipts: Receipts,
        *,
        client: str,
        executor: Callable[[int], Executor],
    ) -> None:
        self._config = config
        self._make_pool = executor
        self._place = f"sink {config.name}: {config.bootstrap_servers}"
        self._properties = library_properties(config, client=client)
        self._redact = Redaction({key: value.get_secret_value() for key, value in config.properties.items()})
        self._receipts = receipts
        # Guards everything below but what `Flight` says; the reports' thread waits on it while nothing is on its way.
        self._wake = Condition(RLock())
        self._pool: Executor | None = None
        self._polling: Future[None] | None = None
        self._producer: Producer | None = None
        self._waiting: deque[Flight] = deque()
        """Not yet given to librdkafka, or, the first of them, only in part."""
        self._sent: deque[Flight] = deque()
        self._landed: deque[Flight] = deque()
        self._draining = False
        self._fatal: KafkaError | None = None
        self._last_error: KafkaError | None = None
        self._alone = False
        self._found_refused = False
        self._batch_bytes = int(self._properties.get("batch.size", BATCH_BYTES))
        self._watched: tuple[Flight | None, int, int] = (None, 0, 0)
        self._moved_at = 0.0
        self._flushes: list[tuple[Future[None], list[Undurable], float]] = []
        self._close_at: float | None = None

    def connect(self) -> None:
        """Reaches a broker.

        Raises:
            SinkError: `UNAVAILABLE`, `ACCESS_DENIED`, `CONFIGURATION`.
        """
        producer = self._started()
        deadline = monotonic() + min(OPEN_SECONDS, self._config.stall_seconds)
        while True:
            try:
                producer.list_topics(timeout=_METADATA_SECONDS)
            except KafkaException as error:
                failure = error.args[0]
                with self._wake:
                    if self._last_error is not None and self._last_error.code() in DENIED:
                        failure = self._last_error
                if failure.code() in DENIED or monotonic() >= deadline:
                    raise self._unreachable(failure) from None
            else:
                with self._wake:
                    self._last_error = None
                return

    def give(self, entry: Undurable, topic: str) -> None:
        """Takes a batch; accepted once librdkafka has all of it."""
        self._started()
        flight = Flight(entry, topic, landed=self._landed, on_trouble=self._trouble)
        with self._wake:
            self._waiting.append(flight)
            self._feed()
            self._settle()
            self._wake.notify_all()

    def flush(self, *, deadline: float) -> "Future[None]":
        """Done when all that is undurable now is settled: well, or with the first failure."""
        done: Future[None] = Future()
        with self._wake:
            self._flushes.append((done, self._receipts.undurable(), monotonic() + deadline))
            self._answer_flushes()
            self._wake.notify_all()
        return done

    def close(self, *, deadline: float) -> None:
        """Waits until all is durable, no longer than `deadline` seconds, then drops what is not."""
        with self._wake:
            polling, self._polling = self._polling, None
            self._close_at = monotonic() + deadline
            self._wake.notify_all()
        if polling is not None:
            polling.result()

    def _started(self) -> Producer:
        """The producer, with somebody who polls it."""
        with self._wake:
            if self._polling is not None and self._polling.done():
                self._polling.result()  # a bug ended it: let it be seen
            if self._producer is None:
                self._producer = self._new_producer()
            if self._polling is None:
                self._close_at = None
                if self._pool is None:
                    self._pool = self._make_pool(1)
                self._polling = self._pool.submit(self._poll)
            return self._producer

    def _new_producer(self) -> Producer:
        one_by_one = {"batch.num.messages": "1"} if self._alone else {"batch.size": str(self._batch_bytes)}
        self._fatal = None
        return new_producer(self._properties | one_by_one, redact=self._redact, on_error=self._on_error)

    def _library(self) -> Producer:
        if self._producer is None:
            raise RuntimeError("not started")
        return self._producer

    def _unreachable(self, error: KafkaError) -> SinkError:
        mapped = sink_error(error, topic=None, redact=self._redact)
        return SinkError(
            mapped.kind,
            f"{self._place}: {mapped.message}",
            remedy=mapped.remedy,
        )

    # Called from `Producer.poll`, on the polling thread, without the lock.

    def _trouble(self) -> None:
        self._draining = True

    def _on_error(self, error: KafkaError) -> None:
        if error.code() != ALL_BROKERS_DOWN:  # the errors before it say why
            self._last_error = error

    # The polling thread.

    def _poll(self) -> None:
        try:
            while self._turn():
                pass
        except BaseException as error:
            for entry in self._receipts.undurable():
                for future in (entry.receipt.accepted, entry.receipt.durable):
                    if not future.done():
                        future.set_exception(error)
            raise
        finally:
            # The last reference: librdkafka's threads end here.
            self._producer = None

    def _turn(self) -> bool:
        """One round: reports in, decisions, more messages out. False: closed."""
        with self._wake:
            if self._close_at is not None and (
                monotonic() >= self._close_at or not self._receipts.undurable()
            ):
                self._end()
                return False
            if not self._sent and not self._waiting:
                self._wake.wait(_IDLE_SECONDS)
            producer = self._library()
            busy = bool(self._sent or self._waiting)
        fatal = serve(producer, _POLL_SECONDS if busy else 0)
        with self._wake:
            if fatal is not None:
                self._fatal, self._draining = fatal, True
            if self._draining and self._fatal is not None:
                # Never sent and never reported otherwise. What is in flight still gets its answer.
                producer.purge(in_queue=True, in_flight=False, blocking=False)
            del producer
            self._settle()
            if self._draining and self._drained():
                self._recover()
            self._feed()
            self._settle()
            self._watch()
            self._answer_flushes()
        return True

    def _end(self) -> None:
        producer = self._library()
        if self._in_library():
            producer.purge()
            deadline = monotonic() + _PURGED_SECONDS
            while self._in_library() and monotonic() < deadline:
                serve(producer, _POLL_SECONDS)
        self._settle()
        self._receipts.abandon()
        self._sent.clear()
        self._waiting.clear()
        self._answer_flushes()

    # Under the lock.

    def _feed(self) -> None:
        """Gives librdkafka as much as it takes, batch by batch."""
        while self._waiting and not self._draining:
            flight = self._waiting[0]
            limit = max(0, _ALONE_WINDOW - self._in_library()) if self._alone else None
            try:
                self._give(flight, limit)
            except KafkaException as error:
                failure = error.args[0]
                if failure.code() == FATAL:
                    self._fatal = self._fatal or failure
                else:
                    flight.cause = failure
                flight.troubled = True
                self._draining = True
                return
            if not flight.complete:
                return
            self._waiting.popleft()
            self._sent.append(flight)
            self._receipts.accept(flight.entry)

    def _give(self, flight: Flight, limit: int | None) -> None:
        def messages() -> list[Message]:
            return messages_of(
                flight.entry.encoded, tombstones=self._config.tombstones, headers=self._config.headers
            )

        flight.feed(self._library().produce, messages, alone=self._alone, limit=limit)

    def _settle(self) -> None:
        """Answers for the batches all of whose messages are reported."""
        landed = False
        while self._landed:
            flight = self._landed.popleft()
            if flight.troubled or flight.handed_back:
                continue
            if flight.suspect and self._alone:
                flight.suspect = False
                self._found_refused = self._found_refused or bool(flight.refused)
            self._last_error = None
            self._receipts.durable(flight.entry, flight.durability())
            landed = True
        if not self._draining:
            while self._sent and self._sent[0].arrived:
                self._sent.popleft()
            if landed:
                # Behind one that waits for a broker of its own, others come and go.
                self._sent = deque(
                    f for f in self._sent if not (f.arrived and f.entry.receipt.durable.done())
                )
            if self._alone and not any(flight.suspect for flight in (*self._sent, *self._waiting)):
                self._draining = True  # all refused records are found: back to batches

    def _in_library(self) -> int:
        first = self._waiting[0].in_library if self._waiting else 0
        return first + sum(flight.in_library for flight in self._sent)

    def _drained(self) -> bool:
        return not self._in_library()

    def _recover(self) -> None:
        """Nothing is in librdkafka any more. Decides about each batch, in order, and goes on."""
        flights = [flight for flight in (*self._sent, *self._waiting) if not flight.handed_back]
        explained = any(flight.suspect or flight.cause or flight.refused for flight in flights)
        again: deque[Flight] = deque()
        begun_again: set[ShardKey] = set()
        failed: set[ShardKey] = set()
        for flight in flights:
            if flight.shard in failed:
                continue
            cause = flight.cause or (None if explained or not flight.troubled else self._fatal)
            if cause is not None:
                failed.add(flight.shard)
                self._receipts.fail(flight.entry, sink_error(cause, topic=flight.topic, redact=self._redact))
            elif flight.troubled or not flight.complete or flight.shard in begun_again:
                begun_again.add(flight.shard)
                flight.entry.outcome = None
                flight.rewind()
                again.append(flight)
        self._sent.clear()
        self._waiting = again
        self._choose_mode()
        self._draining = False

    def _choose_mode(self) -> None:
        suspects = any(flight.suspect for flight in self._waiting)
        if suspects and not self._alone:
            self._alone, self._found_refused = True, False
        elif self._alone and not suspects:
            self._alone = False
            if not self._found_refused and self._batch_bytes > _LEAST_BATCH_BYTES:
                self._batch_bytes //= 2
                LOG.warning(
                    "sink %s: the brokers refused a batch of records, but none of them alone: batch.size is %d from "
                    "here on; set it to what the topics take (max.message.bytes)",
                    self._config.name,
                    self._batch_bytes,
                )
        elif self._fatal is None:
            return
        # Destroyed before the next one is made: it must not send anything any more.
        self._producer = None
        self._producer = self._new_producer()

    def _watch(self) -> None:
        """Hands all batches back when nothing has arrived for too long."""
        oldest = next((flight for flight in (*self._sent, *self._waiting) if not flight.handed_back), None)
        now = monotonic()
        seen = (oldest, oldest.reported if oldest is not None else 0, self._in_library())
        if oldest is None or seen != self._watched:
            self._watched, self._moved_at = seen, now
        elif now - self._moved_at >= self._config.stall_seconds:
            self._hand_back_all()

    def _hand_back_all(self) -> None:
        last = self._last_error
        kind = (
            ErrorKind.ACCESS_DENIED if last is not None and last.code() in DENIED else ErrorKind.UNAVAILABLE
        )
        why = f"; last error: {self._redact(last.str())}" if last is not None else ""
        error = SinkError(
            kind,
            f"{self._place}: nothing was delivered for {self._config.stall_seconds:g} s{why}",
        )
        for flight in (*self._sent, *self._waiting):
            self._receipts.fail(flight.entry, error)
            flight.handed_back = True
        self._found_refused = True  # whether there is one will be found out when they come again
        # The first of them librdkafka may have in part. Others are let go: a stall may last for hours, and each is given again.
        self._sent.extend(flight for flight in self._waiting if flight.in_library)
        self._waiting.clear()
        self._draining = True

    def _answer_flushes(self) -> None:
        open_ones = []
        for flush in self._flushes:
            done, entries, deadline = flush
            pending = [entry for entry in entries if not entry.receipt.durable.done()]
            if not pending:
                failures = (entry.receipt.durable.exception() for entry in entries)
                failure = next((one for one in failures if one is not None), None)
                if failure is None:
                    done.set_result(None)
                else:
                    done.set_exception(failure)
            elif monotonic() >= deadline or (
                self._close_at is not None and not self._sent and not self._waiting
            ):
                done.set_exception(SinkError(ErrorKind.UNAVAILABLE, f"{self._place}: not flushed in time"))
            else:
                open_ones.append(flush)
        self._flushes = open_ones
