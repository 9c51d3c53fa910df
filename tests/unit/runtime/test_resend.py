"""Dead letters that are sent again: in which order, what is marked, and when."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from cdc.errors import CdcError, ErrorKind, SinkError
from cdc.model import EncodedBatch, version
from cdc.ports import DeadLetter, Receipt
from cdc.process import this_process
from cdc.runtime import resend
from cdc.runtime.dispatch import Outlet
from cdc.runtime.resend import Heartbeat, Replayed, Sender
from cdc.runtime.workers import Workers
from cdc.testing.batches import Table
from cdc.testing.clock import ManualClock
from cdc.testing.dead_letters_contract import letters
from cdc.testing.fakes import MemoryDeadLetters, MemorySink, MemoryStore
from cdc.testing.faults import FailAfterAccept, Hold, Refuse, Reject

DAY = 24 * 3600.0


class Desk:
    """A sink, the letters that are kept, and what is told of them."""

    def __init__(self, sink: MemorySink, kept: Sequence[DeadLetter], workers: Workers) -> None:
        self.sink = sink
        self.clock = ManualClock()
        self.store = MemoryDeadLetters()
        self.store.write(kept)
        self.told: list[Replayed] = []
        self.state = MemoryStore()
        self.state.open()
        self.lease = self.state.acquire(this_process(), lease_seconds=15, now=self.clock.now().wall)
        self._outlet = Outlet(sink, None, workers.pool("sink", 1))

    def send(self, guarded: float | None = None) -> None:
        streams = {"orders": Table().stream}
        heart = Heartbeat(self.state, self.lease, 15.0, self.clock)
        sender = Sender(self._outlet, streams, self.store, heart, self.clock, guarded, self.told.append)
        sender.send([letter for letter in self.store.read() if letter.replayed_at is None])

    @property
    def open(self) -> list[str]:
        return [letter.sequence for letter in self.store.read() if letter.replayed_at is None]

    @property
    def problems(self) -> list[str]:
        return [replayed.problem for replayed in self.told]

    @property
    def arrived(self) -> list[str]:
        return [delivered.change.sequence for delivered in self.sink.destination.delivered]


@pytest.fixture
def desk() -> Iterator[Callable[..., Desk]]:
    workers = Workers()
    yield lambda kept, sink=None: Desk(sink or MemorySink("bus"), kept, workers)
    assert workers.close(5.0) == []


Make = Callable[..., Desk]


def test_they_arrive_in_order_with_the_version_of_then_and_are_marked(desk: Make) -> None:
    kept = letters(250)
    found = desk(list(reversed(kept)))
    found.store.letters = dict(sorted(found.store.letters.items(), key=lambda entry: int(entry[0][3])))
    found.send()
    assert found.arrived == [letter.sequence for letter in kept]
    assert not found.open
    assert found.problems == [""] * 250
    delivered = found.sink.destination.delivered
    assert all(one.batch.replayed for one in delivered)
    assert {version(one.batch.stream.created_ms, one.change.sequence) for one in delivered} == {
        version(letter.created_ms, letter.sequence) for letter in kept
    }
    assert {one.batch.shard for one in delivered} == {letter.shard for letter in kept}
    by_sequence = {letter.sequence: letter.record for letter in kept}
    assert all(one.batch.raw_record(one.change) == by_sequence[one.change.sequence] for one in delivered)


def test_one_of_an_older_stream_keeps_the_version_of_it(desk: Make) -> None:
    old = replace(letters(1)[0], created_ms=1_700_000_000_000)
    old = replace(
        old, shard=old.shard._replace(stream="arn:aws:dynamodb:eu-west-3:999:table/orders/stream/old")
    )
    found = desk([old])
    found.send()
    (delivered,) = found.sink.destination.delivered
    stream = delivered.batch.stream
    assert (stream.created_ms, stream.region, stream.account) == (1_700_000_000_000, "eu-west-3", "999")
    assert stream.key == Table().stream.key


def test_nothing_is_marked_before_it_is_durable(desk: Make) -> None:
    seen: list[list[str]] = []

    class Watched(MemorySink):
        def write(self, batch: EncodedBatch) -> Receipt:
            receipt = super().write(batch)
            receipt.durable.add_done_callback(lambda _: seen.append(found.open))
            return receipt

    found = desk(letters(2), Watched("bus"))
    found.sink.faults.next("write", Hold())  # durable by the flush alone
    found.send()
    assert seen == [[letter.sequence for letter in letters(2)]]
    assert not found.open


def test_what_the_sink_refuses_of_them_stays_and_says_why(desk: Make) -> None:
    kept = letters(3)
    found = desk(kept)
    found.sink.faults.next("write", Reject(lambda change: change.sequence == kept[1].sequence))
    found.send()
    assert found.open == [kept[1].sequence]
    assert found.problems == ["", "refused by a fault", ""]


@pytest.mark.parametrize("fault", [Refuse, FailAfterAccept])
@pytest.mark.parametrize("kind", [ErrorKind.REJECTED, ErrorKind.UNENCODABLE])
def test_a_batch_that_is_refused_as_a_whole_goes_one_by_one(desk: Make, fault: Any, kind: ErrorKind) -> None:
    kept = letters(3)
    found = desk(kept)
    found.sink.faults.next("write", fault(kind), None, fault(kind), None)
    found.send()
    assert found.open == [kept[1].sequence]
    assert found.arrived == [kept[0].sequence, kept[2].sequence]
    assert found.problems[0] == found.problems[2] == ""
    assert "told to fail" in found.problems[1]


def test_a_sink_that_goes_away_ends_it_and_what_was_done_is_done(desk: Make) -> None:
    kept = letters(150)
    found = desk(kept)
    found.sink.faults.next("write", None, Refuse())
    with pytest.raises(SinkError):
        found.send()
    assert found.open == [letter.sequence for letter in kept[100:]]
    assert len(found.told) == 100
    found.send()
    assert not found.open
    assert found.arrived == [letter.sequence for letter in kept]


def test_a_mark_that_fails_leaves_them_open(desk: Make) -> None:
    found = desk(letters(2))
    found.store.faults.outage("write")
    with pytest.raises(CdcError):
        found.send()
    assert len(found.open) == 2
    assert not found.told
    found.store.faults.mend()
    found.send()
    assert not found.open
    assert len(found.arrived) == 4, "twice, and no more"


def test_a_put_that_deletes_are_forgotten_of_is_not_sent(desk: Make) -> None:
    kept = letters(1)
    removal = replace(kept[0], record=kept[0].record.replace(b"INSERT", b"REMOVE"))
    for letter, late, problem in (
        (kept[0], 7 * DAY - 600, False),
        (kept[0], 7 * DAY + 600, True),
        (removal, 7 * DAY + 600, False),
    ):
        found = desk([letter])
        found.clock.advance(late)
        found.send(guarded=7 * DAY)
        assert bool(found.problems[0]) is problem
        assert bool(found.arrived) is not problem
    found = desk(kept)
    found.clock.advance(30 * DAY)
    found.send(guarded=None)
    assert found.problems == [""]


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (b"{", "cannot be read"),
        (b"\xff", "cannot be read"),
        (b'{"eventName":"INSERT","dynamodb":{"SequenceNumber":"5"}}', "another change"),
    ],
)
def test_a_record_that_is_none(desk: Make, record: bytes, why: str) -> None:
    found = desk([replace(letters(1)[0], record=record)])
    found.send()
    assert why in found.problems[0]
    assert len(found.open) == 1
    assert not found.arrived


def test_a_table_with_another_key_than_then(desk: Make) -> None:
    letter = letters(1)[0]
    found = desk([replace(letter, record=letter.record.replace(b'"Keys":{"pk"', b'"Keys":{"id"'))])
    found.send()
    assert "another key" in found.problems[0]
    assert not found.arrived


def test_the_lease_is_kept_while_it_goes_on(desk: Make) -> None:
    class Slow(MemorySink):
        def write(self, batch: EncodedBatch) -> Receipt:
            found.clock.advance(6.0)
            return super().write(batch)

    found = desk(letters(3 * 100), Slow("bus"))
    found.send()
    lease = found.state.state.lease
    assert lease is not None
    assert lease.owner.heartbeat > found.clock.now().wall - 5.0


def test_a_sink_without_an_answer_is_not_waited_for_for_ever(
    desk: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resend, "PATIENCE_SECONDS", 0.0)
    found = desk(letters(1))
    found.sink.faults.next("write", Hold(before_accept=True))
    with pytest.raises(SinkError, match="no answer"):
        found.send()
    assert len(found.open) == 1
