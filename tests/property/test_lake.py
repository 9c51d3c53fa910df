"""Any order of writes, flushes, failures of the storage and reopenings: what is durable survives a power failure, nothing
half written is visible, and in the end everything is there, in order."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cdc.errors import SinkError
from cdc.model import Batch
from cdc.ports import Receipt
from cdc.testing.batches import Table
from cdc.testing.content import Content, content_of, once
from cdc.testing.encoding import encode
from connectors.lake import in_progress
from connectors.lake import sink as sink_module
from connectors.lake.s3.client import create_client
from tests.lake_batches import at_hours
from tests.lake_worlds import FAULTS, Bucket, Folder, World
from tests.s3.lakes import s3_config, set_credentials
from tests.s3.server import S3Server, s3_server

SHARDS = 3
LARGEST_BATCH = 4_000
"""Bytes of the rows of one."""


@dataclass
class Write:
    shard: int
    hours: list[float]
    items: list[str] = field(default_factory=list)
    end: bool = False


@dataclass
class Flush:
    shards: list[int] | None


@dataclass
class Fail:
    fault: int
    at: int
    calls: int


@dataclass
class Reopen:
    claim: bool


@dataclass
class PassTime:
    pass


Step = Write | Flush | Fail | Reopen | PassTime

writes = st.builds(
    Write,
    st.integers(0, SHARDS - 1),
    st.lists(st.floats(0, 3), max_size=6),
    end=st.sampled_from([False] * 9 + [True]),
)
steps = st.lists(
    st.one_of(
        writes,
        writes,
        writes,
        st.builds(Flush, st.none() | st.lists(st.integers(0, SHARDS - 1), max_size=2)),
        st.builds(
            Fail,
            st.integers(0, FAULTS - 1),
            at=st.integers(0, 25),
            calls=st.sampled_from([1, 1, 2, 40]),
        ),
        st.builds(Reopen, st.booleans()),
        st.builds(PassTime),
    ),
    min_size=1,
    max_size=15,
)
megabytes = st.sampled_from([128, 0.0005])


class Engine:
    """Sends a shard's batches in order, and those that come back again."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.sink = world.sink
        table = Table()
        self.feeds = [table.shard(number) for number in range(SHARDS)]
        self.cut: list[list[Batch]] = [[] for _ in self.feeds]
        self.sent: list[list[Receipt]] = [[] for _ in self.feeds]
        self.sink.open()
        self.sink.claim([feed.key for feed in self.feeds])

    def cut_batch(self, write: Write) -> None:
        feed, batches = self.feeds[write.shard], self.cut[write.shard]
        if batches and batches[-1].end.place == 2:
            return
        for number, _ in enumerate(write.hours):
            feed.put(f"{write.shard}-{number}", n={"N": str(len(batches))})
        batches.append(at_hours(feed.batch(end=write.end), write.hours))

    def send(self) -> None:
        """What has not been sent, or came back; one unaccepted batch of a shard at most."""
        for batches, sent in zip(self.cut, self.sent, strict=True):
            durables = [receipt.durable for receipt in sent]
            failed = next(
                (n for n, d in enumerate(durables) if d.done() and d.exception() is not None), len(sent)
            )
            for durable in durables[failed:]:
                error = durable.exception(0)  # all later ones came back as well
                assert isinstance(error, SinkError)
                assert error.kind in self.world.kinds
            del sent[failed:]
            while len(sent) < len(batches) and (not sent or sent[-1].accepted.done()):
                receipt = self.sink.write(encode(batches[len(sent)]))
                sent.append(receipt)
                if receipt.accepted.done() and receipt.accepted.exception() is not None:
                    return

    def durable(self) -> list[Batch]:
        durable = []
        for batches, sent in zip(self.cut, self.sent, strict=True):
            answers = [r.durable.done() and r.durable.exception() is None for r in sent]
            assert answers == sorted(answers, reverse=True), "durable, but not what came before it"
            durable += [batch for batch, is_durable in zip(batches, answers, strict=False) if is_durable]
        return durable

    def check(self) -> None:
        assert versions(content_of(self.durable())) <= versions(self.world.safe())
        written = content_of(batch for batches in self.cut for batch in batches)
        assert versions(self.world.visible()) <= versions(written)
        held = self.sink._lanes.held + sum(file.held for file in self.sink._files.values())
        assert held <= self.world.memory_bytes + SHARDS * LARGEST_BATCH

    def do(self, step: Step) -> None:
        match step:
            case Write():
                self.cut_batch(step)
                self.send()
            case Flush(None):
                flushed = self.sink.flush(deadline=1e6)
                self.world.pass_time()
                assert flushed.exception(0) is None or self.world.failed
            case Flush(shards):
                self._or_failed(
                    lambda: self.sink.release([self.feeds[number].key for number in shards or ()])
                )
            case Fail(fault, at, calls):
                self.world.fail(fault, at=at, calls=calls)
            case Reopen(claim):
                self._or_failed(lambda: self._reopen(claim=claim))
            case PassTime():
                self.world.pass_time()

    def _reopen(self, *, claim: bool) -> None:
        self.sink.open()
        if claim:
            self.sink.claim([feed.key for feed in self.feeds])

    def _or_failed(self, action: Callable[[], None]) -> None:
        try:
            action()
        except SinkError:
            assert self.world.failed

    def finish(self) -> None:
        self.world.mend()
        for _ in range(3):  # each time what came back, or waits to be accepted
            self.send()
            self.world.pass_time()
        flushed = self.sink.flush(deadline=1e6)
        self.world.pass_time()
        flushed.result(0)
        self.check()
        assert not self.sink._lanes.held
        everything = [batch for batches in self.cut for batch in batches]
        assert self.durable() == everything
        assert once(self.world.visible()) == once(content_of(everything))


def versions(content: Content) -> set[str]:
    return {state.version for states in content.values() for state in states}


def nothing_is_lost(world: World, steps: list[Step]) -> None:
    engine = Engine(world)
    for step in steps:
        engine.do(step)
        engine.check()
    engine.finish()
    engine.sink.close(deadline=10)


@settings(max_examples=150, deadline=None)
@given(steps=steps, megabytes=megabytes)
def test_nothing_is_lost_on_a_disk(steps: list[Step], megabytes: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = Folder(Path(folder), megabytes)
        nothing_is_lost(world, steps)
        assert not world.leftovers()


@pytest.fixture(scope="module")
def store() -> Iterator[tuple[S3Server, Any]]:
    """And one client for all runs: to make it takes longer than a run."""
    with pytest.MonkeyPatch.context() as patch, s3_server() as server:
        set_credentials(patch)
        patch.setattr(sink_module, "LOOK_SECONDS", 0.001)
        patch.setattr(in_progress, "BLOCK_BYTES", 200)  # a few rows are an upload of several parts
        yield server, create_client(s3_config(server.url), connections=1)


@settings(max_examples=100, deadline=None)
@given(steps=steps, megabytes=megabytes)
def test_nothing_is_lost_on_s3(store: tuple[S3Server, Any], steps: list[Step], megabytes: float) -> None:
    world = Bucket(*store, megabytes)
    nothing_is_lost(world, steps)
    assert not world.leftovers_after_the_next_claim()
