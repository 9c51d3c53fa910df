"""The state file itself: opening it without harm to what it is not, transactions, SQLite's errors as ours."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from cdc.errors import ErrorKind, StateError
from connectors.state_sqlite.rows import FORMAT, OLDEST, TABLES, create

APPLICATION_ID = 0x43444353
"""Tells our files from other SQLite databases, in `PRAGMA application_id`."""

_MAGIC = b"SQLite format 3\x00"
_BUSY_SECONDS = 5.0
_WAL_ATTEMPTS = 10
_LOOK_TIMES = 100.0

_KINDS = {
    sqlite3.SQLITE_NOTADB: ErrorKind.STATE_FORMAT,
    sqlite3.SQLITE_CORRUPT: ErrorKind.STATE_FORMAT,
    sqlite3.SQLITE_READONLY: ErrorKind.ACCESS_DENIED,
    sqlite3.SQLITE_PERM: ErrorKind.ACCESS_DENIED,
    sqlite3.SQLITE_BUSY: ErrorKind.UNAVAILABLE,
    sqlite3.SQLITE_LOCKED: ErrorKind.UNAVAILABLE,
    sqlite3.SQLITE_PROTOCOL: ErrorKind.UNAVAILABLE,
    sqlite3.SQLITE_FULL: ErrorKind.UNAVAILABLE,
    sqlite3.SQLITE_IOERR: ErrorKind.UNAVAILABLE,
    sqlite3.SQLITE_CANTOPEN: ErrorKind.UNAVAILABLE,
}
"""By primary result code (sqlite.org/rescode.html). What is not here is a bug."""


class Database:
    """A state file. `open` and all transactions raise `StateError`.

    A `read_only` one connects anew for each reading, and then sees what is there at that time; it creates nothing,
    neither the file nor SQLite's companions of it, and blocks nobody.
    """

    def __init__(self, path: Path, *, read_only: bool) -> None:
        self._path = path
        self._read_only = read_only
        self._connection: sqlite3.Connection | None = None
        self._inode: tuple[int, int] | None = None
        self._look_due = 0.0

    def open(self) -> None:
        self.close()
        if self._read_only:
            with self.reading() as db:
                if db is not None:
                    self._check_pages(db)
            return
        with self._mapped_errors():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._check_magic()
            connection = self._connect("mode=rwc")
            try:
                self._create_if_new(connection)
                self._check_format(connection)
                self._check_pages(connection)
                _use_wal(connection)
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("PRAGMA fullfsync = 1")  # macOS: fsync leaves data in the drive's cache
                connection.execute("PRAGMA checkpoint_fullfsync = 1")
            except BaseException:
                connection.close()
                raise
            self._connection = connection
            self._inode = self._present_inode()

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with self._mapped_errors():
                connection.close()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection | None]:
        """One snapshot of all tables; None if the file is absent, empty or still without tables (`read_only` alone)."""
        with self._mapped_errors():
            if not self._read_only:
                with _transaction(self._open_connection(), "BEGIN") as db:
                    yield db
            elif not self._has_content():
                yield None
            else:
                self._check_magic()
                with closing(self._connect_to_read()) as connection, _transaction(connection, "BEGIN") as db:
                    if _is_new(db):
                        yield None
                    else:
                        self._check_format(db)
                        yield db

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Durable once it is left without an error; with one, nothing of it has happened."""
        with self._mapped_errors():
            connection = self._open_connection()
            if self._present_inode() != self._inode:
                raise StateError(
                    ErrorKind.UNAVAILABLE,
                    f"the state file {self._path} was removed or replaced while it was in use",
                    remedy="bring the file back, or restart to go on with what is there now",
                )
            with _transaction(connection, "BEGIN IMMEDIATE") as db:
                yield db

    def look_at_disk(self) -> None:
        """Reads the whole file through a connection of its own: what is damaged under a connection that holds its pages
        in memory shows only when somebody else reads it. By SQLite and not by hand: closing a file drops this process's
        locks on it (sqlite.org/howtocorrupt.html, 2.2). Takes a hundredth of the time at most.
        """
        now = time.monotonic()
        if now < self._look_due:
            return
        with self._mapped_errors(), closing(self._connect("mode=ro")) as connection:
            if not self._has_content():
                raise self._format_error(
                    "has been emptied while it was in use", changed="what was saved in it is gone"
                )
            with _transaction(connection, "BEGIN") as db:
                self._check_format(db)
                self._check_pages(db)
        self._look_due = now + _LOOK_TIMES * (time.monotonic() - now)

    def _has_content(self) -> bool:
        """An empty file is what a process is about to fill, or what is left of a state: no state, either way."""
        try:
            return self._path.stat().st_size > 0
        except FileNotFoundError:
            return False

    def _connect(self, parameters: str) -> sqlite3.Connection:
        return sqlite3.connect(
            f"file:{quote(os.fspath(self._path.absolute()))}?{parameters}",
            uri=True,
            timeout=_BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )

    def _connect_to_read(self) -> sqlite3.Connection:
        """Without a log nobody is writing, and all is in the file itself: then `immutable` keeps SQLite from making a log
        and its index, which it could not remove again, and which might belong to the wrong user (sqlite.org/wal.html,
        "Read-Only Databases"). Where a process died while it made the file, there is a rollback journal, and only SQLite
        may read past that: it takes back what was half done."""
        if Path(f"{self._path}-journal").exists():
            return self._connect("mode=rw")
        has_log = Path(f"{self._path}-wal").exists()
        return self._connect("mode=ro" if has_log else "mode=ro&immutable=1")

    def _open_connection(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StateError(ErrorKind.UNAVAILABLE, f"the state file {self._path} is not open")
        return self._connection

    def _check_magic(self) -> None:
        """Before SQLite touches the file: it takes some that are too short for a header as empty databases."""
        if self._path.is_dir():
            raise StateError(
                ErrorKind.CONFIGURATION,
                f"the state path {self._path} is a folder",
                remedy="name a file as `state.path`",
            )
        try:
            with self._path.open("rb") as file:
                beginning = file.read(len(_MAGIC))
        except FileNotFoundError:
            return
        if beginning not in (b"", _MAGIC):
            raise self._format_error("is no SQLite database")

    def _create_if_new(self, db: sqlite3.Connection) -> None:
        if not _is_new(db):
            return
        with _transaction(db, "BEGIN IMMEDIATE"):
            if not _is_new(db):  # another process was first
                return
            create(db)
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")

    def _check_format(self, db: sqlite3.Connection) -> None:
        if _number(db, "PRAGMA application_id") != APPLICATION_ID:
            raise self._format_error("is a SQLite database of something else")
        found = _number(db, "PRAGMA user_version")
        if found > FORMAT:
            raise StateError(
                ErrorKind.STATE_FORMAT,
                f"{self._path} has state format {found}, written by a newer version; this one reads up to {FORMAT}",
                remedy="run the newer version, or name another `state.path`",
            )
        if found < OLDEST:
            raise self._format_error(f"has the unknown state format {found}")
        have = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if missing := [name for name in TABLES if name not in have]:
            raise self._format_error(f"lacks the table {missing[0]}")

    def _check_pages(self, db: sqlite3.Connection) -> None:
        """The order of rows too, which `quick_check` passes over: a log of another time may have been mixed into it."""
        if db.execute("PRAGMA integrity_check(1)").fetchone()[0] != "ok":
            raise self._format_error("is damaged")

    def _present_inode(self) -> tuple[int, int] | None:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino

    def _format_error(self, what: str, *, changed: str = "nothing in it was changed") -> StateError:
        return StateError(
            ErrorKind.STATE_FORMAT,
            f"the state file {self._path} {what}; {changed}",
            remedy="restore it from a copy; or move it away with its -wal and -shm, and `cdc positions import` what was "
            "exported, or run: it says then what is lost, and waits for a decision; or name another `state.path`",
        )

    @contextmanager
    def _mapped_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            denied = isinstance(error, PermissionError)
            raise StateError(
                ErrorKind.ACCESS_DENIED if denied else ErrorKind.UNAVAILABLE,
                f"the state file {self._path}: {error.strerror}",
            ) from error
        except sqlite3.DatabaseError as error:
            kind = _KINDS.get(_primary_code(error))
            if kind is None:
                raise
            if kind is ErrorKind.STATE_FORMAT:
                raise self._format_error("is damaged, or no SQLite database") from error
            raise StateError(kind, f"the state file {self._path}: {error}") from error


@contextmanager
def _transaction(db: sqlite3.Connection, begin: str) -> Iterator[sqlite3.Connection]:
    db.execute(begin)
    try:
        yield db
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # SQLite rolls back by itself after some errors
            db.execute("ROLLBACK")
        raise


def _is_new(db: sqlite3.Connection) -> bool:
    return (
        _number(db, "PRAGMA application_id") == 0
        and _number(db, "PRAGMA user_version") == 0
        and _number(db, "SELECT count(*) FROM sqlite_master") == 0
    )


def _number(db: sqlite3.Connection, query: str) -> int:
    return int(db.execute(query).fetchone()[0])


def _primary_code(error: sqlite3.DatabaseError) -> int:
    """0 for an error that the Python module raises by itself."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _use_wal(db: sqlite3.Connection) -> None:
    """The change of mode does not wait for other processes by itself: an empty transaction does, in between."""
    for attempt in range(_WAL_ATTEMPTS):
        try:
            db.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            if _primary_code(error) != sqlite3.SQLITE_BUSY or attempt == _WAL_ATTEMPTS - 1:
                raise
            with _transaction(db, "BEGIN IMMEDIATE"):
                continue
        else:
            return
