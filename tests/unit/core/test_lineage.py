import re
from dataclasses import fields
from itertools import product

import pytest

from cdc.core.lineage import LANE, Lane, LaneEvent, LaneState, Lineage, ShardEntry, created_at
from cdc.core.tracker import Tracker
from cdc.core.world import SINK, SinkEntry, SinkEvent, SinkState
from cdc.model import BEGINNING, Listing, Shard, ShardKey
from tests.unit.core.script import STREAM, key, shard

SINKS = ("a", "b")


@pytest.mark.parametrize(("state", "event"), list(product(LaneState, LaneEvent)))
def test_a_lane_moves_as_its_table_says_and_no_other_way(state: LaneState, event: LaneEvent) -> None:
    lane = Lane("a", key(1), Tracker(BEGINNING, BEGINNING), state)
    if (state, event) in LANE:
        lane.move(event)
        assert lane.state is LANE[state, event]
    else:
        with pytest.raises(KeyError):
            lane.move(event)
        assert lane.state is state


@pytest.mark.parametrize(("state", "event"), list(product(SinkState, SinkEvent)))
def test_a_sink_moves_as_its_table_says_and_no_other_way(state: SinkState, event: SinkEvent) -> None:
    sink = SinkEntry("a", state)
    if (state, event) in SINK:
        sink.move(event)
        assert sink.state is SINK[state, event]
    else:
        with pytest.raises(KeyError):
            sink.move(event)


def test_finished_is_final_and_only_a_durable_end_leads_there() -> None:
    assert {event for (_, event), state in LANE.items() if state is LaneState.FINISHED} == {
        LaneEvent.END_DURABLE,
        LaneEvent.SINK_LOST,
    }
    assert {state for (before, _), state in LANE.items() if before is LaneState.FINISHED} == {
        LaneState.FINISHED
    }


def test_only_a_claim_lets_a_lane_flow() -> None:
    ways = {(before, event) for (before, event), state in LANE.items() if state is LaneState.FLOWING}
    assert ways == {
        (LaneState.CLAIMING, LaneEvent.CLAIMED),
        (LaneState.FLOWING, LaneEvent.HANDED_BACK),
        (LaneState.ENDING, LaneEvent.HANDED_BACK),
    }


def lineage_of(*shards: Shard, complete: bool = True) -> Lineage:
    lineage = Lineage(STREAM, begun=True)
    for one in lineage.merge(Listing(shards, complete), 0.0):
        lanes = {sink: Lane(sink, one.key, Tracker(BEGINNING, BEGINNING)) for sink in SINKS}
        lineage.add(one, lanes)
    return lineage


def finish(entry: ShardEntry, *sinks: str) -> None:
    for sink in sinks:
        entry.lanes[sink].state = LaneState.FINISHED


def test_a_child_waits_for_its_parent_at_the_same_sink_alone() -> None:
    lineage = lineage_of(shard(1, closed=True), shard(2, 1), shard(3, 1))
    parent, child = lineage.shards[key(1)], lineage.shards[key(2)]
    assert not lineage.may_begin(child, "a")
    finish(parent, "a")
    assert lineage.may_begin(child, "a")
    assert not lineage.may_begin(child, "b")
    assert [entry.key for entry in lineage.children_of(key(1))] == [key(2), key(3)]


def test_a_parent_counts_as_gone_only_after_a_whole_listing() -> None:
    assert not lineage_of(shard(2, 1), complete=False).may_begin(
        lineage_of(shard(2, 1), complete=False).shards[key(2)], "a"
    )
    lineage = lineage_of(shard(2, 1))
    assert lineage.may_begin(lineage.shards[key(2)], "a")


def test_nothing_begins_before_the_starts_are_saved() -> None:
    lineage = lineage_of(shard(1))
    lineage.begun = False
    assert not lineage.may_begin(lineage.shards[key(1)], "a")


def test_a_later_listing_closes_a_shard_and_names_its_parent() -> None:
    lineage = lineage_of(Shard(key(2), None), shard(1))
    assert lineage.merge(Listing((shard(1, closed=True), shard(2, 1)), complete=True), 0.0) == []
    assert lineage.shards[key(1)].shard.closed
    assert [entry.key for entry in lineage.children_of(key(1))] == [key(2)]


def forgettable(lineage: Lineage, missing_before: float = 100.0) -> list[ShardKey]:
    return [entry.key for entry in lineage.forgettable(missing_before)]


def test_a_shard_is_forgotten_when_all_are_done_with_it_it_is_gone_and_its_children_are_saved() -> None:
    lineage = lineage_of(shard(1, closed=True), shard(2, 1))
    parent, child = lineage.shards[key(1)], lineage.shards[key(2)]
    finish(parent, "a", "b")
    for lane in child.lanes.values():
        lane.saved = True
    assert forgettable(lineage) == []
    lineage.merge(Listing((shard(2, 1),), complete=True), 50.0)
    assert forgettable(lineage, missing_before=49.0) == []
    assert forgettable(lineage, missing_before=50.0) == [key(1)]
    child.lanes["b"].saved = False
    assert forgettable(lineage) == []
    child.lanes["b"].saved = True
    parent.lanes["b"].state = LaneState.ENDING
    assert forgettable(lineage) == []


def test_a_shard_that_is_listed_again_was_never_gone() -> None:
    lineage = lineage_of(shard(1, closed=True))
    finish(lineage.shards[key(1)], "a", "b")
    lineage.merge(Listing((), complete=True), 10.0)
    lineage.merge(Listing((shard(1, closed=True),), complete=True), 20.0)
    lineage.merge(Listing((), complete=True), 90.0)
    assert forgettable(lineage, missing_before=80.0) == []


def test_a_part_of_a_listing_says_nothing_about_what_it_does_not_name() -> None:
    lineage = lineage_of(shard(1, closed=True), shard(2, 1))
    lineage.merge(Listing((shard(2, 1),), complete=False), 10.0)
    assert lineage.shards[key(1)].listed


def test_what_is_removed_is_nobodys_child() -> None:
    lineage = lineage_of(shard(1), shard(2, 1), shard(3, 1))
    lineage.remove(lineage.shards[key(2)])
    assert [entry.key for entry in lineage.children_of(key(1))] == [key(3)]
    lineage.remove(lineage.shards[key(3)])
    lineage.remove(lineage.shards[key(1)])
    assert not lineage.children
    assert not lineage.shards


def test_a_shards_id_tells_when_it_was_created() -> None:
    assert created_at(ShardKey("arn", "shardId-00000001767225600123-0a1b2c3d")) == 1767225600.123
    assert created_at(ShardKey("arn", "shard-1")) == 0.0


def test_whatever_a_lane_keeps_is_told_with_its_life() -> None:
    told = set(re.findall(r"`(\w+)`", Lane.__doc__ or ""))
    assert {field.name for field in fields(Lane)} - {"sink", "shard", "state"} <= told
    assert all(state.name in (Lane.__doc__ or "") for state in (LaneState.WAITING, LaneState.HALTED))
