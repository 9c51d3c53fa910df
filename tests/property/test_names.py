"""Names for Avro: always valid, never the same for two names, and read back."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.names import avro_name, field_name, original_name
from tests.strategies import AWKWARD_NAMES, attribute_names

AVRO_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
ENVELOPE_FIELDS = {"item", "__op", "__deleted", "__ts_ms", "__version", "__ttl"}

close_names = st.text("_x5f1a-é", min_size=1, max_size=9)
"""Names out of which escapes are made."""


@given(attribute_names() | close_names)
def test_an_escaped_name_is_valid_and_is_read_back(name: str) -> None:
    for escaped in (avro_name(name), field_name(name)):
        assert AVRO_NAME.fullmatch(escaped)
        assert original_name(escaped) == name
    assert field_name(name) not in ENVELOPE_FIELDS


@given(st.from_regex(r"[A-Za-z][A-WYZa-wyz0-9_]*", fullmatch=True))
def test_an_ordinary_name_stays_as_it_is(name: str) -> None:
    assert avro_name(name) == name


@pytest.mark.parametrize("escape", [avro_name, field_name])
def test_awkward_names_do_not_meet(escape: object) -> None:
    assert callable(escape)
    assert len({escape(name) for name in AWKWARD_NAMES}) == len(AWKWARD_NAMES)


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("order_id", "order_id"),
        ("order-id", "order_x2d_id"),
        ("order_x2d_id", "order_x5f_x2d_id"),
        ("1st", "_x31_st"),
        ("item", "_x69_tem"),
        ("__op", "_x5f__op"),
        ("Ä", "_xc4_"),
    ],
)
def test_the_documented_escapes(name: str, field: str) -> None:
    assert field_name(name) == field
