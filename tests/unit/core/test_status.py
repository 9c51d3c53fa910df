"""What an operator sees of every shard at every sink: where it is, how late, and what it waits for."""

from cdc.core import messages as m
from cdc.core.lineage import LaneState
from cdc.core.status import LaneStatus, Status, status
from cdc.errors import ErrorKind
from cdc.model import after
from tests.unit.core.script import START, Script, key, shard


def now(script: Script) -> Status:
    script.engine.world.now = script.now
    return status(script.engine.world)


def seen(script: Script) -> dict[str, LaneStatus]:
    return {lane.shard: lane for lane in now(script).lanes}


def test_a_halted_shard_says_why_and_what_to_do() -> None:
    script = Script()
    script.flow(shard(1))
    script.read(1)
    script.fail(script.one(m.Write), ErrorKind.INVALID_REQUEST)
    (lane,) = now(script).lanes
    assert lane.state is LaneState.HALTED
    assert lane.waits_for == "sink a: away"
    assert lane.remedy


def test_a_shard_says_that_it_waits_for_its_parent_or_for_its_sink() -> None:
    script = Script()
    script.start(shard(1, closed=True), shard(2, 1), open_sinks=False)
    assert {lane.waits_for for lane in now(script).lanes} == {"sink a is opening"}
    script.send(m.SinkOpened("a"))
    script.claim()
    assert {shard: lane.waits_for for shard, lane in seen(script).items()} == {
        key(1).shard: "",
        key(2).shard: "its parent is not finished at this sink",
    }


def test_a_sink_that_accepts_nothing_is_named_with_the_time() -> None:
    script = Script()
    script.flow(shard(1))
    script.read(1)
    script.wait(0.9)
    assert seen(script)[key(1).shard].waits_for == ""
    script.wait(11.1)
    assert seen(script)[key(1).shard].waits_for == "sink a has not accepted a batch for 12 s"


def test_a_finished_shard_is_seen_until_its_children_are_known() -> None:
    script = Script()
    script.flow(shard(1, closed=True))
    script.read(1, end=True)
    script.durable(script.one(m.Write))
    assert list(seen(script)) == [key(1).shard]
    script.listing(shard(2, 1), parent=key(1))
    assert list(seen(script)) == [key(2).shard]
    assert now(script).finished_lanes == 1


def test_a_batch_without_changes_counts_as_delivered_until_the_last_empty_page() -> None:
    script = Script()
    script.flow(shard(1, closed=True))
    script.read(1)
    script.durable(script.one(m.Write))
    script.wait(50.0)
    script.read(end=True)
    (lane,) = now(script).lanes
    assert (lane.batches, lane.position) == (1, after("1"))
    assert lane.lag_seconds == script.now.wall - START


def left(script: Script, sink: str = "a") -> float:
    """Hours until the oldest change that is not delivered expires."""
    (seconds,) = (lane.headroom_seconds for lane in now(script).lanes if lane.sink == sink)
    return seconds / 3600


def test_the_time_that_is_left_runs_from_the_oldest_change_that_is_not_durable() -> None:
    script = Script("a", "b")
    script.flow(shard(1))
    script.read(1)
    writes = {write.sink: write for write in script.new(m.Write)}
    script.durable(writes["b"])
    script.accept(writes["a"])
    script.wait(3600.0)
    assert left(script) == 23.0
    script.open_iterators()
    for read in script.new(m.Read):
        script.page(read)  # at the place of both; but what a accepted may be lost
    assert left(script) == 23.0
    assert left(script, "b") == 24.0
    script.durable(writes["a"])
    script.wait(10.0)
    script.open_iterators()
    script.page(script.one(m.Read))
    assert left(script) == 24.0


def test_where_a_sink_is_down_the_time_that_is_left_runs_out() -> None:
    """Nobody looks there, so anything may have been written."""
    script = Script()
    script.flow(shard(1))
    script.read(1)
    script.fail(script.one(m.Write))
    for hours in (1, 23, 25):
        script.wait(START + hours * 3600.0 - script.now.wall)
        assert left(script) == 24.0 - hours
