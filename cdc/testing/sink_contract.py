"""What every `Sink` does, as test cases to be subclassed:

    class TestLake(ContentCases, OutageCases, PositionCases):
        def make_sink(self, context: SinkContext) -> Sink: ...
        def read_back(self, base: Path) -> Content: ...

`SinkCases` hold for all sinks. The others are for what not all have: `ContentCases` for a destination that can be read,
`OutageCases` for one that can be down. In `cdc.testing.position_contract`: `PositionCases` for sinks whose `claim` answers
with positions, `FencingCases` for those that shut out the writer before as well.

pytest finds the cases by the subclass's name (`Test...`); each asks for `tmp_path` alone. What a subclass has to set up
(a server) is its own fixtures' business. `pytest.register_assert_rewrite("cdc.testing")` in a `conftest.py` has failures
explained in full.
"""

from collections.abc import Callable, Collection
from concurrent.futures import Future
from pathlib import Path
from typing import ClassVar

from cdc.connector import SinkContext
from cdc.errors import ErrorKind, SinkError
from cdc.model import Batch, Durability, EncodedBatch
from cdc.ports import Sink
from cdc.testing.batches import EVERY_TYPE, ShardFeed, Table
from cdc.testing.content import Content, canonical, content_of, fold, once
from cdc.testing.sink_run import SinkRun


def history(feed: ShardFeed, name: str = "a", *, batches: int = 5) -> list[Batch]:
    """Batches in which one item comes, changes and goes, next to others that stay."""
    cut = []
    for number in range(batches):
        feed.put(name, n={"N": str(number)})
        feed.put(f"{name}-{number}", n={"N": str(number)})
        feed.put(name, n={"N": str(number)}, again={"BOOL": True})
        if number % 2:
            feed.delete(name)
        cut.append(feed.batch())
    return cut


class SinkCases:
    """Cases for every sink."""

    patience: ClassVar[float] = 10.0
    """Seconds that an answer of this sink may take."""

    def make_sink(self, context: SinkContext) -> Sink:
        """A new sink on the destination that belongs to the folder `context.base`; not opened."""
        raise NotImplementedError

    def encode(self, batch: Batch) -> EncodedBatch:
        """Override with `cdc.testing.encoding.encode`, or the real one, where the sink takes Avro."""
        return EncodedBatch(batch)

    def run(self, base: Path, *feeds: ShardFeed, open_sink: bool = True) -> SinkRun:
        shards = [feed.key for feed in feeds]
        return SinkRun(
            self.make_sink,
            base,
            encode=self.encode,
            shards=shards,
            patience=self.patience,
            open_sink=open_sink,
        )

    def test_opens_again(self, tmp_path: Path) -> None:
        shard = Table().shard()
        with self.run(tmp_path, shard) as run:
            run.sink.open()
            run.sink.claim([shard.key])
            run.deliver(history(shard, batches=1))

    def test_closes_without_having_been_opened(self, tmp_path: Path) -> None:
        with self.run(tmp_path, open_sink=False):
            pass

    def test_knows_nothing_of_new_shards(self, tmp_path: Path) -> None:
        shard = Table().shard()
        with self.run(tmp_path) as run:
            claimed = run.sink.claim([shard.key])
            assert claimed is None or shard.key not in claimed

    def test_accepts_then_makes_durable(self, tmp_path: Path) -> None:
        shard = Table().shard()
        shard.put("a", **EVERY_TYPE)
        with self.run(tmp_path, shard) as run:
            receipt = run.write(shard.batch())
            receipt.accepted.result(0)
            run.flush()
            (durability,) = run.wait(receipt)
            assert not durability.rejects

    def test_durables_come_in_order(self, tmp_path: Path) -> None:
        shard = Table().shard()
        with self.run(tmp_path, shard) as run:
            run.deliver(history(shard, batches=20))

    def test_takes_empty_batches_and_the_shards_end(self, tmp_path: Path) -> None:
        shard = Table().shard()
        empty = shard.batch()
        shard.put("a")
        with self.run(tmp_path, shard) as run:
            run.deliver([empty, shard.batch(), shard.batch(), shard.batch(end=True)])

    def test_takes_the_end_of_a_shard_without_changes(self, tmp_path: Path) -> None:
        shard = Table().shard()
        with self.run(tmp_path, shard) as run:
            run.deliver([shard.batch(end=True)])

    def test_goes_from_parent_to_child(self, tmp_path: Path) -> None:
        table = Table()
        parent, child = table.shard(0), table.shard(1)
        with self.run(tmp_path, parent) as run:
            parent.put("a", n={"N": "1"})
            run.deliver([parent.batch(end=True)])
            run.sink.claim([child.key])
            child.put("a", n={"N": "2"})
            run.deliver([child.batch()])

    def test_flush_makes_all_that_was_accepted_durable(self, tmp_path: Path) -> None:
        table = Table()
        shards = [table.shard(number) for number in range(3)]
        with self.run(tmp_path, *shards) as run:
            receipts = [run.write(batch) for shard in shards for batch in history(shard, shard.key.shard)]
            run.flush()
            assert all(receipt.durable.done() for receipt in receipts)
            run.wait(*receipts)

    def test_flush_of_nothing(self, tmp_path: Path) -> None:
        with self.run(tmp_path, Table().shard()) as run:
            run.flush()
            run.flush()

    def test_shards_interleave(self, tmp_path: Path) -> None:
        table = Table()
        shards = [table.shard(number) for number in range(5)]
        pages = zip(*(history(shard, f"item-{n}") for n, shard in enumerate(shards)), strict=True)
        with self.run(tmp_path, *shards) as run:
            run.deliver(batch for page in pages for batch in page)

    def test_takes_a_batch_that_it_has_already(self, tmp_path: Path) -> None:
        shard = Table().shard()
        batches = history(shard)
        with self.run(tmp_path, shard) as run:
            run.deliver(batches)
            run.deliver(batches[-1:])

    def test_releases_and_claims_again(self, tmp_path: Path) -> None:
        table = Table()
        shard, other = table.shard(0), table.shard(1)
        with self.run(tmp_path, shard, other) as run:
            run.deliver([*history(shard, "a"), *history(other, "b")])
            run.sink.release([shard.key])
            run.deliver(history(other, "c"))
            run.sink.claim([shard.key])
            run.deliver(history(shard, "a"))

    def test_closes_in_time_with_batches_in_flight(self, tmp_path: Path) -> None:
        table = Table()
        shards = [table.shard(number) for number in range(3)]
        with self.run(tmp_path, *shards) as run:
            for shard in shards:
                for batch in history(shard, shard.key.shard):
                    run.write(batch)
            run.close(deadline=2.0)

    def test_a_new_instance_goes_on(self, tmp_path: Path) -> None:
        shard = Table().shard()
        for _ in range(3):
            with self.run(tmp_path, shard) as run:
                run.deliver(history(shard))


class ContentCases(SinkCases):
    """Cases for a sink whose destination can be read."""

    keeps_history: ClassVar[bool] = True
    """Whether `read_back` gives all states of an item, or only the last."""

    def read_back(self, base: Path) -> Content:
        """All that the destination belonging to this folder holds; asked for while no sink is open on it, or all that
        was written is durable. An item that is gone may be absent, or have a last state without image."""
        raise NotImplementedError

    def holds(self, base: Path, batches: Collection[Batch]) -> None:
        """Fails unless the destination holds what these batches make, each state once or more, in order per item."""
        expected, found = content_of(batches), self.read_back(base)
        assert fold(found) == fold(expected)
        if not self.keeps_history:
            return
        assert once(found) == once(expected)
        written = {state.version: state for states in expected.values() for state in states}
        for states in found.values():
            for state in states:
                as_written = written[state.version]
                assert state.op in {as_written.op, ""}
                assert canonical(state.image) == canonical(as_written.image)

    def test_holds_every_change(self, tmp_path: Path) -> None:
        table = Table()
        shards = [table.shard(number) for number in range(3)]
        batches = [batch for n, shard in enumerate(shards) for batch in history(shard, f"item-{n}")]
        with self.run(tmp_path, *shards) as run:
            run.deliver(batches)
        self.holds(tmp_path, batches)

    def test_holds_every_value_as_it_was(self, tmp_path: Path) -> None:
        shard = Table().shard()
        shard.put("a", **EVERY_TYPE)
        shard.put("b")
        shard.put("b", **EVERY_TYPE)
        batch = shard.batch()
        with self.run(tmp_path, shard) as run:
            run.deliver([batch])
        self.holds(tmp_path, [batch])

    def test_durable_means_readable_without_close(self, tmp_path: Path) -> None:
        shard = Table().shard()
        batches = history(shard)
        with self.run(tmp_path, shard) as run:
            run.deliver(batches)
            self.holds(tmp_path, batches)

    def test_holds_deletes_of_all_kinds(self, tmp_path: Path) -> None:
        shard = Table().shard()
        for name in ("plain", "ttl", "back"):
            shard.put(name)
        shard.delete("plain")
        shard.delete("ttl", by_ttl=True)
        shard.delete("back")
        shard.put("back", new={"BOOL": True})
        batch = shard.batch()
        with self.run(tmp_path, shard) as run:
            run.deliver([batch])
        self.holds(tmp_path, [batch])

    def test_redelivery_changes_nothing(self, tmp_path: Path) -> None:
        shard = Table().shard()
        batches = history(shard)
        with self.run(tmp_path, shard) as run:
            run.deliver(batches)
            for first in range(len(batches)):
                run.deliver(batches[first:])
        self.holds(tmp_path, batches)

    def test_a_crash_and_a_second_delivery_lose_nothing(self, tmp_path: Path) -> None:
        shard = Table().shard()
        batches = history(shard, batches=8)
        with self.run(tmp_path, shard) as run:
            run.deliver(batches[:2])
            receipts = [run.write(batch) for batch in batches[2:6]]
            run.close(deadline=0.0)
            durable = [_is_durable(receipt.durable) for receipt in receipts]
        with self.run(tmp_path, shard) as run:
            run.deliver(batches[2 + sum(durable) :])
        self.holds(tmp_path, batches)

    def test_a_new_instance_keeps_what_was_there(self, tmp_path: Path) -> None:
        shard = Table().shard()
        batches = []
        for _ in range(3):
            with self.run(tmp_path, shard) as run:
                batches += (more := history(shard))
                run.deliver(more)
        self.holds(tmp_path, batches)


class OutageCases(ContentCases):
    """Cases for a sink whose destination can be down, and come back."""

    def break_it(self, base: Path) -> None:
        """Takes the destination down: from now on it can be neither opened nor written."""
        raise NotImplementedError

    def mend_it(self, base: Path) -> None:
        """Brings the destination back, with all that was durable."""
        raise NotImplementedError

    def test_hands_back_in_order_and_takes_again(self, tmp_path: Path) -> None:
        shard = Table().shard()
        batches = history(shard, batches=8)
        with self.run(tmp_path, shard) as run:
            run.deliver(batches[:3])
            self.break_it(tmp_path)
            lost = [run.write(batch) for batch in batches[3:6]]
            run.sink.flush(deadline=self.patience).exception(self.patience)
            assert {run.failure(receipt).kind for receipt in lost} == {ErrorKind.UNAVAILABLE}
            self.mend_it(tmp_path)
            run.deliver(batches[3:])
        self.holds(tmp_path, batches)

    def test_a_batch_under_way_does_not_overtake_what_was_handed_back(self, tmp_path: Path) -> None:
        """The engine may have sent the next batch before it heard of the failure: that one fails too, also when the
        destination is well again."""
        shard = Table().shard()
        batches = history(shard, batches=4)
        with self.run(tmp_path, shard) as run:
            run.deliver(batches[:1])
            self.break_it(tmp_path)
            receipt = run.write(batches[1])
            run.sink.flush(deadline=self.patience).exception(self.patience)
            run.failure(receipt)
            self.mend_it(tmp_path)
            under_way = run.write(batches[2])
            run.sink.flush(deadline=self.patience).exception(self.patience)
            run.failure(under_way)
            run.deliver(batches[1:])
        self.holds(tmp_path, batches)

    def test_other_shards_are_handed_back_likewise(self, tmp_path: Path) -> None:
        table = Table()
        shards = [table.shard(number) for number in range(3)]
        cut = [history(shard, f"item-{n}", batches=2) for n, shard in enumerate(shards)]
        with self.run(tmp_path, *shards) as run:
            run.deliver(first for first, _ in cut)
            self.break_it(tmp_path)
            lost = [run.write(second) for _, second in cut]
            run.sink.flush(deadline=self.patience).exception(self.patience)
            assert all(run.failure(receipt).kind is ErrorKind.UNAVAILABLE for receipt in lost)
            self.mend_it(tmp_path)
            run.deliver(second for _, second in cut)
        self.holds(tmp_path, [batch for both in cut for batch in both])

    def test_does_not_open_while_the_destination_is_down_and_opens_later(self, tmp_path: Path) -> None:
        shard = Table().shard()
        batches = history(shard)
        with self.run(tmp_path, shard) as run:
            run.deliver(batches[:1])
        self.break_it(tmp_path)
        with self.run(tmp_path, shard, open_sink=False) as run:
            error = _error_of(run.sink.open)
            self.mend_it(tmp_path)
            assert error.kind is ErrorKind.UNAVAILABLE
            run.sink.open()
            run.sink.claim([shard.key])
            run.deliver(batches[1:])
        self.holds(tmp_path, batches)

    def test_closes_in_time_while_the_destination_is_down(self, tmp_path: Path) -> None:
        shard = Table().shard()
        batches = history(shard)
        with self.run(tmp_path, shard) as run:
            run.deliver(batches[:1])
            self.break_it(tmp_path)
            run.write_only(batches[1])
            run.close(deadline=1.0)
        self.mend_it(tmp_path)
        with self.run(tmp_path, shard) as run:
            run.deliver(batches[1:])
        self.holds(tmp_path, batches)


def _is_durable(durable: "Future[Durability]") -> bool:
    return durable.done() and not durable.cancelled() and durable.exception() is None


def _error_of(call: Callable[[], object]) -> SinkError:
    try:
        call()
    except SinkError as error:
        return error
    raise AssertionError("no SinkError, although the destination is down")
