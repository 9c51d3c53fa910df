import base64
from decimal import Context, Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.model import KeyAttribute
from connectors.replica.keys import (
    BrokenKeyError,
    canonical_key,
    canonical_number,
    same_value,
    tombstone_id,
)

EXACT = Context(prec=400, Emin=-1000, Emax=1000)

numbers = st.builds(
    lambda digits, exponent: Decimal(digits).scaleb(exponent, EXACT),
    st.integers(-(10**38) + 1, 10**38 - 1),
    st.integers(-130, 88),
)


@st.composite
def notations(draw: st.DrawFn, number: Decimal) -> str:
    """One of the many texts of a number."""
    plain = format(number, "f")
    ways = [plain, str(number), format(number, "e"), format(number, "E")]
    if "." not in plain:
        ways += [plain + ".", plain + ".000"]
    if not plain.startswith("-"):
        ways += ["+" + plain, "00" + plain]
    return draw(st.sampled_from(ways))


texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
values: dict[str, st.SearchStrategy[Any]] = {
    "S": texts,
    "B": st.binary(min_size=1, max_size=12),
    "N": numbers,
}
SCHEMA = (KeyAttribute("pk", "S"), KeyAttribute("sk", "B"))
keys = st.tuples(values["S"], values["B"])


def raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


def keys_of(key: tuple[str, bytes]) -> msgspec.Raw:
    return raw({"sk": {"B": base64.b64encode(key[1]).decode()}, "pk": {"S": key[0]}})


@given(number=numbers, data=st.data())
def test_all_notations_of_a_number_are_one(number: Decimal, data: st.DataObject) -> None:
    one, other = data.draw(notations(number)), data.draw(notations(number))
    assert canonical_number(one) == canonical_number(other)


@given(number=numbers)
def test_the_canonical_number_is_the_number(number: Decimal) -> None:
    assert Decimal(canonical_number(format(number, "f"))) == number


@given(one=numbers, other=numbers)
def test_different_numbers_stay_different(one: Decimal, other: Decimal) -> None:
    assert (canonical_number(str(one)) == canonical_number(str(other))) == (one == other)


@pytest.mark.parametrize(
    "text", ["", "+", ".", "e5", "1e", "NaN", "Infinity", "1_0", " 1", "\u0661", "0x1", "1" * 2000]
)
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(BrokenKeyError):
        canonical_number(text)


@given(one=keys, other=keys)
def test_keys_are_equal_exactly_when_their_values_are(
    one: tuple[str, bytes], other: tuple[str, bytes]
) -> None:
    first, second = canonical_key(keys_of(one), SCHEMA), canonical_key(keys_of(other), SCHEMA)
    assert (first == second) == (one == other)
    assert (tombstone_id("t", first) == tombstone_id("t", second)) == (one == other)


def test_attributes_do_not_run_into_each_other() -> None:
    assert canonical_key(keys_of(("a", b"Bx")), SCHEMA) != canonical_key(keys_of(("aB", b"x")), SCHEMA)


def test_tombstones_of_two_tables_are_two() -> None:
    assert tombstone_id("one", b"key") != tombstone_id("two", b"key")


@given(number=numbers, data=st.data())
def test_two_notations_of_a_key_are_the_same_value(number: Decimal, data: st.DataObject) -> None:
    one, other = ({"N": data.draw(notations(number))} for _ in range(2))
    assert same_value(raw(one), raw(other), KeyAttribute("pk", "N"))
    assert (
        not same_value(raw(one), raw({"N": format(number + 1, "f")}), KeyAttribute("pk", "N"))
        or number + 1 == number
    )


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"[]",
        b"{}",
        b"{",
        b'{"pk":{"S":"a"}}',
        b'{"pk":{"S":"a"},"sk":{"S":"AA=="}}',
        b'{"pk":{"S":"a"},"sk":{"B":"*"},"x":{"S":""}}',
        b'{"pk":{"S":"a"},"sk":{"B":"A"}}',
        b'{"pk":{"S":1},"sk":{"B":"AA=="}}',
        b'{"pk":{"S":"a","N":"1"},"sk":{"B":"AA=="}}',
        b'{"pk":{"S":"\xff"},"sk":{"B":"AA=="}}',
        b'{"pk":{"S":"\\ud800"},"sk":{"B":"AA=="}}',
    ],
)
def test_broken_keys_are_refused(broken: bytes) -> None:
    with pytest.raises(BrokenKeyError):
        canonical_key(msgspec.Raw(broken), SCHEMA)
