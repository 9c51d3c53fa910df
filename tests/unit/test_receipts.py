from concurrent.futures import Future

from hypothesis import given
from hypothesis import strategies as st

from cdc.errors import ErrorKind, SinkError
from cdc.model import Batch, Durability, EncodedBatch
from cdc.ports import Receipt
from cdc.receipts import Receipts, Undurable
from cdc.testing.batches import Table

DOWN = SinkError(ErrorKind.UNAVAILABLE, "down")


def cut(batches: int) -> list[Batch]:
    shard = Table().shard()
    made = []
    for number in range(batches):
        shard.put(f"item-{number}")
        made.append(shard.batch())
    return made


def taken(receipts: Receipts, batch: Batch) -> Undurable:
    entry = receipts.take(EncodedBatch(batch))
    assert isinstance(entry, Undurable)
    return entry


@given(st.permutations(range(6)), st.integers(0, 6), st.integers(0, 5))
def test_durable_is_said_in_order_and_a_failure_hands_back_all_that_follows(
    order: list[int], done_before: int, failing: int
) -> None:
    receipts = Receipts()
    entries = [taken(receipts, batch) for batch in cut(6)]
    said: list[Future[Durability]] = []
    for entry in entries:
        entry.receipt.durable.add_done_callback(said.append)

    for number in order[:done_before]:
        if number != failing:
            receipts.durable(entries[number])
    receipts.fail(entries[failing], DOWN)
    for number in order[done_before:]:
        receipts.durable(entries[number])

    durables = [entry.receipt.durable for entry in entries]
    assert [durable for durable in said if durable.exception() is None] == durables[:failing]
    assert [durable for durable in said if durable.exception() is DOWN] == durables[failing:]
    assert receipts.undurable() == []


def test_the_answer_carries_the_rejects() -> None:
    receipts = Receipts()
    (batch,) = cut(1)
    entry = taken(receipts, batch)
    reject = batch.reject(batch.changes[0], ErrorKind.REJECTED, "too large")
    receipts.durable(entry, Durability([reject]))
    assert entry.receipt.durable.result(0).rejects == [reject]


def test_what_follows_on_a_failure_is_refused_until_it_begins_again() -> None:
    receipts = Receipts()
    first, second, third = cut(3)
    receipts.fail(taken(receipts, first), DOWN)
    for late in (second, third):
        receipt = receipts.take(EncodedBatch(late))
        assert isinstance(receipt, Receipt)
        assert receipt.accepted.exception(0) is DOWN
        assert receipt.durable.exception(0) is DOWN
    for again in (first, second, third):
        receipts.durable(taken(receipts, again))


def test_a_claim_begins_anywhere() -> None:
    receipts = Receipts()
    first, second = cut(2)
    receipts.fail(taken(receipts, first), DOWN)
    receipts.forget(second.shard)
    assert isinstance(receipts.take(EncodedBatch(second)), Undurable)


def test_a_shard_does_not_wait_for_another() -> None:
    receipts = Receipts()
    table = Table()
    here, there = table.shard(0), table.shard(1)
    here.put("a")
    there.put("b")
    slow = taken(receipts, here.batch())
    quick = taken(receipts, there.batch())
    receipts.durable(quick)
    assert quick.receipt.durable.done()
    assert not slow.receipt.durable.done()
    receipts.abandon()
    assert isinstance(slow.receipt.durable.exception(0), SinkError)
