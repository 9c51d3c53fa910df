import resource
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from cdc.errors import ErrorKind, StateError
from cdc.model import ShardKey, after
from cdc.ports import Lease, Saved, SavedCursor, SavedGap, SavedStart, StateChange
from cdc.process import this_process
from cdc.testing.saved_state import contents
from connectors.state_sqlite import SqliteStateStore, rows
from connectors.state_sqlite.database import APPLICATION_ID

NOW = 1_767_225_660.0


def change(number: int = 0, count: int = 1, reason: str = "") -> StateChange:
    cursors = [
        SavedCursor("lake", ShardKey("arn", f"shard-{n}"), after(str(number)), "orders", False, NOW)
        for n in range(count)
    ]
    return StateChange(cursors=cursors, settings={"reason": reason})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "state.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStateStore]:
    store = SqliteStateStore(path, "pipeline")
    store.open()
    yield store
    store.close()


@pytest.fixture
def lease(store: SqliteStateStore) -> Lease:
    return store.acquire(this_process(), lease_seconds=15, now=NOW)


def sequences(store: SqliteStateStore) -> set[str]:
    return {cursor.position.sequence for cursor in store.load().cursors}


def test_every_save_is_synced_before_it_returns(store: SqliteStateStore) -> None:
    db = store._database._open_connection()
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert db.execute("PRAGMA synchronous").fetchone() == (2,)


def test_many_may_make_the_file_at_once(tmp_path: Path) -> None:
    at_once = threading.Barrier(6)

    def make(number: int) -> int:
        with closing(SqliteStateStore(tmp_path / "state.db", f"pipeline-{number}")) as store:
            at_once.wait(10)
            store.open()
            return store.acquire(this_process(), lease_seconds=15, now=NOW).epoch

    for _ in range(10):
        with ThreadPoolExecutor(6) as threads:
            assert list(threads.map(make, range(6))) == [1] * 6
        for file in tmp_path.iterdir():
            file.unlink()


def test_is_used_by_one_thread_after_the_other(store: SqliteStateStore, lease: Lease) -> None:
    thread = threading.Thread(target=store.save, args=(lease, change(7)))
    thread.start()
    thread.join()
    assert sequences(store) == {"7"}


def test_a_refusal_says_who_where_and_since_when(store: SqliteStateStore, lease: Lease) -> None:
    with pytest.raises(StateError) as refused:
        store.acquire(this_process(), lease_seconds=15, now=NOW + 5)
    owner = this_process()
    assert refused.value.kind is ErrorKind.NOT_OWNER
    assert refused.value.message.endswith(
        f"process {owner.pid} on {owner.host} since 2026-01-01T00:01:00+00:00"
    )
    assert "10 s" in refused.value.remedy


def test_each_time_that_a_sink_was_away_too_long_stays_visible(store: SqliteStateStore, lease: Lease) -> None:
    gaps = [SavedGap("lake", ShardKey("arn", "shard"), "orders", NOW + n, "trimmed") for n in range(2)]
    for gap in gaps:
        store.save(lease, StateChange(gaps=[gap]))
    assert store.load().gaps == tuple(gaps)


def test_a_reader_sees_what_was_saved_and_leaves_nothing_behind(path: Path, store: SqliteStateStore) -> None:
    reader = SqliteStateStore(path, "pipeline", read_only=True)
    reader.open()
    lease = store.acquire(this_process(), lease_seconds=15, now=NOW)
    for number in range(3):  # one reader over many saves, as `cdc status --watch`
        store.save(lease, change(number))
        assert sequences(reader) == {str(number)}
    assert reader.owner() == lease.owner
    store.close()
    assert sequences(reader) == {"2"}
    reader.close()
    assert [file.name for file in path.parent.iterdir()] == ["state.db"]


def test_a_reader_does_not_wait_for_a_writer_nor_hold_one_up(path: Path, store: SqliteStateStore) -> None:
    lease = store.acquire(this_process(), lease_seconds=15, now=NOW)
    reader = SqliteStateStore(path, "pipeline", read_only=True)
    with store._database.writing():
        assert reader.load() == Saved()
    with reader._database.reading():
        store.save(lease, change(1))


def test_a_reader_creates_no_file(path: Path) -> None:
    reader = SqliteStateStore(path, "pipeline", read_only=True)
    reader.open()
    assert reader.owner() is None
    assert reader.load() == Saved()
    assert not path.parent.exists()
    path.parent.mkdir()
    path.touch()  # what a process is about to fill
    assert reader.load() == Saved()
    assert path.stat().st_size == 0


def foreign_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE cursors (mine)")
        db.commit()


def unknown_format(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute("CREATE TABLE cursors (mine)")
        db.commit()


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.write_bytes(b"x"),
        lambda path: path.write_bytes(b"SQLite format 3\x00"),
        lambda path: path.write_bytes(b"SQLite format 3\x00" + b"junk" * 1000),
        foreign_database,
        unknown_format,
    ],
    ids=["a byte", "a beginning", "junk", "a database of something else", "an unknown format"],
)
def test_what_is_no_state_is_refused_and_left_as_it_is(path: Path, make: object, read_only: bool) -> None:
    path.parent.mkdir()
    assert callable(make)
    make(path)
    before = path.read_bytes()
    with pytest.raises(StateError) as refused:
        SqliteStateStore(path, "pipeline", read_only=read_only).open()
    assert refused.value.kind is ErrorKind.STATE_FORMAT
    assert str(path) in refused.value.message
    assert "state.path" in refused.value.remedy
    assert path.read_bytes() == before


def test_damage_is_found_when_it_is_opened(path: Path, store: SqliteStateStore, lease: Lease) -> None:
    store.save(lease, change(count=2000))
    store.close()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StateError) as refused:
        SqliteStateStore(path, "pipeline").open()
    assert refused.value.kind is ErrorKind.STATE_FORMAT
    assert path.read_bytes() == whole[: len(whole) // 2]


def test_what_a_dead_process_had_half_done_is_taken_back(
    path: Path, store: SqliteStateStore, lease: Lease, tmp_path: Path
) -> None:
    """A hot rollback journal, as a crash leaves it while the file is made or by another program."""
    store.save(lease, change(1, count=2000))
    store.close()
    died = tmp_path / "died.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = DELETE")
        db.execute("PRAGMA cache_size = 5")  # what does not fit is written before the commit
        db.execute("BEGIN")
        db.execute("UPDATE cursors SET sequence = '2'")
        shutil.copy(path, died)
        shutil.copy(f"{path}-journal", f"{died}-journal")
    assert died.read_bytes() != path.read_bytes()
    reader = SqliteStateStore(died, "pipeline", read_only=True)
    reader.open()
    assert sequences(reader) == {"1"}


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def overwritten(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"\x5a" * path.stat().st_size)


def without_a_table(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("DROP TABLE gaps")
        db.commit()


@pytest.mark.parametrize("damage", [emptied, overwritten])
def test_damage_under_an_open_connection_is_found_by_the_next_renewal(
    path: Path, store: SqliteStateStore, lease: Lease, damage: Callable[[Path], None]
) -> None:
    """Which holds the pages in memory, and would go on without an error for long."""
    store.save(lease, change(1, count=50))
    damage(path)
    store._database._look_due = 0.0
    with pytest.raises(StateError) as refused:
        store.renew(lease, now=NOW)
    assert refused.value.kind is ErrorKind.STATE_FORMAT
    assert str(path) in refused.value.message


@pytest.mark.parametrize("read_only", [False, True])
def test_a_table_that_is_missing_is_damage(path: Path, store: SqliteStateStore, read_only: bool) -> None:
    store.close()
    without_a_table(path)
    with pytest.raises(StateError, match="lacks the table gaps"):
        SqliteStateStore(path, "pipeline", read_only=read_only).open()


@pytest.mark.parametrize("read_only", [False, True])
def test_rows_out_of_order_are_damage(
    path: Path, store: SqliteStateStore, lease: Lease, read_only: bool
) -> None:
    """As a page of another time leaves them: each page by itself is well."""
    store.save(lease, change(1, count=500))
    store.close()
    content = bytearray(path.read_bytes())
    size = 4096
    with closing(sqlite3.connect(path)) as db:
        (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'cursors'").fetchone()
    leaves = [
        at for at in range(0, len(content), size)
        if at != (root - 1) * size and content[at] == 10 and b"shard-" in content[at : at + size]
    ]  # fmt: skip
    first, second = leaves[:2]
    content[first : first + size], content[second : second + size] = (
        content[second : second + size], content[first : first + size],
    )  # fmt: skip
    path.write_bytes(content)
    with pytest.raises(StateError, match="damaged"):
        SqliteStateStore(path, "pipeline", read_only=read_only).open()


def test_a_folder_is_no_state(tmp_path: Path) -> None:
    with pytest.raises(StateError) as refused:
        SqliteStateStore(tmp_path, "pipeline").open()
    assert refused.value.kind is ErrorKind.CONFIGURATION


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateError) as refused:
        SqliteStateStore(tmp_path / "file" / "state.db", "pipeline").open()
    assert refused.value.kind is ErrorKind.UNAVAILABLE


def test_a_file_that_is_locked_is_unavailable(
    path: Path, store: SqliteStateStore, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    store._database._open_connection().execute("PRAGMA busy_timeout = 10")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StateError) as refused:
            store.save(lease, change(1))
        assert refused.value.kind is ErrorKind.UNAVAILABLE
        other.execute("ROLLBACK")
    store.save(lease, change(2))
    assert sequences(store) == {"2"}


Fault = Callable[[SqliteStateStore], AbstractContextManager[None]]


@contextmanager
def full_pages(store: SqliteStateStore) -> Iterator[None]:
    """SQLite's own limit answers as a full disk does (SQLITE_FULL)."""
    db = store._database._open_connection()
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    db.execute(f"PRAGMA max_page_count = {pages}")
    yield
    db.execute("PRAGMA max_page_count = 1000000")


@contextmanager
def no_larger_file(store: SqliteStateStore) -> Iterator[None]:
    """The operating system takes a part of a write and refuses the rest (setrlimit(2), RLIMIT_FSIZE)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("fault", [full_pages, no_larger_file])
def test_what_does_not_fit_is_not_saved_in_part(path: Path, fault: Fault) -> None:
    with closing(SqliteStateStore(path, "pipeline")) as store:
        store.open()
        lease = store.acquire(this_process(), lease_seconds=15, now=NOW)
        store.save(lease, change(1, count=10))
        with fault(store), pytest.raises(StateError) as refused:
            store.save(lease, change(2, count=5000, reason="x" * 300_000))
        assert refused.value.kind is ErrorKind.UNAVAILABLE
        assert sequences(store) == {"1"}
        store.save(lease, change(3, count=10))
        assert sequences(store) == {"3"}


@pytest.mark.parametrize("replace", [False, True])
def test_a_file_that_was_taken_away_is_not_written_on(
    path: Path, store: SqliteStateStore, lease: Lease, replace: bool
) -> None:
    path.rename(path.with_name("away"))
    if replace:
        shutil.copy(path.with_name("away"), path)
    with pytest.raises(StateError, match="removed or replaced"):
        store.save(lease, change(1))
    with pytest.raises(StateError, match="removed or replaced"):
        store.renew(lease, now=NOW)
    path.with_name("away").replace(path)
    store.save(lease, change(2))
    assert sequences(store) == {"2"}


def test_a_call_on_a_store_that_is_not_open(path: Path) -> None:
    with pytest.raises(StateError, match="not open"):
        SqliteStateStore(path, "pipeline").load()


def test_a_mode_without_write_permission(path: Path, store: SqliteStateStore) -> None:
    """SQLite's own refusal; a file's mode would not stop tests that run as root."""
    store._database._open_connection().execute("PRAGMA query_only = 1")
    with pytest.raises(StateError) as refused:
        store.acquire(this_process(), lease_seconds=15, now=NOW)
    assert refused.value.kind is ErrorKind.ACCESS_DENIED


def test_an_unknown_error_is_raised_as_it_is(store: SqliteStateStore) -> None:
    with pytest.raises(sqlite3.OperationalError, match="no such table"), store._database.writing() as db:
        db.execute("SELECT * FROM absent")


def first_format(path: Path) -> None:
    """A file as the first version left it, with the rows that it wrote."""
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as db:
        for definition in rows.TABLES.values():
            db.execute(definition)
        db.execute(
            "INSERT INTO cursors VALUES ('pipeline', 'bus', 's', 's1', 1, '5', NULL, 0, 'orders', 1, 7.0, 8.0)"
        )
        db.execute("INSERT INTO starts VALUES ('pipeline', 'bus', 's', 'orders', 'latest', 7.0)")
        db.execute("INSERT INTO gaps VALUES ('pipeline', 'bus', 's', 's1', 'orders', 7.0, 'it expired', '')")
        db.execute("PRAGMA application_id = 0x43444353")
        db.execute("PRAGMA user_version = 1")
        db.commit()


def format_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("PRAGMA user_version").fetchone()[0])


def test_a_file_of_the_first_format_is_read_as_it_is_and_migrated_by_who_owns_it(path: Path) -> None:
    first_format(path)
    expected = Saved(
        [SavedCursor("bus", ShardKey("s", "s1"), after("5"), "orders", True, 7.0, 8.0)],
        [SavedStart("bus", "s", "orders", "latest", 7.0)],
        [SavedGap("bus", ShardKey("s", "s1"), "orders", 7.0, "it expired")],
    )
    for read_only in (True, False):
        with closing(SqliteStateStore(path, "pipeline", read_only=read_only)) as looking:
            looking.open()
            assert contents(looking.load()) == contents(expected)
            assert format_of(path) == 1
    with closing(SqliteStateStore(path, "pipeline")) as store:
        store.open()
        lease = store.acquire(this_process(), lease_seconds=15.0, now=NOW)
        assert format_of(path) == 2
        assert contents(store.load()) == contents(expected)
        store.save(lease, StateChange(starts=[replace(expected.starts[0], table_id="7f3c")]))
        assert store.load().starts[0].table_id == "7f3c"
        store.renew(lease, now=NOW)
    with closing(SqliteStateStore(path, "another")) as other:
        other.open()
        other.acquire(this_process(), lease_seconds=15.0, now=NOW)
        assert format_of(path) == 2


def test_a_file_that_is_somebody_elses_is_not_migrated(path: Path) -> None:
    first_format(path)
    with closing(sqlite3.connect(path)) as db:
        db.execute(
            "INSERT INTO owners VALUES ('pipeline', 4, 'elsewhere', 1, '0', '', ?, 60.0, ?)", (NOW, NOW)
        )
        db.commit()
    with closing(SqliteStateStore(path, "pipeline")) as store:
        store.open()
        with pytest.raises(StateError):
            store.acquire(this_process(), lease_seconds=15.0, now=NOW)
    assert format_of(path) == 1
