import errno
import resource
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from cdc.errors import ErrorKind, SinkError
from cdc.model import Batch, EncodedBatch, RegisteredSchema
from cdc.testing.batches import ShardFeed, Table
from cdc.testing.clock import ManualClock
from cdc.testing.encoding import encode
from cdc.testing.sink_run import SystemClock
from connectors.lake import in_progress
from connectors.lake import sink as sink_module
from connectors.lake.sink import LakeSink
from tests.lake_batches import at_hours, lake_sink
from tests.lake_disks import CountedDisk, FailingDisk
from tests.lake_files import rows, visible_files


def opened(base: Path, *feeds: ShardFeed, **more: object) -> LakeSink:
    sink = lake_sink(base, **more)  # type: ignore[arg-type]
    sink.open()
    sink.claim([feed.key for feed in feeds])
    return sink


def one(feed: ShardFeed, name: str = "a", *, hour: float = 0, end: bool = False) -> Batch:
    feed.put(name)
    return at_hours(feed.batch(end=end), [hour])


def test_the_layout(tmp_path: Path) -> None:
    orders, users = Table("orders").shard(), Table("users").shard()
    sink = opened(tmp_path, orders, users)
    sink.write(encode(one(orders, hour=23.5)))
    sink.write(encode(one(users, hour=24)))
    sink.close(deadline=10)
    lake = tmp_path / "lake"
    folders = {str(path.parent.relative_to(lake)) for path in visible_files(lake)}
    assert folders == {"orders/dt=2026-01-01/hour=23", "users/dt=2026-01-02/hour=00"}
    assert {path.suffix for path in visible_files(lake)} == {".avro"}
    assert {path.name for path in lake.iterdir()} == {"orders", "users", "_cdc"}


def test_nothing_is_visible_before_it_is_durable(tmp_path: Path) -> None:
    shard = Table().shard()
    sink = opened(tmp_path, shard)
    receipt = sink.write(encode(one(shard)))
    assert receipt.accepted.result(0) is None
    assert not receipt.durable.done()
    assert not visible_files(tmp_path / "lake")
    sink.close(deadline=10)
    assert receipt.durable.done()


def test_a_batch_over_several_hours_waits_for_all_its_files(tmp_path: Path) -> None:
    """The last of them is given up: what is left is that batch, undurable, and not the one before it."""
    shard = Table().shard()
    sink = opened(tmp_path, shard)
    first = sink.write(encode(one(shard)))
    shard.put("b")
    shard.put("c")
    second = sink.write(encode(at_hours(shard.batch(), [0, 1])))
    sink._leave([next(iter(sink._files.values()))])
    assert first.durable.done()
    assert not second.durable.done()
    sink.flush(deadline=10).result(0)
    assert second.durable.done()


def test_files_appear_by_time(tmp_path: Path) -> None:
    shard = Table().shard()
    with ThreadPoolExecutor(1) as executor:
        settings = {"flush_after_seconds": 0.05}
        sink = opened(tmp_path, shard, settings=settings, clock=SystemClock(), executor=executor)
        for _ in range(2):
            sink.write(encode(one(shard))).durable.result(10)
        sink.close(deadline=10)
    assert len(visible_files(tmp_path / "lake")) == 2


def test_time_goes_by_the_clock_that_never_goes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink_module, "LOOK_SECONDS", 0.01)
    shard = Table().shard()
    clock = ManualClock()
    with ThreadPoolExecutor(1) as executor:
        sink = opened(tmp_path, shard, clock=clock, executor=executor)
        receipt = sink.write(encode(one(shard)))
        clock.jump_wall(86_400)
        with pytest.raises(TimeoutError):
            receipt.durable.result(0.1)  # longer than the sink goes without a look at the clock
        clock.jump_wall(-2 * 86_400)
        clock.advance(300)
        receipt.durable.result(10)
        sink.close(deadline=10)


def test_a_bug_beside_the_sinks_thread_reaches_the_engine(tmp_path: Path) -> None:
    class Bug(CountedDisk):
        def before(self, call: str) -> None:
            if call == "rename":
                raise ZeroDivisionError

    shard = Table().shard()
    with ThreadPoolExecutor(1) as executor:
        settings = {"flush_after_seconds": 0.05}
        sink = opened(tmp_path, shard, disk=Bug(), settings=settings, clock=SystemClock(), executor=executor)
        receipt = sink.write(encode(one(shard)))
        with pytest.raises(ZeroDivisionError):
            receipt.durable.result(10)
        assert sink._timer is not None
        sink._timer.exception(10)
        with pytest.raises(ZeroDivisionError):
            sink.write(encode(one(shard)))


def test_the_end_of_a_shard_is_durable_now_and_leaves_others_alone(tmp_path: Path) -> None:
    orders, users = Table("orders").shard(), Table("users").shard()
    sink = opened(tmp_path, orders, users)
    other = sink.write(encode(one(users)))
    early = sink.write(encode(one(orders)))
    end = sink.write(encode(one(orders, end=True)))
    assert early.durable.done()
    assert end.durable.done()
    assert not other.durable.done()
    sink.close(deadline=10)


def test_an_empty_batch_waits_for_those_before_it(tmp_path: Path) -> None:
    shard, other = Table().shard(0), Table().shard(1)
    sink = opened(tmp_path, shard, other)
    sink.write(encode(one(shard)))
    empty = sink.write(EncodedBatch(shard.batch()))
    assert empty.accepted.done()
    assert not empty.durable.done()
    assert sink.write(EncodedBatch(other.batch())).durable.done()
    assert sink.write(EncodedBatch(shard.batch(end=True))).durable.done()
    assert empty.durable.done()
    sink.close(deadline=10)


def test_a_new_schema_is_a_new_file(tmp_path: Path) -> None:
    shard = Table().shard()
    sink = opened(tmp_path, shard)
    sink.write(encode(one(shard)))
    later = encode(one(shard, "b"))
    assert later.avro is not None
    text = later.avro.value_schema.text.replace('"Value"', '"Value2"')
    sink.write(
        replace(later, avro=replace(later.avro, value_schema=RegisteredSchema(3, "orders-value", text)))
    )
    sink.close(deadline=10)
    assert [len(list(rows(path))) for path in visible_files(tmp_path / "lake")] == [1, 1]


def test_files_have_about_the_size_that_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_progress, "BLOCK_BYTES", 1000)
    shard = Table().shard()
    sink = opened(tmp_path, shard, settings={"flush_after_megabytes": 0.02, "codec": "null"})
    for number in range(100):
        shard.put("a", text={"S": f"{number}" * 200})
        sink.write(encode(at_hours(shard.batch(), [0])))
    sink.close(deadline=10)
    sizes = sorted(path.stat().st_size for path in visible_files(tmp_path / "lake"))
    assert len(sizes) > 1
    assert all(20_000 <= size < 22_000 for size in sizes[1:])


def test_many_partitions_keep_few_files_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink_module, "MAX_FILES", 3)
    shard = Table().shard()
    sink = opened(tmp_path, shard)
    for number in range(10):
        shard.put(f"{number}")
    receipt = sink.write(encode(at_hours(shard.batch(), [*range(5), *range(5)])))
    assert len(sink._files) == 3
    assert not receipt.durable.done()
    sink.close(deadline=10)
    assert receipt.durable.done()
    assert sum(len(list(rows(path))) for path in visible_files(tmp_path / "lake")) == 10


def test_nothing_of_an_accepted_batch_stays_in_memory(tmp_path: Path) -> None:
    shard = Table().shard()
    sink = opened(tmp_path, shard)
    sink.write(encode(one(shard)))
    (entry,) = sink._receipts.undurable()
    assert entry.encoded.avro is None
    assert not entry.encoded.batch.changes
    assert not entry.encoded.batch.body
    sink.close(deadline=10)


def test_a_change_with_an_impossible_time_is_handed_back_alone(tmp_path: Path) -> None:
    shard = Table().shard()
    shard.put("good")
    shard.put("bad")
    sink = opened(tmp_path, shard)
    batch = at_hours(shard.batch(), [0, 1e8])
    receipt = sink.write(encode(batch))
    sink.close(deadline=10)
    (reject,) = receipt.durable.result(0).rejects
    assert reject.sequence == batch.changes[1].sequence
    assert reject.kind is ErrorKind.REJECTED
    assert sum(len(list(rows(path))) for path in visible_files(tmp_path / "lake")) == 1


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EACCES, errno.EROFS])
def test_what_the_outside_does_to_a_write_is_in_its_receipt(tmp_path: Path, error: int) -> None:
    shard = Table().shard()
    disk = FailingDisk()
    sink = opened(tmp_path, shard, disk=disk)
    disk.fail(error, calls=100)
    receipt = sink.write(encode(one(shard)))
    for failed in (receipt.accepted.exception(0), receipt.durable.exception(0)):
        assert isinstance(failed, SinkError)
        assert failed.kind is ErrorKind.UNAVAILABLE
        assert str(tmp_path / "lake") in failed.message
    disk.mend()
    sink.close(deadline=10)


def test_what_only_a_bug_does_is_raised(tmp_path: Path) -> None:
    shard = Table().shard()
    disk = FailingDisk()
    sink = opened(tmp_path, shard, disk=disk)
    disk.fail(errno.EBADF)
    with pytest.raises(OSError, match="Bad file descriptor"):
        sink.write(encode(one(shard)))


def test_open_says_that_access_is_denied(tmp_path: Path) -> None:
    disk = FailingDisk()
    disk.fail(errno.EACCES)
    with pytest.raises(SinkError) as denied:
        lake_sink(tmp_path, disk=disk).open()
    assert denied.value.kind is ErrorKind.ACCESS_DENIED


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """A real limit of the operating system, met in the middle of a write (setrlimit(2), RLIMIT_FSIZE)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_no_part_of_a_file(tmp_path: Path) -> None:
    shard = Table().shard()
    sink = opened(tmp_path, shard, settings={"codec": "null"})
    durable = sink.write(encode(one(shard)))
    sink.flush(deadline=10).result(0)
    shard.put("large", text={"S": "x" * 100_000})
    large = encode(at_hours(shard.batch(), [0]))
    later = encode(one(shard))
    with no_file_larger_than(50_000):
        receipts = [sink.write(large), sink.write(later)]
        assert isinstance(sink.flush(deadline=10).exception(0), SinkError)
        assert all(isinstance(receipt.durable.exception(0), SinkError) for receipt in receipts)
    assert durable.durable.done()
    assert len(visible_files(tmp_path / "lake")) == 1
    assert not list((tmp_path / "lake" / "_cdc").rglob("*.avro")), "still takes room"
    receipts = [sink.write(large), sink.write(later)]
    sink.flush(deadline=10).result(0)
    assert all(receipt.durable.exception(0) is None for receipt in receipts)
    assert [len(list(rows(path))) for path in visible_files(tmp_path / "lake")].count(2) == 1
    sink.close(deadline=10)


def test_a_flush_out_of_time_fails_and_loses_nothing(tmp_path: Path) -> None:
    shard = Table().shard()
    sink = opened(tmp_path, shard)
    receipt = sink.write(encode(one(shard)))
    assert isinstance(sink.flush(deadline=0).exception(0), SinkError)
    assert not receipt.durable.done()
    sink.flush(deadline=1).result(0)
    assert receipt.durable.done()


def test_a_lake_that_was_removed_is_made_anew(tmp_path: Path) -> None:
    shard = Table().shard()
    sink = opened(tmp_path, shard)
    lost = encode(one(shard))
    sink.write(lost)
    shutil.rmtree(tmp_path / "lake")
    assert isinstance(sink.flush(deadline=10).exception(0), SinkError)
    assert not (tmp_path / "lake").exists()
    receipt = sink.write(lost)
    sink.flush(deadline=10).result(0)
    receipt.durable.result(0)
    assert len(visible_files(tmp_path / "lake")) == 1
    sink.close(deadline=10)


def test_a_shard_that_is_claimed_again_may_begin_anywhere(tmp_path: Path) -> None:
    shard = Table().shard()
    disk = FailingDisk()
    sink = opened(tmp_path, shard, disk=disk)
    disk.fail(errno.EIO)
    sink.write(encode(one(shard)))
    later = encode(one(shard))
    assert isinstance(sink.write(later).accepted.exception(0), SinkError)
    sink.open()
    sink.claim([shard.key])
    assert sink.write(later).accepted.exception(0) is None
    sink.close(deadline=10)


def test_a_claim_removes_what_a_dead_writer_left_and_nothing_else(tmp_path: Path) -> None:
    shard = Table().shard()
    dead = opened(tmp_path, shard)
    dead.write(encode(one(shard)))
    left = list((tmp_path / "lake" / "_cdc").rglob("*.avro"))
    foreign = tmp_path / "lake" / "_cdc" / "in-progress" / "other.lake" / "w" / "file.avro"
    foreign.parent.mkdir(parents=True)
    foreign.write_text("another pipeline's")
    sink = lake_sink(tmp_path)
    sink.open()
    assert [path.exists() for path in left] == [True]
    sink.claim([shard.key])
    assert [path.exists() for path in left] == [False]
    assert foreign.exists()
    receipt = sink.write(encode(one(shard)))
    sink.claim([shard.key])
    sink.close(deadline=10)
    receipt.durable.result(0)


def test_a_writer_whose_files_were_taken_hands_its_batches_back(tmp_path: Path) -> None:
    shard = Table().shard()
    zombie = opened(tmp_path, shard)
    stale = zombie.write(encode(one(shard)))
    opened(tmp_path, shard).close(deadline=10)
    assert isinstance(zombie.flush(deadline=10).exception(0), SinkError)
    assert isinstance(stale.durable.exception(0), SinkError)
    assert not visible_files(tmp_path / "lake")
