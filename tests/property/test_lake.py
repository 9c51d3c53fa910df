"""Any order of writes, flushes, failures of the disk and reopenings: what is durable survives a power failure, nothing
half written is visible, and in the end everything is there, in order."""

import errno
import tempfile
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from cdc.errors import ErrorKind, SinkError
from cdc.model import Batch, Durability
from cdc.testing.batches import Table
from cdc.testing.content import Content, content_of, once
from cdc.testing.encoding import encode, state_of_record
from tests.lake_batches import at_hours, lake_sink
from tests.lake_disks import PowerLossDisk
from tests.lake_files import lake_content, rows, visible_files

SHARDS = 3


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
    error: int
    at: int
    calls: int


@dataclass
class Reopen:
    claim: bool


writes = st.builds(
    Write,
    st.integers(0, SHARDS - 1),
    st.lists(st.floats(0, 3), max_size=4),
    end=st.sampled_from([False] * 9 + [True]),
)
steps = st.one_of(
    writes,
    writes,
    writes,
    st.builds(Flush, st.none() | st.lists(st.integers(0, SHARDS - 1), max_size=2)),
    st.builds(
        Fail,
        st.sampled_from([errno.ENOSPC, errno.EIO, errno.EACCES, errno.ENOTDIR]),
        at=st.integers(0, 25),
        calls=st.sampled_from([1, 1, 2, 40]),
    ),
    st.builds(Reopen, st.booleans()),
)


class Engine:
    """Sends a shard's batches in order, and those that come back again."""

    def __init__(self, base: Path, megabytes: float) -> None:
        self.base = base
        self.disk = PowerLossDisk()
        self.sink = lake_sink(
            base, disk=self.disk, settings={"flush_after_megabytes": megabytes, "codec": "null"}
        )
        table = Table()
        self.feeds = [table.shard(number) for number in range(SHARDS)]
        self.cut: list[list[Batch]] = [[] for _ in self.feeds]
        self.sent: list[list[Future[Durability]]] = [[] for _ in self.feeds]
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
        """What has not been sent, or came back."""
        for batches, sent in zip(self.cut, self.sent, strict=True):
            failed = next(
                (n for n, d in enumerate(sent) if d.done() and d.exception() is not None), len(sent)
            )
            for durable in sent[failed:]:
                error = durable.exception(0)  # all later ones came back as well
                assert isinstance(error, SinkError)
                assert error.kind in {ErrorKind.UNAVAILABLE, ErrorKind.ACCESS_DENIED}
            del sent[failed:]
            for batch in batches[len(sent) :]:
                receipt = self.sink.write(encode(batch))
                assert receipt.accepted.done()
                sent.append(receipt.durable)
                if receipt.accepted.exception() is not None:
                    return

    def durable(self) -> list[Batch]:
        durable = []
        for batches, sent in zip(self.cut, self.sent, strict=True):
            answers = [d.done() and d.exception() is None for d in sent]
            assert answers == sorted(answers, reverse=True), "durable, but not what came before it"
            durable += [batch for batch, is_durable in zip(batches, answers, strict=False) if is_durable]
        return durable

    def check(self) -> None:
        durable = versions(content_of(self.durable()))
        files = visible_files(self.base / "lake")
        survivors = self.disk.survivors(files)
        after_power_loss = {state_of_record(row)[1].version for file in survivors for row in rows(file)}
        assert durable <= after_power_loss
        visible = versions(lake_content(self.base / "lake"))
        assert visible <= versions(content_of(batch for batches in self.cut for batch in batches))


def versions(content: Content) -> set[str]:
    return {state.version for states in content.values() for state in states}


@settings(max_examples=150, deadline=None)
@given(
    steps=st.lists(steps, max_size=15),
    megabytes=st.sampled_from([128, 0.0005]),
)
def test_nothing_is_lost(steps: list[Write | Flush | Fail | Reopen], megabytes: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        engine = Engine(Path(folder), megabytes)
        for step in steps:
            match step:
                case Write():
                    engine.cut_batch(step)
                    engine.send()
                case Flush(None):
                    error = engine.sink.flush(deadline=10).exception(0)
                    assert error is None or engine.disk.failed
                case Flush(shards):
                    try:
                        engine.sink.release([engine.feeds[number].key for number in shards or ()])
                    except SinkError:
                        assert engine.disk.failed
                case Fail(error, at, calls):
                    engine.disk.fail(error, at=at, calls=calls)
                case Reopen(claim):
                    try:
                        engine.sink.open()
                        if claim:
                            engine.sink.claim([feed.key for feed in engine.feeds])
                    except SinkError:
                        assert engine.disk.failed
            engine.check()
        engine.disk.mend()
        engine.send()
        engine.sink.flush(deadline=10).result(0)
        engine.check()
        expected = content_of(batch for batches in engine.cut for batch in batches)
        assert engine.durable() == [batch for batches in engine.cut for batch in batches]
        assert once(lake_content(engine.base / "lake")) == once(expected)
        engine.sink.close(deadline=10)
        assert not list((engine.base / "lake" / "_cdc").rglob("*.avro"))
