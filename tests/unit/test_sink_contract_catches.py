"""The sink cases fail for sinks that break the rules: one way to be wrong per sink."""

import threading
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest

from cdc.connector import SinkContext
from cdc.model import Batch, Durability, EncodedBatch, Position, ShardKey
from cdc.ports import Receipt, Sink
from cdc.receipts import Receipts, Undurable
from cdc.testing import sink_run
from cdc.testing.content import Content
from cdc.testing.fakes import Faults, MemoryDestination, MemorySink
from cdc.testing.faults import Hold
from cdc.testing.position_contract import FencingCases
from cdc.testing.sink_contract import OutageCases


class LosesTheLast(MemorySink):
    def write(self, batch: EncodedBatch) -> Receipt:
        receipt = super().write(batch)
        if batch.batch.changes and receipt.durable.done():
            self.destination.delivered.pop()
        return receipt


class SaysDurableTooEarly(MemorySink):
    def write(self, batch: EncodedBatch) -> Receipt:
        receipt = Receipt(Future(), Future())
        receipt.durable.set_result(Durability())
        receipt.accepted.set_result(None)
        return receipt


class DoesNotFlush(MemorySink):
    def write(self, batch: EncodedBatch) -> Receipt:
        self.faults.next("write", Hold())
        return super().write(batch)

    def let_go(self) -> None:
        pass

    def flush(self, *, deadline: float) -> "Future[None]":
        flushed: Future[None] = Future()
        flushed.set_result(None)
        return flushed


class Overtakes(MemorySink):
    def __init__(self, destination: MemoryDestination, faults: Faults, *, keeps_positions: bool) -> None:
        super().__init__(destination=destination, faults=faults, keeps_positions=keeps_positions)
        self._receipts = TakesWhateverComes()


class TakesWhateverComes(Receipts):
    def take(self, encoded: EncodedBatch) -> Undurable | Receipt:
        self.forget(encoded.batch.shard)
        return super().take(encoded)


class ForgetsPositions(MemorySink):
    def claim(self, shards: Collection[ShardKey]) -> Mapping[ShardKey, Position] | None:
        super().claim(shards)
        return {}


class DoesNotFence(MemorySink):
    def write(self, batch: EncodedBatch) -> Receipt:
        self.destination.writers[batch.batch.shard] = self
        return super().write(batch)


class GoesBack(MemorySink):
    """Takes dead letters that are sent again for places to go on from."""

    def write(self, batch: EncodedBatch) -> Receipt:
        return super().write(replace(batch, batch=replace(batch.batch, replayed=False)))


class LeavesAThread(MemorySink):
    def open(self) -> None:
        super().open()
        threading.Thread(target=threading.Event().wait, args=(8,), daemon=True).start()


class TurnsTheOrder(MemorySink):
    def write(self, batch: EncodedBatch) -> Receipt:
        receipt = super().write(batch)
        self.destination.delivered.reverse()
        return receipt


class Cases(FencingCases, OutageCases):
    """Not collected: its name does not begin with Test."""

    patience = 0.5

    def __init__(self, make: Callable[..., MemorySink]) -> None:
        self.make = make
        self.destination = MemoryDestination()
        self.faults = Faults()

    def make_sink(self, context: SinkContext) -> Sink:
        return self.make(destination=self.destination, faults=self.faults, keeps_positions=True)

    def read_back(self, base: Path) -> Content:
        return self.destination.content()

    def encode(self, batch: Batch) -> EncodedBatch:
        return EncodedBatch(batch)

    def break_it(self, base: Path) -> None:
        self.faults.outage("open", "write")

    def mend_it(self, base: Path) -> None:
        self.faults.mend()


@pytest.mark.parametrize(
    ("wrong", "case"),
    [
        (LosesTheLast, Cases.test_holds_every_change),
        (SaysDurableTooEarly, Cases.test_durable_means_readable_without_close),
        (DoesNotFlush, Cases.test_flush_makes_all_that_was_accepted_durable),
        (Overtakes, Cases.test_a_batch_under_way_does_not_overtake_what_was_handed_back),
        (ForgetsPositions, Cases.test_claim_answers_with_the_last_durable_position),
        (DoesNotFence, Cases.test_another_claim_fences_the_first_writer),
        (GoesBack, Cases.test_what_is_replayed_is_no_place_to_go_on_from),
        (LeavesAThread, Cases.test_opens_again),
        (TurnsTheOrder, Cases.test_holds_every_change),
    ],
)
def test_a_wrong_sink_fails(
    wrong: Callable[..., MemorySink],
    case: Callable[[Cases, Path], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sink_run, "CLOSE_SLACK_SECONDS", 0.2)
    case(Cases(MemorySink), tmp_path)
    with pytest.raises((AssertionError, TimeoutError)):
        case(Cases(wrong), tmp_path)
