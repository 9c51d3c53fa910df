"""Damages a lake on purpose: a check that has never failed proves nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fastavro

from cdc.demo.orders import FOLLOWED, FOLLOWED_TOTAL
from cdc.demo.readback import lake_files


@contextmanager
def one_wrong_digit(lake: Path) -> Iterator[Path]:
    """The last digit of the followed order's total is another one, in a file that is whole. Mended at the end."""
    path, rows, schema = _file_of_followed(lake)
    right = path.read_bytes()
    wrong_total = FOLLOWED_TOTAL[:-1] + str(9 - int(FOLLOWED_TOTAL[-1]))
    for row in rows:
        if _is_followed(row):
            row["item"] = row["item"].replace(FOLLOWED_TOTAL, wrong_total)
            break
    try:
        with path.open("wb") as file:
            fastavro.writer(file, schema, rows)
        yield path
    finally:
        path.write_bytes(right)


def _file_of_followed(lake: Path) -> tuple[Path, list[dict[str, Any]], fastavro.types.Schema]:
    for path in lake_files(lake):
        with path.open("rb") as file:
            reader = fastavro.reader(file)
            schema = reader.writer_schema
            rows = [row for row in reader if isinstance(row, dict)]
        if any(map(_is_followed, rows)):
            return path, rows, schema
    raise LookupError("the followed order is in no file")


def _is_followed(row: dict[str, Any]) -> bool:
    return (row["customer"], row["order"]) == (FOLLOWED.customer, str(FOLLOWED.order)) and bool(row["item"])
