"""The witness: a small file outside of the state, which says what state a pipeline has had.

    {dead_letters.path}/{pipeline}.ran.json

It is rewritten as a whole, durably, when a pipeline begins, about once a minute while it runs, and at its end. What it is
compared with, and what follows, is in `cdc.core.remembrance`.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import msgspec

from cdc.core.remembrance import Known, Remembered
from cdc.errors import ConfigError, ErrorKind, StateError

FORMAT = 1
NOTHING = Remembered((), 0, 0.0, {}, {})


class _Format(msgspec.Struct, frozen=True):
    format: int


class AtSink(msgspec.Struct, frozen=True, kw_only=True):
    """One table at one sink."""

    table: str
    sink: str
    stream: Annotated[
        str, msgspec.Meta(description="The ARN of the stream that it was read from; empty: unknown")
    ]
    delivered_until: Annotated[
        float | None,
        msgspec.Meta(
            description="Every change from before is durable there (epoch seconds); null: unknown, or a gap waits"
        ),
    ]


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """Which state a pipeline has had, and when: to tell one that was deleted or restored from a first start."""

    format: Annotated[int, msgspec.Meta(ge=1, description="The version of this shape")]
    pipeline: str
    states: Annotated[
        list[str],
        msgspec.Meta(
            description="The identities that its state may have; two while one takes the other's place"
        ),
    ]
    epoch: Annotated[int, msgspec.Meta(ge=0, description="The last lease's: the next one's is higher")]
    ran_at: Annotated[
        float,
        msgspec.Meta(
            description="When the pipeline last ran (epoch seconds), to the minute; at its end exactly"
        ),
    ]
    pairs: Annotated[list[AtSink], msgspec.Meta(description="The tables at sinks that have had positions")]
    epochs: Annotated[
        dict[str, Annotated[int, msgspec.Meta(ge=0)]],
        msgspec.Meta(description="The number of resets of each sink"),
    ]


def schema() -> dict[str, Any]:
    """The JSON Schema of the file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The witness of a pipeline's state",
        **msgspec.json.schema(Document),
    }


class WitnessFile:
    """The witness of one pipeline.

    Args:
        folder: made if it is absent; others' witnesses may be in it.
        pipeline: whose it is.
    """

    def __init__(self, folder: Path, pipeline: str) -> None:
        self.path = folder / f"{pipeline}.ran.json"
        self._pipeline = pipeline

    def read(self) -> Remembered | None:
        """None: there is no witness. One that cannot be understood says that there was one, and nothing else.

        Raises:
            ConfigError: a newer version wrote it, or it is another pipeline's.
            StateError: it cannot be read.
        """
        with self._mapped_errors():
            try:
                content = self.path.read_bytes()
            except FileNotFoundError:
                return None
        try:
            found_format = msgspec.json.decode(content, type=_Format).format
            if found_format > FORMAT:
                raise ConfigError(
                    f"{self.path}: format {found_format}, written by a newer version; this one reads up to {FORMAT}",
                    remedy="run the newer version",
                )
            found = msgspec.json.decode(content, type=Document)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return replace(NOTHING, damaged=True)
        if found.pipeline != self._pipeline:
            raise ConfigError(
                f"{self.path}: of the pipeline {found.pipeline}",
                remedy="put back the file under its own name",
            )
        return Remembered(
            tuple(found.states),
            found.epoch,
            found.ran_at,
            {(pair.table, pair.sink): Known(pair.stream, pair.delivered_until) for pair in found.pairs},
            found.epochs,
        )

    def write(self, remembered: Remembered) -> None:
        """Durable when it returns; a reader sees what was there before or this, whole.

        Raises:
            StateError: it could not be written; what was there before still is.
        """
        document = Document(
            format=FORMAT,
            pipeline=self._pipeline,
            states=list(remembered.states),
            epoch=remembered.epoch,
            ran_at=remembered.ran_at,
            pairs=[
                AtSink(table=table, sink=sink, stream=known.stream, delivered_until=known.delivered_until)
                for (table, sink), known in sorted(remembered.pairs.items())
            ],
            epochs=dict(remembered.epochs),
        )
        content = msgspec.json.format(msgspec.json.encode(document)) + b"\n"
        with self._mapped_errors():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self.path, content)

    @contextmanager
    def _mapped_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            denied = isinstance(error, PermissionError)
            raise StateError(
                ErrorKind.ACCESS_DENIED if denied else ErrorKind.UNAVAILABLE,
                f"the witness {self.path}: {error.strerror}",
                remedy="let this user read and write in the folder of the dead letters, and give it room",
            ) from error


def write_whole(path: Path, content: bytes) -> None:
    """Durable when it returns; whoever reads sees what was there before, or all of this."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)  # the name in it
    finally:
        os.close(folder)
