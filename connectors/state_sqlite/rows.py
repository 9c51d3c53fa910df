"""The tables of the state file, and what is saved as their rows."""

import sqlite3
from typing import Any

from cdc.model import Place, Position, ShardKey
from cdc.ports import Saved, SavedCursor, SavedGap, SavedStart, StateChange

FORMAT = 2
"""The version of these tables, in `PRAGMA user_version`. Raised with every change that an older version cannot read."""
OLDEST = 1
"""The oldest format that is read as it is, and brought to the present one by the next process that owns a pipeline."""

TABLES = {
    "owners": """
    CREATE TABLE owners (
        pipeline TEXT NOT NULL PRIMARY KEY, epoch INTEGER NOT NULL, host TEXT, pid INTEGER, process_started TEXT,
        admin TEXT, heartbeat REAL, lease_seconds REAL, acquired_at REAL
    ) WITHOUT ROWID
    """,  # host is NULL after a release; the row stays, for its epoch
    "cursors": """
    CREATE TABLE cursors (
        pipeline TEXT NOT NULL, sink TEXT NOT NULL, stream TEXT NOT NULL, shard TEXT NOT NULL,
        place INTEGER NOT NULL, sequence TEXT NOT NULL, not_before REAL, epoch INTEGER NOT NULL,
        source_table TEXT NOT NULL, kept_by_sink INTEGER NOT NULL, saved_at REAL NOT NULL, through REAL,
        PRIMARY KEY (pipeline, sink, stream, shard)
    ) WITHOUT ROWID
    """,
    "starts": """
    CREATE TABLE starts (
        pipeline TEXT NOT NULL, sink TEXT NOT NULL, stream TEXT NOT NULL,
        source_table TEXT NOT NULL, start TEXT NOT NULL, started_at REAL NOT NULL,
        PRIMARY KEY (pipeline, sink, stream)
    ) WITHOUT ROWID
    """,
    "gaps": """
    CREATE TABLE gaps (
        pipeline TEXT NOT NULL, sink TEXT NOT NULL, stream TEXT NOT NULL, shard TEXT NOT NULL,
        source_table TEXT NOT NULL, found_at REAL NOT NULL, reason TEXT NOT NULL, decision TEXT NOT NULL,
        PRIMARY KEY (pipeline, sink, stream, shard, found_at)
    ) WITHOUT ROWID
    """,  # one shard can have several: each time that the sink was away for too long
    "settings": """
    CREATE TABLE settings (
        pipeline TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (pipeline, name)
    ) WITHOUT ROWID
    """,
    "epochs": """
    CREATE TABLE epochs (
        pipeline TEXT NOT NULL, sink TEXT NOT NULL, epoch INTEGER NOT NULL, PRIMARY KEY (pipeline, sink)
    ) WITHOUT ROWID
    """,
}

_SINCE_2 = (
    "ALTER TABLE cursors ADD COLUMN last_created REAL",
    "ALTER TABLE starts ADD COLUMN table_id TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE gaps ADD COLUMN kind TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE gaps ADD COLUMN certain INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE gaps ADD COLUMN after_sequence TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE gaps ADD COLUMN decided_at REAL",
    "ALTER TABLE gaps ADD COLUMN number INTEGER NOT NULL DEFAULT 1",
    "ALTER TABLE gaps ADD COLUMN last_found_at REAL",
)


def create(db: sqlite3.Connection) -> None:
    """All tables, in the present format; call it inside of one transaction."""
    for definition in TABLES.values():
        db.execute(definition)
    db.execute(f"PRAGMA user_version = {OLDEST}")
    migrate(db)


def migrate(db: sqlite3.Connection) -> None:
    """Brings the tables to the present format, for all pipelines; call it inside of one transaction.

    Only an owner does: beside a process of an older version nothing may change, and one that is overtaken all the same
    (it has another pipeline in this file) sees the newer format with its next renewal, and ends.
    """
    if _format(db) < FORMAT:
        for change in _SINCE_2:
            db.execute(change)
        db.execute(f"PRAGMA user_version = {FORMAT}")


def _format(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def read(db: sqlite3.Connection, pipeline: str) -> Saved:
    """All that this pipeline has saved; call it inside of one transaction."""
    mine = (pipeline,)
    old = _format(db) < FORMAT  # nobody has owned a pipeline here since
    last_created, table_id = ("NULL", "''") if old else ("last_created", "table_id")
    gap = (
        "'', 0, '', NULL, 1, NULL"
        if old
        else "kind, certain, after_sequence, decided_at, number, last_found_at"
    )
    cursors = []
    for sink, stream, shard, place, sequence, not_before, epoch, table, kept, *times in db.execute(
        "SELECT sink, stream, shard, place, sequence, not_before, epoch, source_table, kept_by_sink, saved_at, through,"  # noqa: S608 - names from here
        f" {last_created} FROM cursors WHERE pipeline = ? ORDER BY sink, stream, shard",
        mine,
    ):
        position = Position(Place(place), sequence, not_before, epoch)
        cursors.append(SavedCursor(sink, ShardKey(stream, shard), position, table, bool(kept), *times))
    starts = db.execute(
        f"SELECT sink, stream, source_table, start, started_at, {table_id} FROM starts WHERE pipeline = ?"  # noqa: S608
        " ORDER BY sink, stream",
        mine,
    )
    gaps = db.execute(
        f"SELECT sink, stream, shard, source_table, found_at, reason, decision, {gap} FROM gaps WHERE pipeline = ?"  # noqa: S608
        " ORDER BY sink, stream, shard, found_at",
        mine,
    )
    settings = db.execute("SELECT name, value FROM settings WHERE pipeline = ? ORDER BY name", mine)
    epochs = db.execute("SELECT sink, epoch FROM epochs WHERE pipeline = ? ORDER BY sink", mine)
    return Saved(
        tuple(cursors),
        tuple(SavedStart(*row) for row in starts),
        tuple(_gap(*row) for row in gaps),
        settings=dict(settings) or None,
        epochs=dict(epochs) or None,
    )


def write(db: sqlite3.Connection, pipeline: str, change: StateChange) -> None:
    """Call it inside of one transaction."""
    if change.replace_all:
        for table in ("cursors", "starts", "gaps", "settings", "epochs"):
            db.execute(f"DELETE FROM {table} WHERE pipeline = ?", (pipeline,))  # noqa: S608 - names from the line above
    db.executemany(
        "DELETE FROM cursors WHERE pipeline = ? AND sink = ? AND stream = ? AND shard = ?",
        ((pipeline, sink, *shard) for sink, shard in change.forget),
    )
    db.executemany(
        "DELETE FROM gaps WHERE pipeline = ? AND sink = ? AND stream = ? AND shard = ? AND found_at = ?",
        ((pipeline, sink, *shard, found_at) for sink, shard, found_at in change.forget_gaps),
    )
    db.executemany(
        "INSERT OR REPLACE INTO cursors VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        ((pipeline, c.sink, *c.shard, *_place(c.position), *_rest(c)) for c in change.cursors),
    )
    db.executemany(
        "INSERT OR REPLACE INTO starts VALUES (?, ?, ?, ?, ?, ?, ?)",
        ((pipeline, s.sink, s.stream, s.table, s.start, s.started_at, s.table_id) for s in change.starts),
    )
    db.executemany(
        "INSERT OR REPLACE INTO gaps VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        ((pipeline, g.sink, *g.shard, g.table, g.found_at, *_said(g)) for g in change.gaps),
    )
    db.executemany(
        "INSERT OR REPLACE INTO settings VALUES (?, ?, ?)",
        ((pipeline, name, value) for name, value in (change.settings or {}).items()),
    )
    db.executemany(
        "INSERT OR REPLACE INTO epochs VALUES (?, ?, ?)",
        ((pipeline, sink, epoch) for sink, epoch in (change.epochs or {}).items()),
    )


def _place(position: Position) -> tuple[int, str, float | None, int]:
    return int(position.place), position.sequence, position.not_before, position.epoch


def _rest(cursor: SavedCursor) -> tuple[str, bool, float, float | None, float | None]:
    return cursor.table, cursor.kept_by_sink, cursor.saved_at, cursor.through, cursor.last_created


def _gap(sink: str, stream: str, shard: str, *rest: Any) -> SavedGap:
    table, found_at, reason, decision, kind, certain, *more = rest
    return SavedGap(
        sink, ShardKey(stream, shard), table, found_at, reason, decision, kind, bool(certain), *more
    )


def _said(gap: SavedGap) -> tuple[object, ...]:
    return (
        gap.reason,
        gap.decision,
        gap.kind,
        gap.certain,
        gap.after,
        gap.decided_at,
        gap.count,
        gap.last_found_at,
    )
