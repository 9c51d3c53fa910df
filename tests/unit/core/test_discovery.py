from dataclasses import replace

import pytest

from cdc.core import messages as m
from cdc.core.lineage import LaneState
from cdc.core.status import status
from cdc.core.world import Settings
from cdc.errors import ErrorKind
from cdc.model import BEGINNING, Listing, Place, Shard, ShardKey, after, end_of_shard
from cdc.ports import Instant, Saved, SavedCursor, SavedGap, SavedStart
from tests.unit.core.script import START, STREAM, Script, change, key, sequences, shard, source_error

OLD = "arn:aws:dynamodb:eu-west-1:000000000000:table/orders/stream/old"


def cursor(number: int, sink: str = "a", position: object = None) -> SavedCursor:
    at = position if position is not None else after("5")
    return SavedCursor(sink, key(number), at, "orders", False, START)  # type: ignore[arg-type]


def start_of(sink: str = "a", stream: str = STREAM.arn) -> SavedStart:
    return SavedStart(sink, stream, "orders", "trim-horizon", START, STREAM.table_id)


def test_starts_are_saved_before_anything_is_read() -> None:
    script = Script("a", "b")
    script.send(m.Started())
    script.send(m.SinkOpened("a"))
    script.send(m.StreamsResolved([STREAM]))
    script.listing(shard(1))
    change_ = script.one(m.Save).change
    assert {start.sink for start in change_.starts} == {"a", "b"}
    assert {(one.sink, one.shard) for one in change_.cursors} == {("a", key(1)), ("b", key(1))}
    script.wait(5.0)
    assert not script.new(m.Claim)
    assert not script.new(m.OpenIterator)
    script.send(m.CursorsSaved(change_))
    assert script.one(m.Claim).sink == "a"


def test_latest_skips_what_is_closed_and_reads_children_of_open_shards_from_their_beginning() -> None:
    script = Script(settings=Settings(start="latest"))
    script.start(
        shard(1, closed=True), shard(2, 1), shard(3, 2), shard(4, 1, closed=True), shard(5, 4), shard(6)
    )
    at = {number: script.lane(number).place for number in range(1, 7)}
    assert at[1].place is at[4].place is Place.END
    assert at[2].not_before == at[5].not_before == at[6].not_before == START - 120.0
    assert at[3] == BEGINNING
    assert not script.lane(3).wants_latest


def test_latest_is_no_loss_to_a_restart() -> None:
    """The saved position is the beginning, by time."""
    script = Script(settings=Settings(start="latest"))
    script.start(shard(1))
    saves = [command.change for command in script.sent if isinstance(command, m.Save)]
    again = Script(
        settings=Settings(start="latest"), saved=Saved(saves[0].cursors, saves[0].starts), wall=START + 500.0
    )
    again.flow(shard(1))
    (opened,) = again.open_iterators()
    assert not opened.latest
    again.page(again.one(m.Read), change(1, START - 200.0), change(2, START + 1.0))
    assert sequences(again.one(m.Write)) == [2]


def test_a_shard_that_is_found_later_is_read_from_its_beginning() -> None:
    script = Script(settings=Settings(start="latest"))
    script.flow(shard(1))
    script.wait(61.0)
    script.listing(shard(1), shard(2, 1))
    assert script.lane(2).place == BEGINNING


def test_a_new_sink_on_a_running_pipeline_starts_alone() -> None:
    saved = Saved(cursors=[cursor(1)], starts=[start_of()])
    script = Script("a", "b", saved=saved)
    script.start(shard(1))
    saves = [command.change for command in script.sent if isinstance(command, m.Save)]
    assert [start.sink for start in saves[0].starts] == ["b"]
    script.claim()
    assert script.lane(1, "a").place == after("5")
    assert script.lane(1, "b").place == BEGINNING


def test_a_sink_that_is_not_configured_any_more_is_left_alone() -> None:
    saved = Saved(cursors=[cursor(1), cursor(1, "gone")], starts=[start_of(), start_of("gone")])
    script = Script("a", saved=saved)
    script.flow(shard(1))
    script.wait(3.0)
    changes = [command.change for command in script.sent if isinstance(command, m.Save)]
    assert all(one.sink == "a" for change_ in changes for one in change_.cursors)
    assert not any(change_.forget for change_ in changes)


def test_a_new_stream_of_a_table_is_a_gap_that_waits_for_a_decision() -> None:
    """Scenario 10."""
    saved = Saved(starts=[start_of(stream=OLD)])
    script = Script(saved=saved)
    script.start(shard(1))
    lane = script.lane(1)
    assert lane.state is LaneState.HALTED
    assert lane.gap
    assert "positions reset" in lane.remedy
    first = next(command.change for command in script.sent if isinstance(command, m.Save))
    assert first.starts
    assert [gap.shard for gap in first.gaps] == [key(1)], "the gap is saved together with the start"


def test_a_new_stream_while_running_is_a_gap_too() -> None:
    script = Script()
    script.flow(shard(1))
    other = replace(STREAM, arn=STREAM.arn + "1")
    script.send(m.StreamsResolved([other]))
    script.send(
        m.ShardsListed(
            other.arn,
            None,
            Listing((replace(shard(1), key=key(1)._replace(stream=other.arn)),), complete=True),
        )
    )
    lane = script.engine.world.lane("a", key(1)._replace(stream=other.arn))
    assert lane is not None
    assert lane.gap


def test_what_was_left_of_an_old_stream_is_told_once() -> None:
    left = key(1)._replace(stream=OLD)
    done = key(2)._replace(stream=OLD)
    cursors = [replace(cursor(1), shard=left), replace(cursor(2, position=end_of_shard()), shard=done)]
    saved = Saved(cursors=cursors, starts=[start_of(stream=OLD)])
    script = Script(saved=saved)
    script.start(shard(1))
    gaps = [gap for command in script.sent if isinstance(command, m.Save) for gap in command.change.gaps]
    assert {gap.shard for gap in gaps if gap.shard.stream == OLD} == {left}
    again = Script(saved=replace(saved, gaps=gaps))
    again.start(shard(1))
    told = [gap for command in again.sent if isinstance(command, m.Save) for gap in command.change.gaps]
    assert not [gap for gap in told if gap.shard.stream == OLD]


@pytest.mark.parametrize("old_first", [True, False])
def test_a_new_stream_waits_at_each_sink_until_the_old_one_is_drained(old_first: bool) -> None:
    old = replace(STREAM, arn=OLD, created_ms=STREAM.created_ms - 1000)
    of_old = replace(shard(1, closed=True), key=key(1)._replace(stream=OLD))
    gap = SavedGap("a", key(1), "orders", START, "a new stream", "reset")
    starts = [start_of(), start_of(stream=OLD)]
    script = Script(saved=Saved(starts=starts, gaps=[gap], cursors=[cursor(1, position=after("0"))]))
    script.send(m.Started())
    script.send(m.SinkOpened("a"))
    script.send(m.StreamsResolved([STREAM, old]))
    listed = [
        m.ShardsListed(OLD, None, Listing((of_old,), complete=True)),
        m.ShardsListed(STREAM.arn, None, Listing((shard(1),), complete=True)),
    ]
    for event in listed if old_first else reversed(listed):
        script.send(event)
    assert script.one(m.Claim).shards == [of_old.key]
    script.send(m.Claimed("a", [of_old.key], None))
    script.read(1, end=True)
    script.accept(write := script.one(m.Write))
    assert not script.new(m.Claim)
    script.durable(write)
    assert script.one(m.Claim).shards == [key(1)]


@pytest.mark.parametrize(("decision", "state"), [("", LaneState.HALTED), ("reset", LaneState.UNCLAIMED)])
def test_a_gap_holds_its_shard_until_it_is_decided(decision: str, state: LaneState) -> None:
    saved = Saved(
        cursors=[cursor(1)],
        starts=[start_of()],
        gaps=[SavedGap("a", key(1), "orders", START, "it expired", decision)],
    )
    script = Script(saved=saved)
    script.start(shard(1), open_sinks=False)
    assert script.lane(1).state is state


def test_the_newest_gap_of_a_shard_counts() -> None:
    gaps = [
        SavedGap("a", key(1), "orders", START + 10.0, "again"),
        SavedGap("a", key(1), "orders", START, "once", "reset"),
    ]
    script = Script(saved=Saved(cursors=[cursor(1)], starts=[start_of()], gaps=gaps))
    script.start(shard(1), open_sinks=False)
    assert script.lane(1).state is LaneState.HALTED


def test_an_unknown_parent_that_is_gone_is_satisfied_on_a_fresh_start() -> None:
    script = Script()
    script.start(shard(2, 1))
    assert script.one(m.Claim).shards == [key(2)]


def test_an_unknown_parent_that_is_gone_is_a_gap_on_resume() -> None:
    script = Script(saved=Saved(cursors=[cursor(7)], starts=[start_of()]))
    script.start(shard(7), shard(2, 1))
    assert script.lane(2).gap
    assert script.one(m.Claim).shards == [key(7)]


def test_a_saved_shard_whose_parent_is_gone_goes_on() -> None:
    script = Script(saved=Saved(cursors=[cursor(2)], starts=[start_of()]))
    script.start(shard(2, 1))
    assert script.one(m.Claim).shards == [key(2)]


def test_a_saved_shard_that_has_left_the_listing_is_tried_and_is_a_gap() -> None:
    """Scenario 6. Listings are not consistent: while everything is still kept, the service is asked."""
    saved = Saved(cursors=[cursor(1)], starts=[start_of()])
    script = Script(saved=saved, wall=START + 20 * 3600.0)
    script.flow(shard(2, 1))
    (opened,) = script.new(m.OpenIterator)
    assert opened.reader.shard == key(1)
    script.send(m.ReadFailed(opened.reader, source_error(ErrorKind.NOT_FOUND)))
    assert script.lane(1).gap
    assert script.lane(2).state is LaneState.WAITING, "it waits behind the gap"


def test_finished_shards_that_left_are_forgotten() -> None:
    settings = Settings(relist_seconds=10.0)
    saved = Saved(cursors=[cursor(1, position=end_of_shard()), cursor(2)], starts=[start_of()])
    script = Script(saved=saved, settings=settings)
    script.flow(shard(2, 1))
    for _ in range(5):
        script.wait(10.5)
        script.listing(shard(2, 1))
    script.wait(2.0)
    forgotten = [one for save in script.save() for one in save.change.forget]
    assert forgotten == [("a", key(1))]
    assert script.engine.world.entry(key(1)) is None


def test_a_shard_that_is_missing_from_one_listing_is_not_forgotten() -> None:
    """Scenario 3: it would come back, and be read again."""
    script = Script(settings=Settings(relist_seconds=10.0))
    script.flow(shard(1, closed=True))
    script.read(1, end=True)
    script.durable(script.one(m.Write))
    script.wait(10.5)
    script.listing()
    script.wait(10.5)
    script.listing(shard(1, closed=True))
    script.wait(3.0)
    assert not [one for save in script.save() for one in save.change.forget]
    assert script.lane(1).state is LaneState.FINISHED


def test_children_are_asked_for_at_the_end_of_a_shard_until_they_are_listed() -> None:
    script = Script()
    script.flow(shard(1))
    script.new(m.ListShards)
    script.read(end=True)
    for _ in range(3):
        (command,) = script.new(m.ListShards)
        assert command.parent == key(1)
        script.send(m.ShardsListed(STREAM.arn, key(1), Listing((), complete=False)))
        script.wait(3.0)
    (command,) = script.new(m.ListShards)
    script.send(m.ShardsListed(STREAM.arn, key(1), Listing((shard(2, 1),), complete=False)))
    script.wait(30.0)
    assert not [command for command in script.new(m.ListShards) if command.parent is not None]
    script.durable(script.one(m.Write))
    assert script.one(m.Claim).shards == [key(2)]


def test_a_source_that_can_not_filter_answers_for_the_children_with_everything() -> None:
    script = Script(settings=Settings(until_caught_up=True))
    script.flow(shard(1))
    script.read(end=True)
    script.new(m.ListShards)
    script.send(
        m.ShardsListed(STREAM.arn, key(1), Listing((shard(1, closed=True), shard(2, 1)), complete=True))
    )
    script.durable(script.one(m.Write))
    assert script.one(m.Claim).shards == [key(2)]
    script.wait(30.0)
    assert not [command for command in script.new(m.ListShards) if command.parent is not None]
    assert not script.engine._discovery.looking


def test_shards_that_end_together_are_listed_together() -> None:
    script = Script()
    shards = [shard(number) for number in range(300)]
    script.flow(*shards)
    script.new(m.ListShards)
    script.open_iterators()
    for read in script.new(m.Read):
        script.page(read, end=True)
    for _ in range(30):
        script.wait(0.5)
        for command in script.new(m.ListShards):
            children = [shard(1000 + number, number) for number in range(300)]
            found = Listing((*shards, *children), complete=True)
            if command.parent is not None:
                found = Listing((), complete=False)
            script.send(m.ShardsListed(STREAM.arn, command.parent, found))
    listings = [command for command in script.sent if isinstance(command, m.ListShards)]
    assert len(listings) < 60
    assert len(list(script.engine.world.entries())) == 600


def test_children_are_looked_for_after_a_full_listing_that_was_on_its_way() -> None:
    script = Script()
    script.flow(shard(1))
    script.wait(60.5)
    assert [command.parent for command in script.new(m.ListShards)][-1] is None
    script.read(end=True)
    assert not script.new(m.ListShards)
    script.send(m.ShardsListed(STREAM.arn, None, Listing((shard(1),), complete=True)))
    script.wait(1.0)
    assert script.one(m.ListShards).parent == key(1)


def test_a_failing_listing_is_tried_again_and_stops_nothing() -> None:
    script = Script()
    script.flow(shard(1))
    script.wait(60.5)
    script.new(m.ListShards)
    script.send(m.ListingFailed(STREAM.arn, None, source_error(ErrorKind.THROTTLED)))
    script.wait(2.0)
    assert script.one(m.ListShards).parent is None
    assert script.lane(1).state is LaneState.FLOWING


def test_listings_keep_to_their_budget() -> None:
    script = Script(settings=Settings(listings_per_second=2.0))
    shards = [shard(number) for number in range(20)]
    script.flow(*shards)
    script.new(m.ListShards)
    for opened in script.open_iterators():
        del opened
    for read in script.new(m.Read):
        script.page(read, end=True)
    assert len(script.new(m.ListShards)) <= 2
    script.wait(3.0)
    assert 4 <= len(script.new(m.ListShards)) <= 7


@pytest.mark.parametrize("kind", [ErrorKind.NOT_FOUND, ErrorKind.ACCESS_DENIED, ErrorKind.UNAVAILABLE])
def test_the_source_has_to_be_there_on_the_very_first_start(kind: ErrorKind) -> None:
    script = Script()
    script.send(m.Started())
    script.send(m.StreamsResolved([], {"orders": source_error(kind)}))
    assert script.stopped is not None
    assert script.stopped.exit_code == 2


def test_later_an_unreachable_source_is_waited_for() -> None:
    script = Script(saved=Saved(starts=[start_of()]))
    script.send(m.Started())
    script.new(m.ResolveStreams)
    script.send(m.StreamsResolved([], {"orders": source_error(ErrorKind.UNAVAILABLE)}))
    assert script.stopped is None
    script.wait(2.0)
    assert script.new(m.ResolveStreams)


@pytest.mark.parametrize("kind", [ErrorKind.NOT_FOUND, ErrorKind.ACCESS_DENIED, ErrorKind.CONFIGURATION])
def test_a_table_that_fails_later_keeps_none_of_the_others(kind: ErrorKind) -> None:
    script = Script(saved=Saved(starts=[start_of()]))
    script.send(m.Started())
    script.new(m.ResolveStreams)
    script.send(m.StreamsResolved([STREAM], {"parcels": source_error(kind)}))
    assert script.one(m.ListShards).stream == STREAM
    assert "table-failed" in script.notices()
    assert status(script.engine.world).source_error
    script.wait(2.0)
    assert script.new(m.ResolveStreams)
    script.send(m.StreamsResolved([STREAM]))
    assert not status(script.engine.world).source_error
    assert script.stopped is None


def test_until_caught_up_a_table_that_fails_is_not_waited_for_for_ever() -> None:
    script = Script(settings=Settings(until_caught_up=True), saved=Saved(starts=[start_of()]))
    script.send(m.Started())
    error = source_error(ErrorKind.NOT_FOUND)
    for _ in range(200):
        if script.stopped is not None:
            break
        if script.new(m.ResolveStreams):
            script.send(m.StreamsResolved([], {"orders": error}))
        script.wait(1.0)
    assert script.stopped is not None
    assert script.stopped.exit_code == 1
    assert "orders" in script.stopped.reason
    assert script.stopped.remedy


@pytest.mark.parametrize(("kind", "code"), [(ErrorKind.CONFIGURATION, 2), (ErrorKind.INVALID_REQUEST, 1)])
def test_where_there_is_no_other_table_what_only_the_operator_can_mend_ends_it(
    kind: ErrorKind, code: int
) -> None:
    script = Script(saved=Saved(starts=[start_of()]))
    script.send(m.Started())
    script.send(m.StreamsResolved([], {"orders": source_error(kind)}))
    assert script.stopped is not None
    assert script.stopped.exit_code == code
    assert script.stopped.remedy


def test_nothing_begins_on_a_part_of_a_listing() -> None:
    """What it does not name may be a parent."""
    script = Script()
    script.send(m.Started())
    script.send(m.SinkOpened("a"))
    script.send(m.StreamsResolved([STREAM]))
    script.send(m.ShardsListed(STREAM.arn, None, Listing((shard(2, 1),), complete=False)))
    assert not script.save()
    assert script.engine.world.entry(key(2)) is None
    script.wait(61.0)
    script.listing(shard(1, closed=True), shard(2, 1))
    script.save()
    assert script.one(m.Claim).shards == [key(1)]


def test_children_that_could_not_be_listed_are_looked_for_again() -> None:
    script = Script()
    script.flow(shard(1, closed=True))
    script.read(end=True)
    script.durable(script.one(m.Write))
    for _ in range(3):
        (look,) = [listing for listing in script.new(m.ListShards) if listing.parent is not None]
        error = source_error(ErrorKind.UNAVAILABLE)
        script.send(m.ListingFailed(STREAM.arn, look.parent, error))
        assert not script.new(m.ListShards)
        script.wait(3.0)
    script.listing(shard(2, 1), parent=key(1))
    assert script.one(m.Claim).shards == [key(2)]


def test_a_whole_listing_without_the_children_does_not_hurry_the_next_look() -> None:
    script = Script()
    script.flow(shard(1, closed=True))
    script.read(end=True)
    script.durable(script.one(m.Write))
    looks = script.new(m.ListShards)
    script.send(m.ShardsListed(STREAM.arn, looks[-1].parent, Listing((), complete=False)))
    due = script.engine.next_due()
    script.listing(shard(1, closed=True))
    assert script.engine.next_due() == due
    assert not script.new(m.ListShards)
    script.wait(1.0)
    assert len(script.new(m.ListShards)) == 1


def test_a_table_whose_starts_are_saved_later_keeps_none_that_has_begun() -> None:
    other = replace(STREAM, arn=STREAM.arn.replace("orders", "parcels"), table="parcels")
    of_other = key(1)._replace(stream=other.arn)
    script = Script()
    script.flow(shard(1))
    script.open_iterators()
    script.send(m.StreamsResolved([STREAM, other]))
    listing = Listing((replace(shard(1), key=of_other),), complete=True)
    script.send(m.ShardsListed(other.arn, None, listing))
    assert not script.new(m.Claim)
    script.wait(0.0)
    script.save()
    assert script.one(m.Claim).shards == [of_other]
    assert script.lane(1).state is LaneState.FLOWING


def test_a_parent_that_was_named_once_stays_one() -> None:
    """Services forget the parents of old shards. Whoever waits for one waits."""
    script = Script()
    script.flow(shard(1, closed=True), shard(2, 1))
    script.wait(61.0)
    script.listing(shard(1, closed=True), shard(2))
    assert not script.new(m.Claim)
    script.read(end=True)
    script.durable(script.one(m.Write))
    assert script.one(m.Claim).shards == [key(2)]


def named(created: float) -> Shard:
    """A child of shard 1, whose id says when it was created."""
    return Shard(ShardKey(STREAM.arn, f"shardId-{int(created * 1000):020d}-0a1b2c3d"), "shard-1")


@pytest.mark.parametrize(("wall", "monotonic", "hours"), [(30, 0, 0), (-30, 0, 0), (30, 30, 30), (6, 6, 6)])
def test_a_new_shard_is_no_older_than_the_last_listing_without_it(
    wall: int, monotonic: int, hours: int
) -> None:
    """Whatever a clock says that has jumped meanwhile: a shard that seems to be a day old would be a gap."""
    script = Script()
    script.flow(shard(1))
    child = named(script.now.wall)
    script.now = Instant(script.now.monotonic + monotonic * 3600, script.now.wall + wall * 3600)
    script.listing(shard(1, closed=True), child)
    lane = script.engine.world.lane("a", child.key)
    assert lane is not None
    assert 0 <= lane.unread(script.now, 840.0) - hours * 3600 <= 60
