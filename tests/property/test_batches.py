"""Parts of a batch: those after a place, and those up to one."""

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.errors import ErrorKind
from cdc.model import BEGINNING, Batch, Place, after, end_of_shard
from cdc.testing.batches import EVERY_TYPE, Table

COUNT = 8


def batch_of(count: int = COUNT) -> Batch:
    shard = Table().shard()
    for number in range(count):
        shard.put(f"item-{number}", **EVERY_TYPE)
    return shard.batch()


WHOLE = batch_of()
NUMBERS = [change.sequence for change in WHOLE.changes]


@given(st.integers(0, COUNT - 1), st.booleans())
def test_two_parts_are_the_whole(at: int, ends: bool) -> None:
    whole = replace(WHOLE, end=end_of_shard(NUMBERS[-1])) if ends else WHOLE
    place = after(NUMBERS[at])
    first, second = whole.up_to(place), whole.after(place)
    assert first.end.order == min(place.order, whole.end.order)
    assert [*first.changes, *(second.changes if at < COUNT - 1 else ())] == [*whole.changes]
    assert (first.start, second.start, second.end) == (whole.start, place, whole.end)
    assert ends == (whole.end.place is Place.END)


def test_what_does_not_go_beyond_is_the_batch_itself() -> None:
    assert WHOLE.up_to(after(NUMBERS[-1])) is WHOLE
    assert WHOLE.up_to(end_of_shard()) is WHOLE


def test_the_place_is_that_of_the_batchs_epoch() -> None:
    later = replace(WHOLE, end=replace(WHOLE.end, epoch=3))
    assert later.up_to(after(NUMBERS[2])).end == after(NUMBERS[2], epoch=3)


def test_each_reject_has_its_own_record_byte_for_byte() -> None:
    body = msgspec.json.format(WHOLE.body, indent=3)
    batch = replace(WHOLE, body=body)
    found = [batch.reject(change, ErrorKind.REJECTED, "") for change in reversed(batch.changes)]
    assert [reject.sequence for reject in found] == NUMBERS[::-1]
    for reject in found:
        assert body.count(reject.record) == 1
        assert msgspec.json.decode(reject.record)["dynamodb"]["SequenceNumber"] == reject.sequence


def test_a_part_of_a_batch_cuts_its_own_records() -> None:
    assert WHOLE.raw_record(WHOLE.changes[0])
    other = replace(WHOLE, body=msgspec.json.format(WHOLE.body, indent=2))
    assert other.raw_record(other.changes[0]) in other.body
    assert other.raw_record(other.changes[0]) not in WHOLE.body


@pytest.mark.parametrize("body", [b"", b"{", b'{"Records":[{"dynamodb":{}}]}'])
def test_a_body_that_cannot_be_cut_up(body: bytes) -> None:
    batch = replace(WHOLE, body=body, start=BEGINNING)
    change = batch.changes[1]
    assert msgspec.json.decode(batch.raw_record(change))["dynamodb"]["SequenceNumber"] == change.sequence
