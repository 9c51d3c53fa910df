"""The watermark against a model that remembers everything."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.core.tracker import Given, Tracker
from cdc.model import BEGINNING, Batch, Position, ShardKey, after, end_of_shard
from tests.unit.core.script import STREAM, change

SHARD = ShardKey(STREAM.arn, "shard-1")


def batch(start: Position, sequence: int, *, end: bool = False) -> Batch:
    to = end_of_shard(str(sequence)) if end else after(str(sequence))
    return Batch(STREAM, SHARD, start, to, [change(sequence)], 0.0, b"x" * 10)


@dataclass
class Model:
    """What the sink really has: `safe` are sequence numbers that a crash would not lose."""

    safe: set[int] = field(default_factory=set)
    in_hand: list[Given] = field(default_factory=list)
    """In the order in which they were given."""


@given(
    st.lists(
        st.tuples(st.sampled_from(["give", "accept", "durable", "fail"]), st.integers(0, 5)), max_size=80
    )
)
def test_the_watermark_never_passes_a_hole(steps: list[tuple[str, int]]) -> None:
    tracker, model, ids, failed = Tracker(BEGINNING, BEGINNING), Model(), 0, set[int]()
    for step, number in steps:
        if step == "give":
            if tracker.returning or tracker.unaccepted is not None:
                continue
            ids += 1
            start = int(tracker.given.sequence or 0)
            model.in_hand.append(tracker.give(ids, batch(tracker.given, start + 1), 0.0))
            continue
        if not model.in_hand:
            continue
        given = model.in_hand[number % len(model.in_hand)]
        if step == "accept":
            given.accepted = True
            continue
        model.in_hand.remove(given)
        sequence = int(given.end.sequence)
        if step == "fail":
            at = tracker.open.index(given)
            failed |= {later.id for later in list(tracker.open)[at:]}
            tracker.fail(given)
        else:
            model.safe.add(sequence)
            before = tracker.durable
            assert tracker.finish(given) == (tracker.durable != before)
        durable = int(tracker.durable.sequence or 0)
        assert set(range(1, durable + 1)) <= model.safe, "the watermark passed what is not durable"
        assert tracker.returning == any(one.id in failed for one in model.in_hand)
        assert tracker.durable.order <= tracker.given.order or tracker.returning
        if not tracker.open:
            assert tracker.given == tracker.durable
            assert tracker.clear


def test_nothing_is_given_while_batches_return() -> None:
    tracker = Tracker(BEGINNING, BEGINNING)
    first = tracker.give(1, batch(BEGINNING, 1), 0.0)
    first.accepted = True
    second = tracker.give(2, batch(after("1"), 2), 0.0)
    second.accepted = True
    tracker.fail(first)
    with pytest.raises(AssertionError):
        tracker.give(3, batch(BEGINNING, 1), 0.0)
    assert not tracker.finish(second), "durable behind a hole"
    assert tracker.given == tracker.durable == BEGINNING
    tracker.give(3, batch(BEGINNING, 1), 0.0)


def test_what_was_durable_behind_a_failure_is_not_waited_for() -> None:
    tracker = Tracker(BEGINNING, BEGINNING)
    first = tracker.give(1, batch(BEGINNING, 1), 0.0)
    first.accepted = True
    second = tracker.give(2, batch(after("1"), 2), 0.0)
    assert not tracker.finish(second)
    tracker.fail(first)
    assert tracker.clear
    assert tracker.given == tracker.durable == BEGINNING


def test_one_unaccepted_batch_at_a_time() -> None:
    tracker = Tracker(BEGINNING, BEGINNING)
    tracker.give(1, batch(BEGINNING, 1), 0.0)
    with pytest.raises(AssertionError):
        tracker.give(2, batch(after("1"), 2), 0.0)


def test_what_came_before_a_failure_stays_given() -> None:
    tracker = Tracker(BEGINNING, BEGINNING)
    first = tracker.give(1, batch(BEGINNING, 1), 0.0)
    first.accepted = True
    second = tracker.give(2, batch(after("1"), 2, end=True), 0.0)
    tracker.fail(second)
    assert tracker.given == after("1")
    assert tracker.finish(first)
    assert tracker.durable == after("1")
    assert tracker.durable_created == change(1).created


def test_an_answer_is_found_by_its_id_alone() -> None:
    tracker = Tracker(BEGINNING, BEGINNING)
    given = tracker.give(7, batch(BEGINNING, 1), 0.0)
    assert tracker.find(7) is given
    assert tracker.find(8) is None
