import errno
import json
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cdc.connector import SinkContext
from cdc.errors import ErrorKind, SinkError
from cdc.model import Batch
from cdc.ports import Sink
from cdc.testing.batches import Table
from cdc.testing.sink_run import SinkRun
from connectors.file import CONNECTOR
from connectors.file.appender import Appender, examine

NAME = "changes.jsonl"
LINES = [b'{"format":1,"n":%d}\n' % n for n in range(4)]


def build(context: SinkContext) -> Sink:
    return CONNECTOR.build(CONNECTOR.config(name="lines", type="file", path=Path(NAME)), context)


def batches(count: int, *, size: int = 10) -> list[Batch]:
    shard = Table().shard()
    made = []
    for number in range(count):
        shard.put(f"item-{number}", filling={"S": "x" * size})
        made.append(shard.batch())
    return made


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """The kernel writes up to this offset, and then fails: what a full disk does in the middle of a line."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def changes(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def reopen(path: Path) -> bytes:
    appender = Appender(path)
    appender.open()
    appender.close()
    return path.read_bytes()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(cut=st.integers(0, sum(map(len, LINES))), zeros=st.integers(0, 5000))
def test_whatever_a_crash_leaves_becomes_whole_lines(tmp_path: Path, cut: int, zeros: int) -> None:
    path = tmp_path / NAME
    path.write_bytes(b"".join(LINES)[:cut] + b"\0" * zeros)
    left = reopen(path)
    whole = [
        line for number, line in enumerate(LINES) if sum(map(len, LINES[: number + 1])) <= cut + (not zeros)
    ]
    assert left == b"".join(whole)


def test_zeros_in_the_middle_of_what_was_not_synced(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(LINES[0] + b'{"form' + b"\0" * 40 + b"}\n" + LINES[2])
    assert reopen(path) == LINES[0]


@pytest.mark.parametrize(
    "foreign",
    [b"version: 1\npipeline: orders", b"\0\0ELF", b"\0" * 20 + b"x\n", LINES[0] + b"notes", b"{}\n"],
)
def test_a_file_of_something_else_is_refused_and_left_alone(tmp_path: Path, foreign: bytes) -> None:
    path = tmp_path / NAME
    path.write_bytes(foreign)
    for look in (Appender(path).open, lambda: examine(path)):
        with pytest.raises(SinkError) as caught:
            look()
        assert caught.value.kind is ErrorKind.CONFIGURATION
        assert caught.value.remedy
    assert path.read_bytes() == foreign


def test_a_disk_that_fills_up_in_the_middle_of_a_line_leaves_no_part_of_it(tmp_path: Path) -> None:
    first, second, third = batches(3, size=2000)
    with SinkRun(build, tmp_path, shards=[first.shard]) as run:
        run.deliver([first])
        before = (tmp_path / NAME).read_bytes()
        with file_size_limit(len(before) + 700):
            receipts = [run.write(second), run.write(third)]
            run.sink.flush(deadline=5).exception(5)
            assert {run.failure(receipt).kind for receipt in receipts} == {ErrorKind.UNAVAILABLE}
            assert (tmp_path / NAME).read_bytes() == before
        run.deliver([second, third])
    assert [change["key"]["pk"]["S"] for change in changes(tmp_path / NAME)] == [
        "item-0",
        "item-1",
        "item-2",
    ]


def test_one_sync_makes_many_batches_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = batches(200)
    with SinkRun(build, tmp_path, shards=[made[0].shard]) as run:
        syncs = []
        sync = os.fsync

        def counted(fd: int) -> None:
            syncs.append(fd)
            sync(fd)

        monkeypatch.setattr(os, "fsync", counted)
        run.deliver(made)
        assert 1 <= len(syncs) <= 10


def test_changes_become_durable_without_a_flush(tmp_path: Path) -> None:
    (batch,) = batches(1)
    with SinkRun(build, tmp_path, shards=[batch.shard]) as run:
        run.wait(run.write(batch))


def test_a_disk_that_hangs_holds_back_the_reader_and_not_the_close(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    well = threading.Event()
    sync = os.fsync
    made = batches(20, size=1_000_000)  # more than one append and what may wait behind it
    with SinkRun(build, tmp_path, shards=[made[0].shard]) as run:
        monkeypatch.setattr(os, "fsync", lambda fd: (well.wait(30), sync(fd))[1])
        receipts = []
        try:
            for batch in made:
                receipts.append(run.write_only(batch))
                if not receipts[-1].accepted.done():
                    break
            assert len(receipts) < len(made), "everything was accepted"
            assert not any(receipt.durable.done() for receipt in receipts)
            run.sink.close(deadline=0.05)
            assert all(receipt.durable.exception(0) for receipt in receipts)
        finally:
            well.set()


def test_what_waits_behind_a_failed_sync_is_handed_back_and_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, broken = threading.Event(), threading.Event()
    sync = os.fsync
    made = batches(8, size=900_000)  # more than one append

    def fails_once(fd: int) -> None:
        if not asked.is_set():
            asked.set()
            broken.wait(30)
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        sync(fd)

    with SinkRun(build, tmp_path, shards=[made[0].shard]) as run:
        monkeypatch.setattr(os, "fsync", fails_once)
        receipts = [run.write_only(batch) for batch in made]
        assert asked.wait(10)
        broken.set()
        assert all(run.failure(receipt).kind is ErrorKind.UNAVAILABLE for receipt in receipts)
        run.flush()
        assert changes(tmp_path / NAME) == []
        run.deliver(made)
    assert [change["sequence"] for change in changes(tmp_path / NAME)] == [
        batch.end.sequence for batch in made
    ]


def test_a_file_that_was_moved_away_is_followed_by_a_new_one(tmp_path: Path) -> None:
    first, second = batches(2)
    with SinkRun(build, tmp_path, shards=[first.shard]) as run:
        run.deliver([first])
        (tmp_path / NAME).rename(tmp_path / "rotated.jsonl")
        run.deliver([second])
    for name, sequence in (("rotated.jsonl", first.end.sequence), (NAME, second.end.sequence)):
        assert [change["sequence"] for change in changes(tmp_path / name)] == [sequence]


def test_two_sinks_do_not_write_one_file(tmp_path: Path) -> None:
    with SinkRun(build, tmp_path), pytest.raises(SinkError) as caught, SinkRun(build, tmp_path):
        pass
    assert caught.value.remedy


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    for look in (Appender(tmp_path / "none" / NAME).open, lambda: examine(tmp_path / "none" / NAME)):
        with pytest.raises(SinkError) as caught:
            look()
        assert caught.value.kind is ErrorKind.NOT_FOUND
        assert "none" in caught.value.message


def test_the_probe_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / NAME
    assert "will be created" in examine(path)[0]
    assert list(tmp_path.iterdir()) == []
    path.write_bytes(LINES[0] + LINES[1][:12])
    assert "12 bytes" in examine(path)[1]
    assert path.read_bytes() == LINES[0] + LINES[1][:12]


WRITER = """
import sys
from pathlib import Path
from cdc.testing.sink_run import SinkRun
from tests.unit.test_file_sink import batches, build

made = batches(2000, size=500)
with SinkRun(build, Path(sys.argv[1]), shards=[made[0].shard]) as run:
    for batch in made:
        durable = run.write(batch).durable
        durable.add_done_callback(lambda _, batch=batch: print(batch.end.sequence, flush=True))
    run.flush()
    input()
"""


def test_what_a_killed_process_called_durable_is_there(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        text=True,
    ) as writer:
        assert writer.stdout is not None
        said = [writer.stdout.readline().strip() for _ in range(20)]
        writer.send_signal(signal.SIGKILL)
        said += writer.stdout.read().split()
    kept = [json.loads(line)["sequence"] for line in reopen(tmp_path / NAME).splitlines()]
    assert len(said) >= 20
    assert kept[: len(said)] == said
