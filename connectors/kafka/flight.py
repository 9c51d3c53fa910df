"""One batch on its way through librdkafka."""

from collections import deque
from collections.abc import Callable
from functools import partial

from confluent_kafka import KafkaError, KafkaException

from cdc.errors import ErrorKind
from cdc.model import Durability, ShardKey
from cdc.receipts import Undurable
from connectors.kafka.codes import RECORD_REFUSALS, SIDE_EFFECTS
from connectors.kafka.messages import Message

Report = Callable[[KafkaError | None, object], None]


Produce = Callable[..., None]
"""`Producer.produce`; called by position, which is cheaper."""

_ANY_PARTITION = -1
_NOW = 0


class Flight:
    """The messages of one batch, and what became of them.

    Two threads touch it: `feed` and everything else under the sink's lock, the delivery reports (`_report`, `_report_one`)
    on the polling thread without it. The latter only add to `reported`, `cause`, `refused` and the `landed` queue.

    Args:
        landed: gets this flight when all of its messages are reported.
        on_trouble: called at the first report of a failure.
    """

    __slots__ = (
        "_done",
        "_landed",
        "_messages",
        "_next",
        "_on_trouble",
        "_planned",
        "cause",
        "entry",
        "handed_back",
        "produced",
        "refused",
        "reported",
        "suspect",
        "topic",
        "troubled",
    )

    def __init__(
        self, entry: Undurable, topic: str, *, landed: "deque[Flight]", on_trouble: Callable[[], None]
    ) -> None:
        self.entry = entry
        self.topic = topic
        self.produced = 0
        self.reported = 0
        self.troubled = False
        """A message failed, for whatever reason; the batch has to be sent again, or handed back."""
        self.cause: KafkaError | None = None
        """A failure that is neither a refusal of the records nor the consequence of another one."""
        self.suspect = False
        """The broker refused records among which this batch's were; which of them is not known yet."""
        self.refused: dict[int, str] = {}
        """Index of a change, and why it can never be delivered."""
        self.handed_back = False
        """The engine knows that it failed; what librdkafka still has of it is only waited for."""
        self._landed = landed
        self._on_trouble = on_trouble
        self._messages: list[Message] | None = None
        self._next = 0
        self._planned: int | None = None
        self._done: set[int] = set()

    @property
    def shard(self) -> ShardKey:
        return self.entry.shard

    @property
    def complete(self) -> bool:
        """Whether librdkafka has been given all of it."""
        return self._planned is not None

    @property
    def in_library(self) -> int:
        return self.produced - self.reported

    @property
    def arrived(self) -> bool:
        """Whether all of it is reported, and well. A report sets `troubled` before it counts, hence this order."""
        return self.complete and not self.in_library and not self.troubled

    def feed(
        self,
        produce: Produce,
        make: Callable[[], list[Message]],
        *,
        alone: bool,
        limit: int | None = None,
    ) -> None:
        """Gives librdkafka what it takes, up to `limit` messages; see `complete`.

        Args:
            make: the batch's messages, the same at each call.
            alone: records travel one by one, so that a refusal concerns exactly one.

        Raises:
            KafkaException: librdkafka takes nothing any more, or not for this topic.
        """
        if self._messages is None:
            self._messages = make()
        length = len(self._messages)
        try:
            self._give_out(
                produce, self._messages, length if limit is None else self._next + limit, alone=alone
            )
        except BufferError:
            return  # the queue is full; the rest follows when reports have come
        if self._next == length:
            self._messages = None
            self._planned = self.produced
            if self.reported == self._planned:
                self._landed.append(self)

    def _give_out(self, produce: Produce, messages: list[Message], end: int, *, alone: bool) -> None:
        topic, report, produced = self.topic, self._report, 0
        try:
            for at in range(self._next, min(end, len(messages))):
                if at not in self._done:
                    key, value, headers, index = messages[at]
                    if alone:
                        report = partial(self._report_one, at, index)
                    try:
                        produce(topic, value, key, _ANY_PARTITION, report, None, _NOW, headers)
                    except KafkaException as error:
                        if error.args[0].code() not in RECORD_REFUSALS:
                            raise
                        # Refused here and now: the next one may be given out as if it had never been.
                        self.refused[index] = _refused_here(error.args[0])
                        self._done.add(at)
                    else:
                        produced += 1
                self._next = at + 1
        finally:
            self.produced += produced

    def rewind(self) -> None:
        """Begins again, once nothing of it is in librdkafka. What is known to have arrived record by record is left
        out: of its partition, nothing before it is missing."""
        self.produced = self.reported = self._next = 0
        self._planned = None
        self._messages = None
        self.troubled = False
        self.cause = None

    def durability(self) -> Durability:
        avro = self.entry.encoded.avro
        if not self.refused or avro is None:
            return Durability()
        batch = self.entry.encoded.batch
        return Durability(
            tuple(
                batch.reject(avro.changes[index], ErrorKind.REJECTED, reason)
                for index, reason in sorted(self.refused.items())
            )
        )

    def _report(self, error: KafkaError | None, _message: object) -> None:
        if error is not None:
            if error.code() in RECORD_REFUSALS:
                self.suspect = True
            elif error.code() not in SIDE_EFFECTS:
                self.cause = error
            self.troubled = True
            self._on_trouble()
        self.reported += 1
        if self.reported == self._planned:
            self._landed.append(self)

    def _report_one(self, at: int, index: int, error: KafkaError | None, message: object) -> None:
        if error is None:
            self._done.add(at)
        elif error.code() in RECORD_REFUSALS:
            self._done.add(at)
            self.refused[index] = _refused_there(error)
            self._on_trouble()
            error = None
        self._report(error, message)


def _refused_here(error: KafkaError) -> str:
    return f"larger than the sink's message.max.bytes ({error.name()})"


def _refused_there(error: KafkaError) -> str:
    # librdkafka's words for the code; a broker's own may cite the record.
    return f"{KafkaError(error.code()).str()} ({error.name()})"
