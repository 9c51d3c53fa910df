"""Whatever goes wrong in a thread reaches the loop: an event for what ports may raise, `Crashed` for all else."""

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import pytest

from cdc.core import messages as m
from cdc.model import EncodedBatch
from cdc.observe.metrics import Metrics
from cdc.ports import Receipt
from cdc.process import this_process
from cdc.runtime.dispatch import Crashed, Dispatcher, Inbox, Outlet, Ports
from cdc.runtime.workers import Workers
from cdc.testing.batches import Table
from cdc.testing.clock import ManualClock
from cdc.testing.fakes import MemoryDeadLetters, MemorySink, MemoryStore


class AnsweringSink(MemorySink):
    """Answers every write with these two futures, whatever is in them."""

    def __init__(self, accepted: "Future[Any]", durable: "Future[Any]") -> None:
        super().__init__()
        self._receipt = Receipt(accepted, durable)

    def write(self, batch: EncodedBatch) -> Receipt:
        return self._receipt

    def flush(self, *, deadline: float) -> "Future[None]":
        return self._receipt.accepted


@contextmanager
def _dispatching(sink: MemorySink) -> Iterator[tuple[Dispatcher, Inbox]]:
    workers, inbox, clock, state = Workers(), Inbox(), ManualClock(), MemoryStore()
    state.open()
    lease = state.acquire(this_process(), lease_seconds=15, now=clock.now().wall)
    outlets = {"bus": Outlet(sink, None, workers.pool("sink-bus", 1))}
    source: Any = None
    ports = Ports("p", ("orders",), source, outlets, state, lease, MemoryDeadLetters(), clock, Metrics("p"))
    try:
        yield Dispatcher(ports, workers, inbox, readers=1), inbox
    finally:
        assert workers.close(5) == []


def _write() -> m.Write:
    shard = Table("orders").shard()
    shard.put("a")
    return m.Write("bus", 1, shard.batch())


def _done(result: object = None) -> "Future[Any]":
    future: Future[Any] = Future()
    future.set_result(result)
    return future


def _cancelled() -> "Future[Any]":
    future: Future[Any] = Future()
    future.cancel()
    return future


@pytest.mark.parametrize(
    ("accepted", "durable"),
    [(_done(), _done("no durability")), (_done(), _cancelled()), (_cancelled(), Future())],
    ids=["no durability", "durable cancelled", "accepted cancelled"],
)
def test_an_answer_that_is_none_ends_the_process_instead_of_vanishing(
    accepted: "Future[Any]", durable: "Future[Any]"
) -> None:
    with _dispatching(AnsweringSink(accepted, durable)) as (dispatcher, inbox):
        dispatcher.do(_write())
        events = [inbox.get(timeout=5)]
        if isinstance(events[0], m.Accepted):
            events.append(inbox.get(timeout=5))
    assert isinstance(events[-1], Crashed)


def test_a_cancelled_flush_ends_the_process_instead_of_vanishing() -> None:
    with _dispatching(AnsweringSink(_cancelled(), Future())) as (dispatcher, inbox):
        dispatcher.do(m.FlushSink("bus", 1.0))
        assert isinstance(inbox.get(timeout=5), Crashed)
