import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace

import pytest

from cdc.model import Batch
from cdc.ports import Receipt
from cdc.testing.batches import ShardFeed, Table
from cdc.testing.encoding import encode
from connectors.lake import sink as sink_module
from connectors.lake.s3.storage import LEAST_PART_BYTES, PART_BYTES
from connectors.lake.storage import Terms
from tests.lake_batches import at_hours
from tests.lake_files import content_of_files
from tests.s3.server import Hold, Refuse, S3Server
from tests.unit.lake_s3.sinks import THREADS, large, opened, small, wait_for

MEGABYTE = 1_000_000


@pytest.fixture
def blackhole() -> Iterator[str]:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.s3.blackhole"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        process.kill()


def test_many_partitions_take_no_more_memory_than_is_set(blackhole: str) -> None:
    """80 MB over 50 partitions, as the allocator counts them: with the parts of real uploads, and threads."""
    limit = 16 * MEGABYTE
    terms = Terms(PART_BYTES, LEAST_PART_BYTES, limit, attempts=1, threads=2)
    shard = Table().shard()
    for number in range(5):
        shard.put(f"item-{number}", text={"S": "x" * 200_000})
    batch = shard.batch()
    most_held, peak = 0, 0
    with opened(blackhole, shard, terms=terms, flush_after_megabytes=64) as sink:
        tracemalloc.start()
        try:
            for number in range(80):
                first = number * 5 % 50
                receipt = sink.write(encode(at_hours(batch, [float(first + hour) for hour in range(5)])))
                with sink._lock:
                    held = sink._lanes.held + sum(file.held for file in sink._files.values())
                most_held = max(most_held, held)
                receipt.accepted.result(30)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert limit / 2 < most_held < limit + 2 * MEGABYTE, "the limit and one batch"
    assert peak < limit + 5 * MEGABYTE  # and what it takes to encode a batch, and to make calls


def test_batches_wait_while_the_store_is_slow(s3: S3Server) -> None:
    """What is on its way cannot be given up: the next batch of the shard is not asked for. Other calls go on."""
    terms = replace(THREADS, memory_bytes=4_000)
    shard = Table().shard()
    hold = Hold(threading.Event())
    s3.fault = lambda request: hold if request.body else None
    with opened(s3, shard, terms=terms) as sink:
        receipts: list[Receipt] = []
        while not receipts or receipts[-1].accepted.done():
            receipts.append(sink.write(encode(large(shard))))
            if len(receipts) == 20:
                break
        durable = [receipt.durable.done() for receipt in receipts]
        hold.event.set()
        assert 2 < len(receipts) < 20
        assert not any(durable)
        receipts[-1].accepted.result(10)
        sink.flush(deadline=10).result(10)


def test_it_is_the_fullest_file_that_hands_over_and_the_oldest_that_is_closed(s3: S3Server) -> None:
    shards = [Table(name).shard() for name in ("old", "full", "new")]
    terms = replace(THREADS, chunk_bytes=10_000, least_chunk_bytes=3_000, memory_bytes=7_000)
    s3.store.least_part_bytes = 3_000
    with opened(s3, *shards, terms=terms) as sink:

        def write(feed: ShardFeed, size: int) -> Batch:
            feed.put("item", text={"S": "x" * size})
            batch = at_hours(feed.batch(), [0])
            sink.write(encode(batch))
            return batch

        old, full, new = shards
        batches = [write(old, 1_000), write(full, 100), write(new, 1)]
        assert s3.operations()[2:] == []
        batches.append(write(full, 2_900))
        wait_for(lambda: "UploadPart" in s3.operations())
        assert not s3.store.objects
        assert {upload.key.split("/")[1] for upload in s3.store.uploads.values()} == {"full"}
        assert len(sink._files) == 3
        batches.append(write(new, 1_700))
        wait_for(lambda: bool(s3.store.objects))
        assert {key.split("/")[1] for key in s3.store.objects} == {"old"}
        sink.flush(deadline=10).result(10)
    assert len(s3.store.objects) == 3
    written = sum(len(batch.changes) for batch in batches)
    assert sum(len(states) for states in content_of_files(s3.store.objects).values()) == written


def test_files_that_leave_are_few_as_well(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many small ones none is large, and each is a file all the same."""
    monkeypatch.setattr(sink_module, "MAX_FILES", 3)
    shard = Table().shard()
    hold = Hold(threading.Event())
    s3.fault = lambda request: hold if request.body else None
    with opened(s3, shard, flush_after_megabytes=0.000001) as sink:
        receipts = [sink.write(encode(small(shard, hour=hour))) for hour in range(5)]
        accepted = [receipt.accepted.done() for receipt in receipts]
        hold.event.set()
        assert accepted == [True] * 4 + [False]
        receipts[-1].durable.result(10)


def test_what_is_given_up_is_out_of_memory(s3: S3Server) -> None:
    """Also what waited behind a call that was being made."""
    slow, denied = Table("slow").shard(), Table("denied").shard()
    hold = Hold(threading.Event())
    s3.fault = lambda request: (
        hold
        if "/slow/" in request.key and request.operation == "UploadPart"
        else Refuse("AccessDenied", 403)
        if "/denied/" in request.key
        else None
    )
    with opened(s3, slow, denied) as sink:
        receipts = [sink.write(encode(large(slow))) for _ in range(3)]
        reached = hold.reached.acquire(timeout=10)
        sink.write(encode(large(denied))).durable.exception(10)
        handed_back = [receipt.durable.done() for receipt in receipts]
        held = sink._lanes.held
        hold.event.set()
        assert reached
        assert all(handed_back)
        assert held < 2 * THREADS.chunk_bytes, "of the three only the one that is being sent"
        wait_for(lambda: sink._lanes.is_idle)
        assert not sink._lanes.held
        assert not s3.store.uploads
