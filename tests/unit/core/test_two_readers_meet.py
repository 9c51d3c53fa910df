"""Two iterators of a shard that came to the same place: one of them is free for a sink that is behind."""

from cdc.core.lineage import Lane, LaneState, ShardEntry
from cdc.core.messages import IteratorOpened, OpenIterator, PageRead, Read
from cdc.core.reading import Reading
from cdc.core.tracker import Tracker
from cdc.core.world import Settings, SinkEntry, SinkState, World
from cdc.model import Change, Images, Page, Position, Shard, ShardKey, after
from cdc.ports import Instant
from cdc.testing.batches import stream_of

STREAM = stream_of("orders")
KEY = ShardKey(STREAM.arn, "shardId-1")


def test_a_sink_behind_is_read_for_after_two_readers_have_met() -> None:
    world = World(Settings(), {name: SinkEntry(name, SinkState.UP) for name in ("bus", "lake", "dr")})
    world.now = Instant(1.0, 1.0)
    reading = Reading(world)
    entry = ShardEntry(Shard(KEY, None), STREAM, {})
    for name, place in (("bus", after("20")), ("lake", after("10"))):
        entry.lanes[name] = Lane(name, KEY, Tracker(place, place), LaneState.FLOWING)
    reading.plan(entry)
    opened = [command for command in world.out if isinstance(command, OpenIterator)]
    assert {command.position.sequence for command in opened} == {"20", "10"}
    for command in opened:
        reading.opened(IteratorOpened(command.reader, f"iterator-{command.reader.number}"))
    world.out.clear()
    reading.plan(entry)
    for read in [command for command in world.out if isinstance(command, Read)]:
        change = Change(event_name="INSERT", dynamodb=Images(sequence_number="30"))
        reading.page(PageRead(read.reader, Page(b"{}", [change], "next")), entry)
    for lane in entry.lanes.values():
        lane.tracker.given = lane.tracker.durable = after("30")
    world.out.clear()

    entry.lanes["dr"] = Lane("dr", KEY, Tracker(after("5"), after("5")), LaneState.FLOWING)
    world.now = Instant(5.0, 5.0)
    reading.plan(entry)

    assert _asked_for(world, "5")


def _asked_for(world: World, sequence: str) -> bool:
    wanted: Position = after(sequence)
    return any(isinstance(command, OpenIterator) and command.position == wanted for command in world.out)
