"""Dead letters in a folder: one file of JSON lines per pipeline and sink, appended and synced.

    {folder}/{pipeline}.{sink}.jsonl

`schemas/dead-letter.schema.json` describes a line. The record is in it as text, byte for byte as the service sent it.
A letter that was replayed has a second line, which says when, and no record.
"""

import base64
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
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
    replayed_at: float | None = None
    """Instead of both: the letter of this stream, shard and sequence number was replayed."""


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
        self._write(letters, _encode)

    def mark_replayed(self, letters: Sequence[DeadLetter], at: float) -> None:
        self._write(letters, lambda letter: _encode_mark(letter, at))

    def _write(self, letters: Sequence[DeadLetter], encode: Callable[[DeadLetter], bytes]) -> None:
        lines: dict[str, list[bytes]] = {}
        for letter in letters:
            if letter.pipeline != self._pipeline:
                raise ValueError(f"a dead letter of {letter.pipeline} among those of {self._pipeline}")
            lines.setdefault(letter.sink, []).append(encode(letter))
        with self._mapped_errors():
            for sink, of_sink in lines.items():
                _append(self._folder / f"{self._pipeline}.{sink}{_SUFFIX}", b"".join(of_sink))

    def read(self) -> Iterator[DeadLetter]:
        """By sink, in the order of their writing; each once, as it was written first, or first after it was replayed."""
        with self._mapped_errors():
            for path in self._paths():
                chosen = self._choose(path)
                for number, line in enumerate(_complete_lines(path), start=1):
                    if number in chosen:
                        yield replace(_letter(self._decode(line, path, number)), replayed_at=chosen[number])

    def _choose(self, path: Path) -> Mapping[int, float | None]:
        """The numbers of the lines that are letters, and when those were replayed: that stands farther on."""
        found: dict[tuple[str, str, str], int] = {}
        chosen: dict[int, float | None] = {}
        for number, line in enumerate(_complete_lines(path), start=1):
            read = self._decode(line, path, number)
            key = (read.stream, read.shard, read.sequence)
            known = found.get(key)
            if read.replayed_at is not None:
                if known is not None:
                    chosen[known] = read.replayed_at
            elif known is None or chosen[known] is not None:
                chosen.pop(known or 0, None)
                found[key] = number
                chosen[number] = None
        return chosen

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
                    read = self._decode(line, path, number)
                    name = hash((read.stream, read.shard, read.sequence))
                    if read.replayed_at is None:
                        counted.open.add(name)
                    else:
                        counted.open.discard(name)
                    counted.offset += len(line)
                counts[sink] = len(counted.open)
        return counts

    def close(self) -> None:
        """Nothing is held open between two writes."""

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob(f"{self._pipeline}.*{_SUFFIX}"))

    def _decode(self, line: bytes, path: Path, number: int) -> _Line:
        try:
            found_format = msgspec.json.decode(line, type=_Format).format
            if found_format > FORMAT:
                raise DeadLetterError(
                    ErrorKind.STATE_FORMAT,
                    f"line {number} of {path} has format {found_format}; this version reads up to {FORMAT}",
                    remedy="read it with the newer version",
                )
            return msgspec.json.decode(line, type=_Line)
        except msgspec.DecodeError as error:
            raise DeadLetterError(
                ErrorKind.MALFORMED,
                f"line {number} of {path} is no dead letter",
                remedy="restore the file from a copy, or move it away",
            ) from error

    @contextmanager
    def _mapped_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            denied = isinstance(error, PermissionError)
            raise DeadLetterError(
                ErrorKind.ACCESS_DENIED if denied else ErrorKind.UNAVAILABLE,
                f"the dead letters in {self._folder}: {error.strerror}",
                remedy="look at this folder: a full disk, its permissions, what is there in its place",
            ) from error


class _Counted:
    def __init__(self) -> None:
        self.offset = 0
        self.open: set[int] = set()


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


def _encode_mark(letter: DeadLetter, at: float) -> bytes:
    """All that names the letter, and what a reader that knows of no marks expects of a letter: to it, this is one more
    line of the same letter."""
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
        replayed_at=at,
    )
    return msgspec.json.encode(line) + b"\n"


def _letter(line: _Line) -> DeadLetter:
    return DeadLetter(
        pipeline=line.pipeline,
        sink=line.sink,
        table=line.table,
        shard=ShardKey(line.stream, line.shard),
        sequence=line.sequence,
        created_ms=line.stream_created_ms,
        kind=line.kind,
        reason=line.reason,
        at=line.at,
        record=base64.b64decode(line.record_base64 or "") if line.record is None else line.record.encode(),
    )


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
