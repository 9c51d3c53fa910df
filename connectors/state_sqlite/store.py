"""The state of one pipeline in a state file, and the lease on it."""

import sqlite3
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from cdc.errors import ErrorKind, StateError
from cdc.ports import Lease, Owner, Saved, StateChange
from cdc.process import is_dead
from connectors.state_sqlite import rows
from connectors.state_sqlite.database import Database


class _Held(NamedTuple):
    """The row of `owners`."""

    epoch: int
    owner: Owner | None
    """None after a release."""
    lease_seconds: float
    acquired_at: float

    def remaining(self, now: float) -> float:
        """Seconds that the lease still lasts; its holder's word counts, not that of who asks."""
        return 0.0 if self.owner is None else self.owner.heartbeat + self.lease_seconds - now


class SqliteStateStore:
    """The `StateStore` of one pipeline. Every save is a transaction that first looks whether its lease is current.

    Used from one thread at a time, not always the same.

    Args:
        path: the file; created with its folder if it is absent.
        pipeline: whose state this is.
        read_only: for `owner` and `load` beside a running process. Creates nothing: an absent file is a pipeline that
            has saved nothing.
    """

    def __init__(self, path: Path, pipeline: str, *, read_only: bool = False) -> None:
        self._database = Database(path, read_only=read_only)
        self._pipeline = pipeline

    def open(self) -> None:
        self._database.open()

    def close(self) -> None:
        self._database.close()

    def acquire(self, owner: Owner, *, lease_seconds: float, now: float, above: int = 0) -> Lease:
        with self._database.writing() as db:
            held = self._held(db)
            if held.owner is not None and held.remaining(now) > 0 and not is_dead(held.owner):
                remedy = (
                    "stop that process; if it is dead already, wait until its lease ends, "
                    f"{held.remaining(now):.0f} s from now by this host's clock"
                )
                raise self._not_owner(held, remedy=remedy)
            rows.migrate(db)
            lease = Lease(replace(owner, heartbeat=now), max(held.epoch, above) + 1)
            new = lease.owner
            row = (new.host, new.pid, new.process_started, new.admin, new.heartbeat, lease_seconds, now)
            db.execute(
                "INSERT OR REPLACE INTO owners VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (self._pipeline, lease.epoch, *row),
            )
        return lease

    def renew(self, lease: Lease, *, now: float, admin: str = "") -> None:
        with self._database.writing() as db:
            self._check(db, lease)
            db.execute(
                "UPDATE owners SET heartbeat = ?, admin = ifnull(nullif(?, ''), admin) WHERE pipeline = ?",
                (now, admin, self._pipeline),
            )
        self._database.look_at_disk()

    def owner(self) -> Owner | None:
        with self._database.reading() as db:
            return None if db is None else self._held(db).owner

    def load(self) -> Saved:
        with self._database.reading() as db:
            return Saved() if db is None else rows.read(db, self._pipeline)

    def save(self, lease: Lease, change: StateChange) -> None:
        with self._database.writing() as db:
            self._check(db, lease)
            rows.write(db, self._pipeline, change)

    def release(self, lease: Lease) -> None:
        """Nothing happens if somebody else has acquired it meanwhile."""
        with self._database.writing() as db:
            db.execute(
                "UPDATE owners SET host = NULL WHERE pipeline = ? AND epoch = ?",
                (self._pipeline, lease.epoch),
            )

    def _held(self, db: sqlite3.Connection) -> _Held:
        row = db.execute(
            "SELECT epoch, lease_seconds, acquired_at, host, pid, process_started, admin, heartbeat"
            " FROM owners WHERE pipeline = ?",
            (self._pipeline,),
        ).fetchone()
        if row is None:
            return _Held(0, None, 0.0, 0.0)
        epoch, lease_seconds, acquired_at, host, *rest = row
        return _Held(epoch, None if host is None else Owner(host, *rest), lease_seconds, acquired_at)

    def _check(self, db: sqlite3.Connection, lease: Lease) -> None:
        held = self._held(db)
        if held.owner is None or held.epoch != lease.epoch:
            raise self._not_owner(held)

    def _not_owner(self, held: _Held, *, remedy: str = "") -> StateError:
        if held.owner is None:
            return StateError(ErrorKind.NOT_OWNER, f"this process has given up the pipeline {self._pipeline}")
        since = datetime.fromtimestamp(held.acquired_at, UTC).isoformat(timespec="seconds")
        return StateError(
            ErrorKind.NOT_OWNER,
            f"the pipeline {self._pipeline} is run by process {held.owner.pid} on {held.owner.host} since {since}",
            remedy=remedy,
        )
