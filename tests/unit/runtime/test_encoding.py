"""Sinks at one place of a shard have a page encoded once."""

import threading
from collections.abc import Sequence

import pytest

from cdc.errors import ErrorKind, RegistryError
from cdc.model import Batch, Change, EncodedBatch
from cdc.runtime.encoding import SharedEncoder
from cdc.testing.batches import Table


class CountingEncoder:
    """Remembers what it was given."""

    def __init__(self) -> None:
        self.given: list[Sequence[Change]] = []

    def encode(self, batch: Batch) -> EncodedBatch:
        self.given.append(batch.changes)
        return EncodedBatch(batch)


def _two_pages() -> tuple[Batch, Batch]:
    shard = Table("orders").shard()
    shard.put("a")
    shard.put("b")
    first = shard.batch()
    shard.put("c")
    shard.put("d")
    return first, shard.batch()


@pytest.mark.parametrize("page", [0, 1], ids=["at the beginning of the shard", "in its middle"])
def test_sinks_at_one_place_share_one_encoding(page: int) -> None:
    batch = _two_pages()[page]
    counting = CountingEncoder()
    shared = SharedEncoder(counting)
    for _ in range(3):
        assert shared.encode(batch.after(batch.start)).batch.changes == batch.changes
    assert len(counting.given) == 1


def test_a_sink_in_the_middle_of_the_page_gets_its_own_part() -> None:
    first, second = _two_pages()
    both = Batch(
        first.stream, first.shard, first.start, second.end, [*first.changes, *second.changes], first.read_at
    )
    counting = CountingEncoder()
    shared = SharedEncoder(counting)
    assert shared.encode(both.after(first.start)).batch.changes == both.changes
    behind = shared.encode(both.after(first.end)).batch
    assert (behind.start, behind.changes) == (first.end, second.changes)
    assert [len(changes) for changes in counting.given] == [4, 2]


class FailingOnce:
    def __init__(self) -> None:
        self.entered = threading.Event()
        self.go_on = threading.Event()
        self.calls = 0

    def encode(self, batch: Batch) -> EncodedBatch:
        self.calls += 1
        if self.calls == 1:
            self.entered.set()
            assert self.go_on.wait(5)
            raise RegistryError(ErrorKind.UNAVAILABLE, "no disk")
        return EncodedBatch(batch)


def test_a_failure_is_everybody_s_who_waited_and_is_not_remembered() -> None:
    batch = _two_pages()[1]
    encoder = FailingOnce()
    shared = SharedEncoder(encoder)
    failed: list[BaseException] = []

    def encode() -> None:
        try:
            shared.encode(batch)
        except RegistryError as error:
            failed.append(error)

    threads = [threading.Thread(target=encode) for _ in range(2)]
    threads[0].start()
    assert encoder.entered.wait(5)
    threads[1].start()
    encoder.go_on.set()
    for thread in threads:
        thread.join(5)
    # The second one waited, or came when it was over and had it done again.
    assert encoder.calls - 1 + len(failed) == 2
    assert shared.encode(batch).batch is batch
