"""Dead letters in a folder: one file of JSON lines per pipeline and sink, appended and synced.

    {folder}/{pipeline}.{sink}.jsonl

`schemas/dead-letter.schema.json` describes a line. The record is in it as text, byte for byte as the service sent it.
"""

import base64
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from cdc.errors import DeadLetterError, ErrorKind
from cdc.model import ShardKey
from cdc.ports import DeadLetter

FORMAT = 1
"""The version of a line's shape."""

_SUFFIX = ".jsonl"
_CHUNK_BYTES = 1 << 16


class _Line(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A dead letter as it is written. New keys may come in the same format; none goes."""

    format: int
    pipeline: str
    sink: str
    table: str
    stream: str
    shard: str
    sequence: str
    stream_created_ms: int
    kind: str
    reason: str
    at: float
    record: str | None = None
    record_base64: str | None = None
    """Instead of `record`, where that is no UTF-8."""


class _Format(msgspec.Struct, frozen=True, gc=False):
    format: int


class FileDeadLetters:
    """The `DeadLetters` of one pipeline.

    A letter counts as written once its line has its end and is synced; what a crash left of a line is removed by the
    next writer, and passed over by readers until then.

    Args:
        folder: made if it is absent.
        pipeline: whose letters these are; others may be in the same folder.
        read_only: for `read` and `count` beside a running process; makes and repairs nothing.
    """

    def __init__(self, folder: Path, pipeline: str, *, read_only: bool = False) -> None:
        self._folder = folder
        self._pipeline = pipeline
        self._read_only = read_only
        self._counted: dict[Path, _Counted] = {}

    def open(self) -> None:
        if self._read_only:
            return
        with self._mapped_errors():
            self._folder.mkdir(parents=True, exist_ok=True)
            for path in self._paths():
                _repair(path)
            _sync_folder(self._folder.parent)
            _sync_folder(self._folder)

    def write(self, letters: Sequence[DeadLetter]) -> None:
        lines: dict[str, list[bytes]] = {}
        for letter in letters:
            if letter.pipeline != self._pipeline:
                raise ValueError(f"a dead letter of {letter.pipeline} among those of {self._pipeline}")
            lines.setdefault(letter.sink, []).append(_encode(letter))
        with self._mapped_errors():
            for sink, of_sink in lines.items():
                _append(self._folder / f"{self._pipeline}.{sink}{_SUFFIX}", b"".join(of_sink))

    def read(self) -> Iterator[DeadLetter]:
        """By sink, in the order of their writing; each once, as it was written first."""
        with self._mapped_errors():
            for path in self._paths():
                seen: set[tuple[ShardKey, str]] = set()
                for number, line in enumerate(_complete_lines(path), start=1):
                    letter = self._decode(line, path, number)
                    if (letter.shard, letter.sequence) not in seen:
                        seen.add((letter.shard, letter.sequence))
                        yield letter

    def count(self) -> Mapping[str, int]:
        """Reads what has been added since the last call; remembers a number per letter, to count doubles once."""
        counts: dict[str, int] = {}
        with self._mapped_errors():
            for path in self._paths():
                sink = path.name.removesuffix(_SUFFIX).partition(".")[2]
                counted = self._counted.setdefault(path, _Counted())
                if path.stat().st_size < counted.offset:  # somebody put another file there
                    counted = self._counted[path] = _Counted()
                for number, line in enumerate(_complete_lines(path, counted.offset), start=1):
                    letter = self._decode(line, path, number)
                    counted.letters.add(hash((letter.shard, letter.sequence)))
                    counted.offset += len(line)
                counts[sink] = len(counted.letters)
        return counts

    def close(self) -> None:
        """Nothing is held open between two writes."""

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob(f"{self._pipeline}.*{_SUFFIX}"))

    def _decode(self, line: bytes, path: Path, number: int) -> DeadLetter:
        try:
            found_format = msgspec.json.decode(line, type=_Format).format
            if found_format > FORMAT:
                raise DeadLetterError(
                    ErrorKind.STATE_FORMAT,
                    f"line {number} of {path} has format {found_format}; this version reads up to {FORMAT}",
                    remedy="read it with the newer version",
                )
            found = msgspec.json.decode(line, type=_Line)
        except msgspec.DecodeError as error:
            raise DeadLetterError(
                ErrorKind.MALFORMED,
                f"line {number} of {path} is no dead letter",
                remedy="restore the file from a copy, or move it away",
            ) from error
        return DeadLetter(
            pipeline=found.pipeline,
            sink=found.sink,
            table=found.table,
            shard=ShardKey(found.stream, found.shard),
            sequence=found.sequence,
            created_ms=found.stream_created_ms,
            kind=found.kind,
            reason=found.reason,
            at=found.at,
            record=base64.b64decode(found.record_base64 or "")
            if found.record is None
            else found.record.encode(),
        )

    @contextmanager
    def _mapped_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            denied = isinstance(error, PermissionError)
            raise DeadLetterError(
                ErrorKind.ACCESS_DENIED if denied else ErrorKind.UNAVAILABLE,
                f"the dead letters in {self._folder}: {error.strerror}",
            ) from error


class _Counted:
    def __init__(self) -> None:
        self.offset = 0
        self.letters: set[int] = set()


def _encode(letter: DeadLetter) -> bytes:
    record: str | None
    encoded: str | None
    try:
        record, encoded = letter.record.decode(), None
    except UnicodeDecodeError:
        record, encoded = None, base64.b64encode(letter.record).decode()
    line = _Line(
        format=FORMAT,
        pipeline=letter.pipeline,
        sink=letter.sink,
        table=letter.table,
        stream=letter.shard.stream,
        shard=letter.shard.shard,
        sequence=letter.sequence,
        stream_created_ms=letter.created_ms,
        kind=letter.kind,
        reason=letter.reason,
        at=letter.at,
        record=record,
        record_base64=encoded,
    )
    return msgspec.json.encode(line) + b"\n"


def _append(path: Path, lines: bytes) -> None:
    """All of it durable, or the file as it was."""
    is_new = not path.exists()
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        before = _end_of_lines(file)
        os.ftruncate(file, before)  # what an earlier write left when it failed and could not take it back
        try:
            rest = memoryview(lines)
            while rest:
                rest = rest[os.write(file, rest) :]
            os.fsync(file)
        except OSError:
            os.ftruncate(file, before)
            raise
    finally:
        os.close(file)
    if is_new:
        _sync_folder(path.parent)


def _repair(path: Path) -> None:
    """Removes the beginning of a line that a crash has left: it was never written, as far as anybody was told."""
    file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        end = _end_of_lines(file)
        if end != os.fstat(file).st_size:
            os.ftruncate(file, end)
        os.fsync(file)
    finally:
        os.close(file)


def _end_of_lines(file: int) -> int:
    """The offset behind the last line's end."""
    at = os.fstat(file).st_size
    while at > 0:
        start = max(0, at - _CHUNK_BYTES)
        newline = os.pread(file, at - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        at = start
    return 0


def _complete_lines(path: Path, offset: int = 0) -> Iterator[bytes]:
    """The lines that have their end, with it; a writer may be in the middle of the last."""
    with path.open("rb") as file:
        file.seek(offset)
        for line in file:
            if line.endswith(b"\n"):
                yield line


def _sync_folder(path: Path) -> None:
    """Makes the names in it durable (fsync(2))."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
