"""The witness: a small file outside of the state, which says what state a pipeline has had.

    {dead_letters.path}/{pipeline}.ran.json

It is rewritten as a whole, durably, when a pipeline begins, about once a minute while it runs, and at its end. What it is
compared with, and what follows, is in `cdc.core.remembrance`.
"""

import os
import uuid
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import msgspec
import structlog

from cdc.core.remembrance import IDENTITY, RAN_AT, Remembered
from cdc.core.status import Status
from cdc.errors import ConfigError, ErrorKind, StateError
from cdc.observe.figures import figures
from cdc.ports import Clock, Lease, Owner, Saved, StateChange, StateStore

FORMAT = 1
REFRESH_SECONDS = 60.0
_NATURAL = msgspec.Meta(ge=0)
_NOTHING = Remembered((), 0, 0.0, None, (), {})
_log = structlog.stdlib.get_logger(__name__)


class _Format(msgspec.Struct, frozen=True):
    format: int


class _Document(msgspec.Struct, frozen=True, kw_only=True):
    """The file. As `Remembered`; new keys may come in the same format."""

    format: int
    pipeline: str
    states: list[str]
    epoch: Annotated[int, _NATURAL]
    ran_at: float
    delivered_until: float | None
    sinks: list[str]
    epochs: dict[str, Annotated[int, _NATURAL]]


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
            found = msgspec.json.decode(content, type=_Document)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return replace(_NOTHING, damaged=True)
        if found.pipeline != self._pipeline:
            raise ConfigError(
                f"{self.path}: of the pipeline {found.pipeline}",
                remedy="put back the file under its own name",
            )
        return Remembered(
            tuple(found.states),
            found.epoch,
            found.ran_at,
            found.delivered_until,
            tuple(found.sinks),
            found.epochs,
        )

    def write(self, remembered: Remembered) -> None:
        """Durable when it returns; a reader sees what was there before or this, whole.

        Raises:
            StateError: it could not be written; what was there before still is.
        """
        document = _Document(
            format=FORMAT,
            pipeline=self._pipeline,
            states=list(remembered.states),
            epoch=remembered.epoch,
            ran_at=remembered.ran_at,
            delivered_until=remembered.delivered_until,
            sinks=sorted(remembered.sinks),
            epochs=dict(remembered.epochs),
        )
        content = msgspec.json.format(msgspec.json.encode(document)) + b"\n"
        beside = self.path.with_name(f"{self.path.name}.{os.getpid()}.tmp")
        with self._mapped_errors():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                _write_synced(beside, content)
                beside.replace(self.path)
            except BaseException:
                beside.unlink(missing_ok=True)
                raise
            _sync_folder(self.path.parent)

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


def _write_synced(path: Path, content: bytes) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(file, rest) :]
        os.fsync(file)
    finally:
        os.close(file)


def _sync_folder(path: Path) -> None:
    """Makes the names in it durable (fsync(2))."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class WitnessedStore:
    """A `StateStore` that keeps a witness of itself.

    `acquire` takes an epoch above the witness's. `adopt` makes the state the pipeline's; after it, saves and renewals
    refresh the witness and the state's own time by the way.

    Args:
        store: the state store itself.
        file: the witness.
        clock: the present.
        runs: the (table, sink) that this process works for; empty: it does not run the pipeline, and decides about its
            positions alone.
    """

    def __init__(
        self, store: StateStore, file: WitnessFile, clock: Clock, *, runs: Collection[tuple[str, str]] = ()
    ) -> None:
        self._store = store
        self._file = file
        self._clock = clock
        self._runs = frozenset(runs)
        self._present: Remembered | None = None
        self._awaited: frozenset[str] = frozenset()
        """Sinks that are still to begin; until then what the witness says of the time before has to stay."""
        self._due = 0.0
        self._delivered_until: float | None = None

    def open(self) -> None:
        self._store.open()

    def close(self) -> None:
        self._store.close()

    def owner(self) -> Owner | None:
        return self._store.owner()

    def load(self) -> Saved:
        return self._store.load()

    def acquire(self, owner: Owner, *, lease_seconds: float, now: float, above: int = 0) -> Lease:
        known = self._file.read() or _NOTHING
        return self._store.acquire(owner, lease_seconds=lease_seconds, now=now, above=max(above, known.epoch))

    def adopt(
        self, lease: Lease, saved: Saved, *, lost: Collection[str] = (), replaces: bool = False
    ) -> Saved:
        """Makes this the pipeline's state, and tells the witness. Returns what is saved then.

        The state keeps its identity, or gets one. Reset epochs are raised to those that were known before: sinks may hold
        positions of them, which must not count for later ones.

        Args:
            lease: of this process.
            saved: what the store holds, or what is to take its place.
            lost: sinks that the witness knows and the state does not.
            replaces: it is to take its place, as one transaction.
        """
        before = self._file.read()
        known = before or _NOTHING
        own = (saved.settings or {}).get(IDENTITY) or uuid.uuid4().hex
        begun = {start.sink for start in saved.starts}
        self._awaited = frozenset(lost) if begun or lost else frozenset(sink for _, sink in self._runs)
        self._delivered_until = known.delivered_until
        present = self._store.load() if replaces else saved
        self._present = Remembered(
            (own,),
            lease.epoch,
            self._ran_at(known.ran_at, counts=self._counts),
            known.delivered_until,
            tuple({*known.sinks, *begun}),
            _highest(saved.epochs or {}, present.epochs or {}, known.epochs),
        )
        if before is not None and own not in before.states:
            # A crash between the two leaves either state, and both are the pipeline's.
            self._file.write(replace(self._present, states=(*before.states, own), ran_at=known.ran_at))
        settings = {IDENTITY: own}
        if self._counts or not begun:
            settings[RAN_AT] = repr(self._present.ran_at)
        change = with_epochs(saved, self._present.epochs)
        if replaces:
            change = _all_of(saved, change)
        self._store.save(lease, replace(change, settings={**(change.settings or {}), **settings}))
        if begun or before is not None:
            self._file.write(self._present)
        self._due = self._clock.now().monotonic + REFRESH_SECONDS
        return self._store.load()

    def saw(self, status: Status) -> None:
        """The newest status of the engine: how far every sink is."""
        if any(not gap.decision for gap in status.gaps) or any(lane.gap for lane in status.lanes):
            self._delivered_until = None
            return
        found = figures(status.lanes)
        through = [found[pair].complete_through if pair in found else None for pair in self._runs]
        known = [time for time in through if time is not None]
        if known and len(known) == len(through):
            self._delivered_until = max(min(known), self._delivered_until or 0.0)

    def save(self, lease: Lease, change: StateChange) -> None:
        if self._present is None:
            self._store.save(lease, change)
            return
        awaited = self._awaited - {start.sink for start in change.starts}
        counts = bool(self._runs) and not awaited
        begins = bool(change.starts or change.epochs)
        if not begins and not (counts and self._clock.now().monotonic >= self._due):
            self._store.save(lease, change)
            return
        before = self._present
        present = replace(
            before,
            ran_at=self._ran_at(before.ran_at, counts=counts),
            delivered_until=self._delivered_until if counts else before.delivered_until,
            sinks=tuple({*before.sinks, *(start.sink for start in change.starts)}),
            epochs=_highest(before.epochs, change.epochs or {}),
        )
        stamp = {RAN_AT: repr(present.ran_at)} if counts else {}
        # First the state: the witness never knows of a time that the state has not seen.
        self._store.save(lease, replace(change, settings={**(change.settings or {}), **stamp} or None))
        self._present, self._awaited = present, awaited
        self._due = self._clock.now().monotonic + REFRESH_SECONDS
        try:
            self._file.write(present)
        except StateError as error:
            if begins:
                raise
            # A witness that is late says less than it could, and nothing wrong: the run goes on.
            _log.warning("witness-not-written", reason=error.message, remedy=error.remedy)

    def renew(self, lease: Lease, *, now: float, admin: str = "") -> None:
        self._store.renew(lease, now=now, admin=admin)
        if self._present is not None and self._counts and self._clock.now().monotonic >= self._due:
            self.save(lease, StateChange())

    def release(self, lease: Lease) -> None:
        if self._present is not None and self._counts:
            self._due = 0.0
            try:
                self.save(lease, StateChange())
            except StateError as error:
                if error.kind is not ErrorKind.NOT_OWNER:  # then it is the successor's
                    _log.warning("last-run-not-saved", reason=error.message, remedy=error.remedy)
        self._store.release(lease)

    @property
    def _counts(self) -> bool:
        """The pipeline runs with this state, and every sink that the witness knows has begun in it."""
        return bool(self._runs) and not self._awaited

    def _ran_at(self, before: float, *, counts: bool) -> float:
        """Never goes back, whatever the clock does: it tells which of two is the newer."""
        return max(before, self._clock.now().wall) if counts else before


def with_epochs(saved: Saved, epochs: Mapping[str, int]) -> StateChange:
    """What lets these positions count under reset epochs that are higher than their own."""
    own = saved.epochs or {}
    higher = {sink: epoch for sink, epoch in epochs.items() if epoch > own.get(sink, 0)}
    cursors = [
        replace(cursor, position=replace(cursor.position, epoch=higher[cursor.sink]))
        for cursor in saved.cursors
        if cursor.sink in higher and cursor.position.epoch == own.get(cursor.sink, 0)
    ]
    return StateChange(cursors, epochs=higher or None)


def _all_of(saved: Saved, change: StateChange) -> StateChange:
    """The whole of it, with the change on top, instead of whatever there is."""
    cursors = {(cursor.sink, cursor.shard): cursor for cursor in (*saved.cursors, *change.cursors)}
    return StateChange(
        list(cursors.values()),
        saved.starts,
        saved.gaps,
        saved.settings,
        {**(saved.epochs or {}), **(change.epochs or {})} or None,
        replace_all=True,
    )


def _highest(*all_epochs: Mapping[str, int]) -> dict[str, int]:
    return {
        sink: max(epochs.get(sink, 0) for epochs in all_epochs)
        for sink in {sink for epochs in all_epochs for sink in epochs}
    }
