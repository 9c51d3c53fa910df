import io
import json
import os
from typing import Any, cast, get_args

import fastavro
import pytest
from fastavro.schema import parse_schema
from hypothesis import given
from hypothesis import strategies as st

from connectors.lake.container import SYNC_BYTES, Codec, block, header

SCHEMA: dict[str, Any] = {
    "type": "record",
    "name": "Row",
    "fields": [
        {"name": "key", "type": "string"},
        {"name": "number", "type": "long"},
        {"name": "image", "type": ["null", "bytes"]},
        {"name": "more", "type": {"type": "map", "values": "double"}},
    ],
}
PARSED = parse_schema(SCHEMA)

rows = st.fixed_dictionaries(
    {
        "key": st.text(max_size=20),
        "number": st.integers(-(2**63), 2**63 - 1),
        "image": st.none() | st.binary(max_size=300),
        "more": st.dictionaries(st.text(max_size=3), st.floats(allow_nan=False), max_size=3),
    }
)


def encoded(row: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, PARSED, row)
    return out.getvalue()


@given(
    blocks=st.lists(st.lists(rows, min_size=1, max_size=5), max_size=5),
    codec=st.sampled_from(get_args(Codec)),
    note=st.text(max_size=200),
)
def test_a_reader_gets_back_what_was_written(
    blocks: list[list[dict[str, Any]]], codec: Codec, note: str
) -> None:
    sync = os.urandom(SYNC_BYTES)
    schema = json.dumps({**SCHEMA, "doc": note}, ensure_ascii=False)
    file = header(schema, codec, sync) + b"".join(
        block(b"".join(map(encoded, of_block)), len(of_block), codec, sync) for of_block in blocks
    )
    reader = fastavro.block_reader(io.BytesIO(file))
    assert [list(cast("Any", found)) for found in reader] == blocks
    assert reader.metadata["avro.schema"] == schema
    assert reader.codec == codec


def test_a_file_of_replayed_rows_says_so_in_its_metadata() -> None:
    sync = os.urandom(SYNC_BYTES)
    for replayed, mark in ((True, "true"), (False, None)):
        reader = fastavro.block_reader(io.BytesIO(header('"boolean"', "null", sync, replayed=replayed)))
        assert reader.metadata.get("cdc.replayed") == mark


@pytest.mark.parametrize("codec", get_args(Codec))
@pytest.mark.parametrize("count", [63, 64, 8191, 8192, 100_000])
def test_counts_and_sizes_of_every_length(codec: Codec, count: int) -> None:
    """A long takes another byte at 64, 8192, ... (zigzag)."""
    sync = b"\xff" * SYNC_BYTES
    file = header('"boolean"', codec, sync) + block(b"\x01" * count, count, codec, sync)
    assert list(fastavro.reader(io.BytesIO(file))) == [True] * count


def test_a_deflated_block_is_smaller() -> None:
    data = b"\x02a" * 5000
    assert len(block(data, 5000, "deflate", b"s" * SYNC_BYTES)) < len(data) / 10
