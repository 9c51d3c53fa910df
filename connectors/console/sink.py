"""The `console` sink: a batch is durable when standard output has taken it."""

import os
import sys
from collections.abc import Collection, Mapping
from concurrent.futures import Future
from typing import Literal, TextIO

import msgspec
from rich.console import Console
from rich.text import Text

from cdc.errors import ErrorKind, SinkError
from cdc.model import Batch, Change, Durability, EncodedBatch, Position, ShardKey
from cdc.ports import Receipt
from cdc.receipts import Receipts
from connectors.console.text import one_line, visible
from schemas.change_line import change_line, encode_lines, rejects

Format = Literal["auto", "text", "json"]


class ConsoleSink:
    """Args:
    output: standard output, whatever it is at `open`, unless given.
    """

    def __init__(self, name: str, format: Format = "auto", output: TextIO | None = None) -> None:  # noqa: A002 - the option's name
        self.name = name
        self._format = format
        self._given = output
        self._receipts = Receipts()

    def open(self) -> None:
        """Standard output is there, or the first write will tell."""

    def claim(self, shards: Collection[ShardKey]) -> Mapping[ShardKey, Position] | None:
        for shard in shards:
            self._receipts.forget(shard)
        return None

    def write(self, batch: EncodedBatch) -> Receipt:
        entry = self._receipts.take(batch)
        if isinstance(entry, Receipt):
            return entry
        try:
            self._show(batch.batch)
        except SinkError as error:
            self._receipts.fail(entry, error)
        else:
            self._receipts.durable(entry, Durability(rejects(batch.batch)))
        return entry.receipt

    def flush(self, *, deadline: float) -> "Future[None]":
        flushed: Future[None] = Future()
        flushed.set_result(None)
        return flushed

    def release(self, shards: Collection[ShardKey]) -> None:
        """Nothing was claimed."""

    def close(self, *, deadline: float) -> None:
        """Standard output is the process's, not this sink's."""

    def _show(self, batch: Batch) -> None:
        if not batch.changes:
            return
        output = self._given if self._given is not None else sys.stdout
        try:
            if self._format == "text" or (self._format == "auto" and output.isatty()):
                _print(batch, output)
            else:
                output.write(encode_lines(batch).decode())
            output.flush()
        except BrokenPipeError as error:
            raise SinkError(
                ErrorKind.UNAVAILABLE,
                "standard output was closed by whoever read it",
                remedy="start again with a reader, or remove this sink; what it has not shown is delivered again",
            ) from error
        except OSError as error:
            raise SinkError(
                ErrorKind.UNAVAILABLE, f"standard output: {os.strerror(error.errno or 0)}"
            ) from error


def _print(batch: Batch, output: TextIO) -> None:
    console = Console(file=output, highlight=False, markup=False, emoji=False)
    for change in batch.changes:
        if change.dynamodb.keys:
            console.print(_line(batch, change), soft_wrap=True)


def _line(batch: Batch, change: Change) -> Text:
    try:
        return one_line(batch, change)
    except (msgspec.MsgspecError, UnicodeDecodeError, TypeError, ValueError, AttributeError, ArithmeticError):
        # What DynamoDB would not send: shown as it is. It must not end a pipeline, again and again.
        return Text(visible(bytes(msgspec.json.encode(change_line(batch, change))).decode(errors="replace")))
