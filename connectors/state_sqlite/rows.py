"""The tables of the state file, and what is saved as their rows."""

import sqlite3

from cdc.model import Place, Position, ShardKey
from cdc.ports import Saved, SavedCursor, SavedGap, SavedStart, StateChange

FORMAT = 1
"""The version of these tables, in `PRAGMA user_version`. Raised with every change that an older version cannot read."""

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


def read(db: sqlite3.Connection, pipeline: str) -> Saved:
    """All that this pipeline has saved; call it inside of one transaction."""
    mine = (pipeline,)
    cursors = []
    for sink, stream, shard, place, sequence, not_before, epoch, table, kept, saved_at, through in db.execute(
        "SELECT sink, stream, shard, place, sequence, not_before, epoch, source_table, kept_by_sink, saved_at, through"
        " FROM cursors WHERE pipeline = ? ORDER BY sink, stream, shard",
        mine,
    ):
        position = Position(Place(place), sequence, not_before, epoch)
        cursors.append(
            SavedCursor(sink, ShardKey(stream, shard), position, table, bool(kept), saved_at, through)
        )
    starts = db.execute(
        "SELECT sink, stream, source_table, start, started_at FROM starts WHERE pipeline = ? ORDER BY sink, stream",
        mine,
    )
    gaps = db.execute(
        "SELECT sink, stream, shard, source_table, found_at, reason, decision FROM gaps WHERE pipeline = ?"
        " ORDER BY sink, stream, shard, found_at",
        mine,
    )
    settings = db.execute("SELECT name, value FROM settings WHERE pipeline = ? ORDER BY name", mine)
    epochs = db.execute("SELECT sink, epoch FROM epochs WHERE pipeline = ? ORDER BY sink", mine)
    return Saved(
        tuple(cursors),
        tuple(SavedStart(*row) for row in starts),
        tuple(SavedGap(sink, ShardKey(stream, shard), *rest) for sink, stream, shard, *rest in gaps),
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
        "INSERT OR REPLACE INTO cursors VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        ((pipeline, c.sink, *c.shard, *_place(c.position), *_rest(c)) for c in change.cursors),
    )
    db.executemany(
        "INSERT OR REPLACE INTO starts VALUES (?, ?, ?, ?, ?, ?)",
        ((pipeline, s.sink, s.stream, s.table, s.start, s.started_at) for s in change.starts),
    )
    db.executemany(
        "INSERT OR REPLACE INTO gaps VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        ((pipeline, g.sink, *g.shard, g.table, g.found_at, g.reason, g.decision) for g in change.gaps),
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


def _rest(cursor: SavedCursor) -> tuple[str, bool, float, float | None]:
    return cursor.table, cursor.kept_by_sink, cursor.saved_at, cursor.through
