"""Dead letters for a terminal and for programs. Only `show` has the record: nothing else holds values of items."""

import base64
import json
from collections.abc import Iterable
from typing import Any

from rich.markup import escape
from rich.table import Table

from cdc.model import version
from cdc.observe.text import plain_console, time_text
from cdc.ports import DeadLetter


def print_letters(letters: Iterable[DeadLetter]) -> None:
    """A line each."""
    table = Table("id", "sink", "table", "time", "kind", "", "reason", box=None, pad_edge=False)
    for letter in letters:
        table.add_row(
            letter.id,
            letter.sink,
            escape(letter.table),
            time_text(letter.at),
            letter.kind,
            "open" if letter.replayed_at is None else f"replayed {time_text(letter.replayed_at)}",
            escape(letter.reason),
        )
    if table.row_count:
        plain_console().print(table)


def letter_as_json(letter: DeadLetter, *, record: bool) -> dict[str, Any]:
    """The keys of a line of the dead letters (`schemas/dead-letter.schema.json`), and some that follow from them."""
    found: dict[str, Any] = {
        "id": letter.id,
        "pipeline": letter.pipeline,
        "sink": letter.sink,
        "table": letter.table,
        "stream": letter.shard.stream,
        "shard": letter.shard.shard,
        "sequence": letter.sequence,
        "stream_created_ms": letter.created_ms,
        "version": version(letter.created_ms, letter.sequence),
        "kind": letter.kind,
        "reason": letter.reason,
        "at": letter.at,
        "replayed_at": letter.replayed_at,
    }
    if record:
        try:
            found["record"] = letter.record.decode()
        except UnicodeDecodeError:
            found["record_base64"] = base64.b64encode(letter.record).decode()
    return found


def letter_text(letter: DeadLetter) -> str:
    """All of it, the record laid out."""
    about = letter_as_json(letter, record=False) | {"at": time_text(letter.at)}
    if letter.replayed_at is not None:
        about["replayed_at"] = time_text(letter.replayed_at)
    lines = [f"{name + ':':<19}{value}" for name, value in about.items() if value is not None]
    try:
        record = json.dumps(json.loads(letter.record), indent=2)
    except ValueError:
        record = letter.record.decode(errors="backslashreplace")
    return "\n".join((*lines, "record:", record))
