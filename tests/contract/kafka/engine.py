"""A small engine: sends batches in order, and again from where the sink handed something back."""

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from time import monotonic

from confluent_kafka import Message

from cdc.errors import ErrorKind, SinkError
from cdc.model import Batch, EncodedBatch, Reject
from cdc.ports import Receipt, Sink
from cdc.testing.encoding import encode


@dataclass
class Delivered:
    rejects: list[Reject] = field(default_factory=list)
    handed_back: list[ErrorKind] = field(default_factory=list)
    """The kind of each failure that the engine heard of, one a shard and occasion."""
    writes: int = 0


def deliver(
    sink: Sink,
    shards: Collection[Sequence[Batch]],
    *,
    seconds: float = 60.0,
    before_write: Callable[[int], object] = id,
    encoder: Callable[[Batch], EncodedBatch] = encode,
) -> Delivered:
    """Until all batches of all shards are durable. All shards go at once, each with at most one unaccepted batch.

    Args:
        before_write: called with the number of writes so far: where a test plants its faults.
    """
    result = Delivered()
    lanes = [_Lane(sink, batches, result, before_write, encoder) for batches in shards]
    deadline = monotonic() + seconds
    while pending := [future for lane in lanes for future in lane.step()]:
        assert monotonic() < deadline, "not delivered in time"
        wait(pending, timeout=1, return_when=FIRST_COMPLETED)
    return result


class _Lane:
    def __init__(
        self,
        sink: Sink,
        batches: Sequence[Batch],
        result: Delivered,
        before_write: Callable[[int], object],
        encoder: Callable[[Batch], EncodedBatch],
    ) -> None:
        self._sink = sink
        self._batches = batches
        self._result = result
        self._before_write = before_write
        self._encoder = encoder
        self._durable = 0
        self._receipts: list[Receipt] = []

    def step(self) -> list["Future[object]"]:
        """Sends what may be sent. Returns what to wait for; nothing: this shard is done."""
        while self._receipts and self._receipts[0].durable.done():
            failure = self._receipts[0].durable.exception()
            if failure is None:
                self._result.rejects += self._receipts.pop(0).durable.result().rejects
                self._durable += 1
                continue
            assert isinstance(failure, SinkError), failure
            self._result.handed_back.append(failure.kind)
            self._receipts.clear()
        while (at := self._durable + len(self._receipts)) < len(self._batches):
            if self._receipts and not self._receipts[-1].accepted.done():
                break
            self._before_write(self._result.writes)
            self._result.writes += 1
            self._receipts.append(self._sink.write(self._encoder(self._batches[at])))
        pending: list[Future[object]] = []
        if self._receipts:
            pending.append(self._receipts[0].durable)  # type: ignore[arg-type]  # only waited for
            if not self._receipts[-1].accepted.done():
                pending.append(self._receipts[-1].accepted)  # type: ignore[arg-type]
        return pending


def versions(messages: Sequence[Message]) -> Mapping[bytes, list[str]]:
    """Per key, the versions of its values in the order in which each came first; tombstones are passed over."""
    seen: dict[bytes, dict[str, None]] = {}
    for message in messages:
        key = message.key()
        assert isinstance(key, bytes)
        if message.value() is not None:
            version = dict(message.headers() or [])["cdc.version"]
            assert isinstance(version, bytes)
            seen.setdefault(key, {})[version.decode()] = None
    return {key: list(order) for key, order in seen.items()}


def in_order(found: Mapping[bytes, Sequence[str]]) -> bool:
    return all(list(order) == sorted(order) for order in found.values())


def number_of_changes(shards: Collection[Sequence[Batch]]) -> int:
    return sum(len(batch.changes) for batches in shards for batch in batches)
