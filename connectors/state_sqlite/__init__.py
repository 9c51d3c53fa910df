"""State in one SQLite file: WAL, fsync on every save, several pipelines side by side."""

from connectors.state_sqlite.store import SqliteStateStore

__all__ = ["SqliteStateStore"]
