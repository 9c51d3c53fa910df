"""Numbers, equality and JSON of DynamoDB's values, against the standard library's decimals and JSON."""

import copy
import decimal
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from schemas.attribute_value import (
    AttributeValue,
    Item,
    canonical,
    canonical_number,
    dump_item,
    parse_item,
    same_item,
    same_value,
)
from tests.strategies import attribute_values, items, json_texts, numbers, spellings, wire_form

EXACT = decimal.Context(prec=400, Emin=-999, Emax=999, traps=[decimal.Inexact, decimal.InvalidOperation])


def value_of(number: str) -> decimal.Decimal:
    return EXACT.create_decimal(number)


@given(numbers())
def test_dynamodbs_own_text_of_a_number_is_canonical(number: str) -> None:
    assert canonical_number(number) == number


@given(numbers().flatmap(lambda number: st.tuples(st.just(number), spellings(number))))
def test_every_spelling_of_a_number_has_its_canonical_text(number_and_spelling: tuple[str, str]) -> None:
    number, spelling = number_and_spelling
    assert value_of(spelling) == value_of(number)
    assert canonical_number(spelling) == number


@given(numbers(), numbers())
def test_numbers_are_the_same_exactly_by_value(one: str, other: str) -> None:
    assert same_value({"N": one}, {"N": other}) == (value_of(one) == value_of(other))


@given(items(), st.data())
def test_an_item_is_read_from_any_json_and_written_back(item: Item, data: st.DataObject) -> None:
    read = parse_item(data.draw(json_texts(wire_form(item))))
    assert repr(read) == repr(item)
    assert json.loads(dump_item(read)) == wire_form(item)
    assert repr(parse_item(dump_item(read))) == repr(item)


@given(attribute_values(), st.randoms(use_true_random=False))
def test_order_counts_in_lists_and_nowhere_else(value: AttributeValue, random: Any) -> None:
    shuffled = copy.deepcopy(value)

    def shuffle(node: Any) -> None:
        match node:
            case {"SS": elements} | {"NS": elements} | {"BS": elements}:
                random.shuffle(elements)
            case {"M": members}:
                pairs = list(members.items())
                random.shuffle(pairs)
                members.clear()
                members.update(pairs)
                for member in members.values():
                    shuffle(member)
            case {"L": elements}:
                for element in elements:
                    shuffle(element)
            case _:
                pass

    shuffle(shuffled)
    assert same_value(value, shuffled)
    assert hash(canonical(value)) == hash(canonical(shuffled))
    assert not same_value({"L": [value, {"S": "end"}]}, {"L": [{"S": "end"}, value]}) or value == {"S": "end"}


@given(items(), attribute_values())
def test_a_further_attribute_makes_another_item(item: Item, value: AttributeValue) -> None:
    larger = {**item, "a name that is not drawn": value}
    assert not same_item(item, larger)
    assert not same_item(larger, item)
    assert same_item(item, copy.deepcopy(item))
