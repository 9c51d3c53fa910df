"""The proof must notice: each fault alone, in data small enough to see."""

from collections.abc import Sequence
from decimal import Decimal

import pytest

from cdc.demo.proof import (
    Delivered,
    Found,
    Tombstone,
    Unreadable,
    Verdict,
    Written,
    compare_files,
    compare_items,
    compare_log,
    folded,
)
from cdc.demo.values import Item, Key, Value

A, B = Key("ann", Decimal(1)), Key("bob", Decimal(2))


def order(key: Key, total: str) -> dict[str, Value]:
    return {"customer": ("S", key.customer), "order": ("N", key.order), "total": ("N", Decimal(total))}


A1, A2, B1 = order(A, "1.5"), order(A, "2"), order(B, "7")
INSERT_A = Written(10, A, "c", None, A1)
INSERT_B = Written(11, B, "c", None, B1)
UPDATE_A = Written(12, A, "u", A1, A2)
DELETE_B = Written(13, B, "d", B1, None)
WRITTEN = [INSERT_A, INSERT_B, UPDATE_A, DELETE_B]
ITEMS = folded(WRITTEN)


def found(*changes: Written) -> list[Found]:
    """As a topic has them: a tombstone behind each delete."""
    messages: list[Found] = []
    for change in changes:
        messages.append(Delivered(change, f"at {len(messages)}"))
        if change.op == "d":
            messages.append(Tombstone(change.key, f"at {len(messages)}"))
    return messages


def log(*lanes: Sequence[Found]) -> Verdict:
    return compare_log("bus", WRITTEN, lanes, ITEMS)


def counts(verdict: Verdict) -> tuple[int, int | None, int, int]:
    return verdict.delivered, verdict.redelivered, verdict.lost, verdict.mismatched


def test_the_fold() -> None:
    assert ITEMS == {A: A2}


@pytest.mark.parametrize(
    "lanes",
    [
        [found(*WRITTEN)],
        [found(INSERT_A, UPDATE_A), found(INSERT_B, DELETE_B)],
        [found(INSERT_B, INSERT_A, DELETE_B, UPDATE_A)],
    ],
)
def test_a_topic_that_agrees(lanes: list[list[Found]]) -> None:
    verdict = log(*lanes)
    assert verdict.agrees
    assert counts(verdict) == (4, 0, 0, 0)


@pytest.mark.parametrize(
    ("again", "times"), [(WRITTEN, 4), ([UPDATE_A, DELETE_B], 2), ([INSERT_B, UPDATE_A, DELETE_B], 3)]
)
def test_what_comes_again_in_order_is_redelivered_and_no_fault(again: list[Written], times: int) -> None:
    verdict = log(found(*WRITTEN, *again))
    assert verdict.agrees
    assert counts(verdict) == (4, times, 0, 0)


@pytest.mark.parametrize("missing", WRITTEN)
def test_a_missing_message(missing: Written) -> None:
    verdict = log(found(*(change for change in WRITTEN if change != missing)))
    assert not verdict.agrees
    assert counts(verdict) == (3, 0, 1, 0)
    assert str(missing.sequence) in verdict.findings[0]


@pytest.mark.parametrize(
    "wrong",
    [
        UPDATE_A._replace(after=A2 | {"total": ("N", Decimal("2.00000000000000000001"))}),
        UPDATE_A._replace(after=A2 | {"total": ("S", "2")}),
        UPDATE_A._replace(after={name: A2[name] for name in ("customer", "order")}),
        UPDATE_A._replace(after=None),
        UPDATE_A._replace(before=None),
        UPDATE_A._replace(before=A2),
        UPDATE_A._replace(op="c"),
        UPDATE_A._replace(key=B),
    ],
)
def test_a_wrong_value(wrong: Written) -> None:
    verdict = log(found(INSERT_A, wrong), found(INSERT_B, DELETE_B))
    assert counts(verdict)[:3] == (4, 0, 0)
    assert verdict.mismatched >= 1
    assert not verdict.agrees
    assert "at 1" in verdict.findings[0]


def test_a_change_that_nobody_made() -> None:
    verdict = log(found(*WRITTEN, UPDATE_A._replace(sequence=99)))
    assert counts(verdict) == (4, 0, 0, 1)


def test_swapped_order() -> None:
    verdict = log(found(UPDATE_A, INSERT_A), found(INSERT_B, DELETE_B))
    assert counts(verdict) == (4, 0, 0, 1)
    assert "before an earlier change" in verdict.findings[0]


def test_what_comes_again_ends_at_the_newest_state() -> None:
    verdict = log(found(*WRITTEN, INSERT_A))
    assert counts(verdict) == (4, 1, 0, 1)
    assert "folded" in verdict.findings[0]


def test_a_key_in_two_partitions() -> None:
    verdict = log(found(UPDATE_A), found(INSERT_A, INSERT_B, DELETE_B))
    assert verdict.mismatched == 1


def test_a_delete_without_its_tombstone() -> None:
    verdict = log([Delivered(change, "somewhere") for change in WRITTEN])
    assert counts(verdict) == (4, 0, 0, 1)
    assert "no tombstone" in verdict.findings[0]


def test_a_tombstone_without_a_delete() -> None:
    verdict = log([*found(*WRITTEN), Tombstone(A, "at the end")])
    assert counts(verdict) == (4, 0, 0, 1)


def test_what_cannot_be_read() -> None:
    verdict = log([*found(*WRITTEN), Unreadable("offset 9", "torn")])
    assert counts(verdict) == (4, 0, 0, 1)
    assert verdict.findings == ["offset 9: torn"]


def rows(*changes: Written) -> list[Found]:
    """As a lake has them: nothing of before, no tombstones."""
    return [Delivered(change._replace(before=None), f"row of {change.sequence}", False) for change in changes]


def test_a_lake_that_agrees() -> None:
    verdict = compare_files("lake", WRITTEN, [rows(UPDATE_A, DELETE_B), rows(INSERT_A, INSERT_B, UPDATE_A)])
    assert verdict.agrees
    assert counts(verdict) == (4, 1, 0, 0)


def test_a_lake_with_a_wrong_row() -> None:
    wrong = UPDATE_A._replace(after=A1)
    verdict = compare_files("lake", WRITTEN, [rows(INSERT_A, INSERT_B, wrong, DELETE_B)])
    assert counts(verdict) == (4, 0, 0, 1)


def test_a_lake_without_one_of_its_files() -> None:
    verdict = compare_files("lake", WRITTEN, [rows(INSERT_A, INSERT_B)])
    assert counts(verdict) == (2, 0, 2, 0)


def test_a_lake_file_out_of_order() -> None:
    verdict = compare_files("lake", WRITTEN, [rows(UPDATE_A, INSERT_A, INSERT_B, DELETE_B)])
    assert counts(verdict) == (4, 0, 0, 1)


def test_a_lake_file_that_is_torn() -> None:
    verdict = compare_files("lake", WRITTEN, [rows(INSERT_A, INSERT_B), [Unreadable("file 2", "torn")]])
    assert counts(verdict) == (2, 0, 2, 1)


@pytest.mark.parametrize(
    ("replica", "expected"),
    [
        ({A: (12, A2)}, (1, None, 0, 0)),
        ({}, (0, None, 1, 0)),
        ({A: (12, A1)}, (1, None, 0, 1)),
        ({A: (10, A2)}, (1, None, 0, 1)),
        ({A: (12, A2), B: (11, B1)}, (1, None, 0, 1)),
    ],
    ids=["agrees", "missing", "stale", "version of another change", "ghost"],
)
def test_a_replica(replica: dict[Key, tuple[int, Item]], expected: tuple[int, int | None, int, int]) -> None:
    verdict = compare_items("dr", WRITTEN, ITEMS, replica)
    assert counts(verdict) == expected
    assert verdict.agrees is (expected == (1, None, 0, 0))
