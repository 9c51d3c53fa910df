"""The oracle of the tests on running pipelines finds what it is there to find."""

import json
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from tests.integration.pipeline.destinations import VERSION_ATTRIBUTE, Delivered, Deliveries
from tests.integration.pipeline.items import REVISION, Item, Key, attributes, key_attributes, keys
from tests.integration.pipeline.journal import Journal, Op, Written
from tests.integration.pipeline.oracle import (
    Verdict,
    folded,
    judge_items,
    judge_log,
    judge_replica,
    last_states,
)
from tests.integration.pipeline.values import item_of, value_of

SEED = 20
OPS: tuple[Op, ...] = ("c", "u", "u", "d", "c", "d", "c")


def written() -> Journal:
    random = Random(SEED)
    journal: dict[Key, list[Written]] = {}
    for key in keys(random, 5):
        changes = journal.setdefault(key, [])
        revision = 0
        for op in OPS:
            if op == "d":
                changes.append(Written(op, revision, None))
            else:
                revision += 1
                changes.append(Written(op, revision, key_attributes(key) | attributes(random, revision)))
    return journal


def delivered(journal: Journal) -> Deliveries:
    """Faultless, in the form of a stream's JSON: Base64, other notations of numbers, other orders in sets."""
    deliveries: Deliveries = {}
    for key, changes in journal.items():
        before = None
        for number, change in enumerate(changes):
            item = None if change.item is None else as_json(change.item)
            deliveries.setdefault(key, []).append(Delivered(f"v{number:04}", change.op, item, before))
            before = item
    return deliveries


def as_json(item: Item) -> dict[str, Any]:
    def encoded(value: object) -> str:
        assert isinstance(value, bytes)
        return b64encode(value).decode()

    decoded = json.loads(json.dumps(item, default=encoded))
    for attribute in decoded.values():
        for kind in ("SS", "NS", "BS"):
            if kind in attribute:
                attribute[kind].reverse()
    decoded[REVISION]["N"] += ".0"
    assert isinstance(decoded, dict)
    return decoded


JOURNAL = written()
SOME_KEY = next(iter(JOURNAL))


def judged(deliveries: Deliveries) -> Verdict:
    return judge_log("log", JOURNAL, deliveries)


def test_what_was_written_is_faultless() -> None:
    verdict = judged(delivered(JOURNAL))
    assert verdict.faultless, verdict.findings()
    assert (verdict.delivered, verdict.redelivered) == (5 * len(OPS), 0)


def test_what_comes_again_is_counted_and_no_fault() -> None:
    deliveries = delivered(JOURNAL)
    for changes in deliveries.values():
        changes[3:3] = changes[1:3]
    verdict = judged(deliveries)
    assert verdict.faultless, verdict.findings()
    assert (verdict.delivered, verdict.redelivered) == (5 * len(OPS), 10)


def losing(number: int) -> Callable[[list[Delivered]], object]:
    return lambda changes: changes.pop(number)


def swapping(changes: list[Delivered]) -> None:
    changes[1], changes[2] = changes[2], changes[1]


def swapping_versions(changes: list[Delivered]) -> None:
    changes[1], changes[2] = (
        replace(changes[2], version=changes[1].version),
        replace(changes[1], version=changes[2].version),
    )


def ending_with_an_old_one(changes: list[Delivered]) -> None:
    changes.append(changes[2])


def coming_again_in_another_form(changes: list[Delivered]) -> None:
    changes.insert(1, replace(changes[0], op="u"))


def with_a_change_of_its_own(changes: list[Delivered]) -> None:
    changes.append(replace(changes[-1], version="v9999"))


def with_another_op(changes: list[Delivered]) -> None:
    changes[0] = replace(changes[0], op="u")


def with_another(attribute: object) -> Callable[[list[Delivered]], object]:
    def change(changes: list[Delivered]) -> None:
        assert changes[0].item is not None
        changes[0] = replace(changes[0], item=changes[0].item | {"price": attribute})
        changes[1] = replace(changes[1], before=changes[0].item)

    return change


def without_the_old_image(changes: list[Delivered]) -> None:
    changes[2] = replace(changes[2], before=changes[0].item)


@pytest.mark.parametrize(
    ("breaking", "found_in"),
    [
        (losing(0), "lost"),
        (losing(2), "lost"),
        (losing(3), "lost"),  # a delete that another one follows
        (losing(-1), "lost"),
        (swapping, "misordered"),
        (swapping_versions, "misordered"),
        (ending_with_an_old_one, "misordered"),
        (coming_again_in_another_form, "mismatched"),
        (with_a_change_of_its_own, "foreign"),
        (with_another_op, "mismatched"),
        (with_another({"N": "12345678901234567890123456789012345679"}), "mismatched"),
        (with_another({"S": ""}), "mismatched"),
        (without_the_old_image, "mismatched"),
    ],
)
def test_a_fault_is_found(breaking: Callable[[list[Delivered]], object], found_in: str) -> None:
    deliveries = delivered(JOURNAL)
    breaking(deliveries[SOME_KEY])
    verdict = judged(deliveries)
    assert getattr(verdict, found_in), verdict.findings()


def test_a_key_that_is_lost_or_foreign_is_found() -> None:
    deliveries = delivered(JOURNAL)
    deliveries[SOME_KEY._replace(customer="nobody")] = deliveries.pop(SOME_KEY)
    verdict = judged(deliveries)
    assert len(verdict.lost) == len(OPS)
    assert len(verdict.foreign) == 1


def test_items_and_their_versions() -> None:
    expected = last_states(JOURNAL)
    topic = delivered(JOURNAL)
    replica = {
        key: (change.item or {}) | {VERSION_ATTRIBUTE: {"S": change.version}}
        for key, change in folded(topic).items()
    }
    assert judge_replica("replica", expected, replica, topic).faultless
    late = replica[SOME_KEY] | {VERSION_ATTRIBUTE: {"S": "v0000"}}
    assert judge_replica("replica", expected, replica | {SOME_KEY: late}, topic).mismatched
    found = {key: item_of(change.item or {}) for key, change in folded(topic).items()}
    assert judge_items("items", expected, found).faultless
    del found[SOME_KEY]
    assert judge_items("items", expected, found).lost


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ({"N": "100"}, {"N": "1E+2"}, True),
        ({"N": "0"}, {"N": "-0.0"}, True),
        ({"N": "1" * 38}, {"N": "1" * 37 + "2"}, False),
        ({"N": "1"}, {"S": "1"}, False),
        ({"SS": ["a", "b"]}, {"SS": ["b", "a"]}, True),
        ({"SS": ["a"]}, {"L": [{"S": "a"}]}, False),
        ({"NS": ["1", "2.50"]}, {"NS": ["2.5", "1.0"]}, True),
        ({"B": b"a"}, {"B": "YQ=="}, True),
        ({"B": ""}, {"S": ""}, False),
        ({"L": [{"N": "1"}, {"N": "2"}]}, {"L": [{"N": "2"}, {"N": "1"}]}, False),
        ({"M": {"a": {"NULL": True}}}, {"M": {"a": {"BOOL": True}}}, False),
        ({"L": []}, {"M": {}}, False),
    ],
)
def test_values_are_compared_by_type_and_value(one: Any, other: Any, equal: bool) -> None:
    assert (value_of(one) == value_of(other)) is equal


@pytest.mark.parametrize(
    "broken", [{}, {"S": "a", "N": "1"}, {"X": 1}, {"SS": ["a", "a"]}, {"NS": ["1", "1.0"]}]
)
def test_what_is_no_value_is_refused(broken: Any) -> None:
    with pytest.raises(ValueError, match=r"value|type|twice"):
        value_of(broken)
