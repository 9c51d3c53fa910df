"""Avro's binary encoding and the framing on Kafka."""

import io

import fastavro
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas import avro
from schemas.framing import frame, header, unframe


@given(st.integers(-(1 << 63), (1 << 63) - 1))
@example(8191)
@example(8192)
@example(-1)
@example((1 << 63) - 1)
@example(-(1 << 63))
def test_a_long_is_written_as_an_ordinary_library_writes_it(number: int) -> None:
    written = io.BytesIO()
    fastavro.schemaless_writer(written, {"type": "long"}, number)
    assert avro.long(number) == written.getvalue()


@pytest.mark.parametrize("number", [1 << 63, -(1 << 63) - 1])
def test_a_number_of_more_than_64_bits_is_no_long(number: int) -> None:
    with pytest.raises(OverflowError):
        avro.long(number)


@given(st.text(st.characters(codec="utf-8")), st.binary())
def test_text_and_bytes_are_written_as_an_ordinary_library_writes_them(text: str, data: bytes) -> None:
    written = io.BytesIO()
    fastavro.schemaless_writer(written, {"type": "string"}, text)
    fastavro.schemaless_writer(written, {"type": "bytes"}, data)
    assert avro.string(text) + avro.binary(data) == written.getvalue()


@given(st.integers(0, (1 << 31) - 1), st.binary())
def test_a_frame_is_taken_off_again(schema_id: int, data: bytes) -> None:
    assert unframe(frame(schema_id, data)) == (schema_id, data)


def test_a_frame_is_a_zero_and_the_id_with_the_highest_byte_first() -> None:
    assert frame(0x01020304, b"x") == b"\x00\x01\x02\x03\x04x"


@pytest.mark.parametrize("schema_id", [-1, 1 << 31])
def test_an_id_without_four_bytes_is_refused(schema_id: int) -> None:
    with pytest.raises(ValueError, match="schema id"):
        header(schema_id)


@pytest.mark.parametrize(
    "message", [b"", b"\x00\x00\x00\x00", b"\x01\x00\x00\x00\x01x", b"\x00\xff\xff\xff\xffx"]
)
def test_what_is_not_framed_is_refused(message: bytes) -> None:
    with pytest.raises(ValueError, match="not a framed Avro value"):
        unframe(message)
