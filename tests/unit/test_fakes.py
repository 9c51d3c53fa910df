import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.errors import ErrorKind, SinkError, StateError
from cdc.model import Batch, EncodedBatch
from cdc.ports import Owner, Receipt, StateChange
from cdc.testing.batches import Table
from cdc.testing.fakes import Faults, ManualClock, MemorySink, MemoryStore
from cdc.testing.faults import Break, FailAfterAccept, FailAfterWrite, Hold, Refuse, Reject, Slow
from cdc.testing.saved_state import cursor


def batches(count: int = 3) -> list[Batch]:
    shard = Table().shard()
    made = []
    for number in range(count):
        shard.put("a", n={"N": str(number)})
        made.append(shard.batch())
    return made


def opened(faults: Faults, clock: ManualClock | None = None) -> MemorySink:
    sink = MemorySink(faults=faults, clock=clock)
    sink.open()
    sink.claim([batches(1)[0].shard])
    return sink


def state(receipt: Receipt) -> tuple[bool, bool]:
    return receipt.accepted.done(), receipt.durable.done()


def test_a_held_batch_holds_those_behind_it() -> None:
    faults = Faults()
    sink = opened(faults)
    faults.next("write", Hold())
    receipts = [sink.write(EncodedBatch(batch)) for batch in batches()]
    assert [state(receipt) for receipt in receipts] == [(True, False)] * 3
    assert sink.destination.delivered == []
    sink.let_go()
    assert [state(receipt) for receipt in receipts] == [(True, True)] * 3


def test_a_batch_that_is_not_accepted_waits() -> None:
    faults = Faults()
    sink = opened(faults)
    faults.next("write", Hold(before_accept=True))
    receipt = sink.write(EncodedBatch(batches(1)[0]))
    assert state(receipt) == (False, False)
    sink.let_go()
    assert state(receipt) == (True, True)


def test_a_slow_batch_takes_its_time_and_a_flush_waits_for_it() -> None:
    faults, clock = Faults(), ManualClock()
    sink = opened(faults, clock)
    faults.next("write", Slow(5))
    receipt = sink.write(EncodedBatch(batches(1)[0]))
    flushed = sink.flush(deadline=10)
    clock.advance(4.9)
    assert state(receipt) == (True, False)
    assert not flushed.done()
    clock.advance(0.2)
    assert state(receipt) == (True, True)
    assert flushed.done()


@pytest.mark.parametrize(
    ("fault", "accepted", "delivered"),
    [(Refuse(), False, 0), (FailAfterAccept(), True, 0), (FailAfterWrite(), True, 1)],
)
def test_failures_differ_in_what_is_left(
    fault: Refuse | FailAfterAccept | FailAfterWrite, accepted: bool, delivered: int
) -> None:
    faults = Faults()
    sink = opened(faults)
    faults.next("write", fault)
    receipt = sink.write(EncodedBatch(batches(1)[0]))
    assert (receipt.accepted.exception(0) is None) == accepted
    assert isinstance(receipt.durable.exception(0), SinkError)
    assert len(sink.destination.delivered) == delivered


def test_a_rejected_change_comes_back_and_the_others_are_delivered() -> None:
    shard = Table().shard()
    shard.put("good")
    shard.put("bad")
    batch = shard.batch()
    faults = Faults()
    sink = opened(faults)
    faults.next("write", Reject(lambda change: b"bad" in bytes(change.dynamodb.keys)))
    (reject,) = sink.write(EncodedBatch(batch)).durable.result(0).rejects
    assert (reject.sequence, reject.kind) == (batch.changes[1].sequence, ErrorKind.REJECTED)
    assert b'"bad"' in reject.record
    assert [delivered.change for delivered in sink.destination.delivered] == [batch.changes[0]]


def test_a_crash_answers_nothing() -> None:
    faults, clock = Faults(), ManualClock()
    sink = opened(faults, clock)
    faults.next("write", Slow(1))
    receipt = sink.write(EncodedBatch(batches(1)[0]))
    sink.crash()
    clock.advance(2)
    assert state(receipt) == (True, False)
    assert sink.destination.delivered == []


def test_an_unknown_error_is_raised_as_it_is() -> None:
    faults = Faults()
    sink = opened(faults)
    faults.next("write", Break(ZeroDivisionError("a bug")))
    with pytest.raises(ZeroDivisionError):
        sink.write(EncodedBatch(batches(1)[0]))


def test_queued_faults_come_before_an_outage_and_one_by_one() -> None:
    faults = Faults()
    faults.outage("write")
    faults.next("write", Hold(), None)
    assert [faults.take("write") for _ in range(3)] == [Hold(), None, Refuse()]
    faults.mend()
    assert faults.take("write") is None


def test_a_save_whose_answer_is_lost_is_saved() -> None:
    store = MemoryStore()
    lease = store.acquire(Owner("here", 1, "1"), lease_seconds=15, now=0)
    store.faults.next("save", FailAfterWrite(), Refuse())
    with pytest.raises(StateError):
        store.save(lease, StateChange(cursors=[cursor(1)]))
    with pytest.raises(StateError):
        store.save(lease, StateChange(cursors=[cursor(2)]))
    assert list(store.load().cursors) == [cursor(1)]


@given(st.lists(st.floats(0, 100), max_size=10), st.lists(st.floats(0, 40), max_size=10))
def test_the_clock_does_what_is_due_in_order_and_at_its_time(delays: list[float], steps: list[float]) -> None:
    clock = ManualClock(monotonic=0.0)
    done: list[float] = []
    for delay in delays:
        clock.call_later(delay, lambda: done.append(clock.now().monotonic))
    for step in steps:
        clock.advance(step)
    clock.advance(0)
    now = clock.now().monotonic
    assert done == sorted(delay for delay in delays if delay <= now)


def test_the_wall_clock_may_jump_and_the_monotonic_one_does_not() -> None:
    clock = ManualClock(wall=100.0, monotonic=5.0)
    clock.jump_wall(-50)
    clock.advance(1)
    assert (clock.now().wall, clock.now().monotonic) == (51.0, 6.0)
