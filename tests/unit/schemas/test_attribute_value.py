import pytest

from cdc.model import KeyAttribute
from schemas.attribute_value import (
    AttributeValue,
    InvalidValueError,
    canonical_number,
    key_text,
    parse_item,
    same_value,
)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("1E+2", "100"),
        ("-0", "0"),
        ("0.0e126", "0"),
        ("1.10", "1.1"),
        ("+3", "3"),
        ("007", "7"),
        ("-.5", "-0.5"),
        ("5.", "5"),
        ("1e125", "1" + "0" * 125),
        ("9.9999999999999999999999999999999999999E+125", "9" * 38 + "0" * 88),
        ("1E-130", "0." + "0" * 129 + "1"),
        ("-1." + "1" * 37, "-1." + "1" * 37),
        ("-" + "9" * 38, "-" + "9" * 38),
        ("0." + "1" * 38, "0." + "1" * 38),
    ],
)
def test_a_number_has_one_plain_text(text: str, canonical: str) -> None:
    assert canonical_number(text) == canonical
    assert canonical_number(canonical) == canonical


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            ".",
            "-",
            "e5",
            "1e",
            "1 ",
            " 1",
            "1\n",
            "1_000",
            "0x1",
            "NaN",
            "Infinity",
            "\u0661",
            "1,5",
            "--1",
        ),
        *("1E126", "1E-131", "1E999999999", "1" + "0" * 126, "1e9999999999"),
    ],
)
def test_what_dynamodb_calls_no_number_is_refused(text: str) -> None:
    with pytest.raises(InvalidValueError):
        canonical_number(text)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"null",
        b"[]",
        b'"a"',
        b'{"a":"secret"}',
        b'{"a":{}}',
        b'{"a":{"Z":"secret"}}',
        b'{"a":{"S":"secret","N":"1"}}',
        b'{"a":{"N":1}}',
        b'{"a":{"S":null}}',
        b'{"a":{"S":true}}',
        b'{"a":{"BOOL":"true"}}',
        b'{"a":{"B":"%%%"}}',
        b'{"a":{"SS":["secret",1]}}',
        b'{"a":{"L":{}}}',
        b'{"a":{"L":[{}]}}',
        b'{"a":{"M":{"b":{"S":"secret","BOOL":true}}}}',
        b'{"a":{"M":{"b":{"L":[{"N":"1"},{"N":"1","S":"secret"}]}}}}',
        b'{"a":{"S":"\xff"}}',
        b'{"a":{"S":"\\ud800"}}',
        b'{"a":{"S":"secret"}',
        b'{"a":{"S":"secret"}} x',
        b'{"a":' + b'{"L":[' * 50_000 + b"]}" * 50_000 + b"}",
    ],
)
def test_what_is_no_item_is_refused_without_its_values(text: bytes) -> None:
    with pytest.raises(InvalidValueError) as caught:
        parse_item(text)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_types_with_the_same_content_are_different_values() -> None:
    values: list[AttributeValue] = [
        {"S": "1"},
        {"N": "1"},
        {"B": b"1"},
        {"BOOL": True},
        {"NULL": True},
        {"L": []},
        {"M": {}},
    ]
    for index, one in enumerate(values):
        for other in values[index + 1 :]:
            assert not same_value(one, other)


@pytest.mark.parametrize("value", [{}, {"Z": "1"}, {"S": "a", "N": "1"}])
def test_a_value_without_exactly_one_known_type_compares_with_nothing(value: dict[str, str]) -> None:
    with pytest.raises(InvalidValueError):
        same_value(value, value)  # type: ignore[arg-type]


def test_the_text_of_a_key_keeps_its_parts_apart() -> None:
    key = (KeyAttribute("pk", "S"), KeyAttribute("sk", "S"))
    one = key_text({"pk": {"S": 'a","b'}, "sk": {"S": "c"}}, key)
    other = key_text({"pk": {"S": "a"}, "sk": {"S": 'b","c'}}, key)
    assert one != other


def test_the_text_of_a_key_is_by_value_and_of_the_key_alone() -> None:
    key = (KeyAttribute("pk", "N"), KeyAttribute("sk", "B"))
    assert key_text({"x": {"S": "y"}, "sk": {"B": b"\x00\xff"}, "pk": {"N": "1E+2"}}, key) == '["100","AP8="]'


def test_a_key_of_another_type_has_no_text() -> None:
    for item in ({}, {"pk": {"S": "1"}}):
        with pytest.raises(InvalidValueError):
            key_text(item, (KeyAttribute("pk", "N"),))  # type: ignore[arg-type]
