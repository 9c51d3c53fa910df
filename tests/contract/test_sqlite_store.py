import sqlite3
import subprocess
import sys
from functools import cache
from pathlib import Path

import msgspec

from cdc.ports import Owner, StateStore
from cdc.process import this_process
from cdc.testing.store_contract import FormatCases
from connectors.state_sqlite import SqliteStateStore

_TELL = """
import msgspec
from cdc.process import this_process
print(msgspec.json.encode(this_process()).decode())
"""


@cache
def ended_process() -> Owner:
    told = subprocess.run([sys.executable, "-c", _TELL], capture_output=True, check=True).stdout
    return msgspec.json.decode(told, type=Owner)


class TestSqlite(FormatCases):
    def make_store(self, base: Path, pipeline: str = "pipeline") -> StateStore:
        return SqliteStateStore(base / "state.db", pipeline)

    def this_process(self) -> Owner:
        return this_process()

    def ended_process(self) -> Owner:
        return ended_process()

    def make_newer(self, base: Path) -> None:
        with sqlite3.connect(base / "state.db") as db:
            db.execute("PRAGMA user_version = 3")
        db.close()

    def make_foreign(self, base: Path) -> None:
        (base / "state.db").write_text("version: 1\npipeline: orders\n")
