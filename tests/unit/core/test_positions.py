from hypothesis import given
from hypothesis import strategies as st

from cdc.core.positions import LostData, resume
from cdc.model import BEGINNING, Position, ShardKey, after, end_of_shard
from cdc.ports import SavedCursor

POSITIONS = st.one_of(
    st.just(BEGINNING), st.integers(1, 10**22).map(lambda n: after(str(n))), st.just(end_of_shard())
)


def cursor(position: Position, *, kept: bool = False) -> SavedCursor:
    return SavedCursor("a", ShardKey("arn", "shard"), position, "orders", kept, 0.0)


def begins(
    saved: SavedCursor | None,
    held: Position | None,
    *,
    keeps: bool = True,
    descendant: bool = False,
    epoch: int = 0,
) -> Position | LostData:
    return resume(
        saved=saved, held=held, sink_keeps_positions=keeps, descendant_is_held=descendant, epoch=epoch
    )


@given(POSITIONS, POSITIONS)
def test_the_farther_one_counts(saved: Position, held: Position) -> None:
    found = begins(cursor(saved), held)
    assert isinstance(found, Position)
    assert found.order == max(saved.order, held.order)


def test_numbers_compare_as_numbers() -> None:
    assert begins(cursor(after("9" * 21)), after("1" + "0" * 21)) == after("1" + "0" * 21)


@given(POSITIONS, POSITIONS)
def test_what_is_older_than_a_reset_does_not_count(saved: Position, held: Position) -> None:
    assert begins(cursor(saved, kept=True), held, epoch=1) == BEGINNING


def test_a_reset_of_the_sinks_own_position_counts_by_its_epoch() -> None:
    assert begins(cursor(after("100")), after("5", epoch=1), epoch=1) == after("5", epoch=1)


def test_a_kept_position_that_is_gone_is_lost_data() -> None:
    assert isinstance(begins(cursor(after("5"), kept=True), None), LostData)


def test_data_is_not_lost_while_a_descendant_holds_a_position() -> None:
    assert begins(cursor(end_of_shard(), kept=True), None, descendant=True) == end_of_shard()


def test_a_sink_that_stopped_keeping_positions_has_lost_nothing() -> None:
    assert begins(cursor(after("5"), kept=True), None, keeps=False) == after("5")


def test_a_position_that_the_sink_never_kept_is_no_lost_data() -> None:
    assert begins(cursor(after("5"), kept=False), None) == after("5")


def test_without_any_it_is_the_start() -> None:
    assert begins(None, None) == BEGINNING
