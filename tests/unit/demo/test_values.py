from decimal import Decimal

import pytest

from cdc.demo.values import item, item_of_text, value


def test_numbers_by_value() -> None:
    assert value({"N": "1.50"}) == value({"N": "15e-1"})
    assert value({"N": "12345678901234567890.123456789012345678"}) != value(
        {"N": "12345678901234567890.123456789012345679"}
    )
    assert value({"N": "1"}) != value({"S": "1"})
    assert value({"N": "1"}) != value({"BOOL": True})


def test_sets_as_sets() -> None:
    assert value({"NS": ["1", "2.0"]}) == value({"NS": ["2", "1.0"]})
    assert value({"SS": ["a", ""]}) == value({"SS": ["", "a"]})
    assert value({"L": [{"S": "a"}, {"S": "b"}]}) != value({"L": [{"S": "b"}, {"S": "a"}]})


@pytest.mark.parametrize(
    "broken", [{"NS": ["1", "1.0"]}, {"SS": []}, {"X": "1"}, {}, {"N": "one"}, {"B": "%"}]
)
def test_what_is_no_value(broken: dict[str, object]) -> None:
    with pytest.raises((ValueError, ArithmeticError, KeyError)):
        value(broken)


def test_text_and_the_client_say_the_same() -> None:
    text = '{"b": {"B": "AAE="}, "m": {"M": {"l": {"L": [{"NULL": true}, {"BS": ["/w=="]}]}}}, "n": {"N": "-0.10"}}'
    of_client = {
        "b": {"B": b"\x00\x01"},
        "m": {"M": {"l": {"L": [{"NULL": True}, {"BS": [b"\xff"]}]}}},
        "n": {"N": "-0.1"},
    }
    assert item_of_text(text) == item(of_client)
    assert item(of_client)["n"] == ("N", Decimal("-0.1"))
    assert item_of_text(None) is None
