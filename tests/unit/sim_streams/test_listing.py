from itertools import pairwise
from typing import Any

import pytest

from tests.unit.sim_streams.world import BEGIN, HOUR, World


def test_a_listing_has_pages_of_100_shards_in_the_order_of_their_ids() -> None:
    world = World(partitions=250)
    first = world.describe()
    assert len(first["Shards"]) == 100
    assert first["LastEvaluatedShardId"] == first["Shards"][-1]["ShardId"]
    ids = [shard["ShardId"] for shard in world.shards()]
    assert len(ids) == 250
    assert ids == sorted(ids)
    assert "LastEvaluatedShardId" not in world.describe(ExclusiveStartShardId=ids[199])


def test_a_page_can_be_asked_to_be_smaller_and_not_larger() -> None:
    world = World(partitions=3)
    assert len(world.describe(Limit=2)["Shards"]) == 2
    assert world.refused("DescribeStream", StreamArn=world.arn, Limit=101) == "ValidationException"
    assert world.refused("DescribeStream", StreamArn=world.arn, Limit=0) == "ValidationException"


def test_behind_an_unknown_shard_the_listing_is_empty() -> None:
    assert World().describe(ExclusiveStartShardId="shardId-00000001767225600000-ffffffff")["Shards"] == []


def test_ids_begin_with_the_time_of_creation() -> None:
    world = World()
    assert world.only_shard().startswith(f"shardId-{int(BEGIN * 1000):020d}-")
    assert 28 <= len(world.only_shard()) <= 65


def test_a_shard_rolls_over_after_about_four_hours_also_an_idle_one() -> None:
    world = World()
    world.now += 24 * HOUR
    shards = world.shards()
    assert len(shards) in (5, 6, 7)
    for parent, child in pairwise(shards):
        assert child["ParentShardId"] == parent["ShardId"]
        born = int(child["ShardId"].split("-")[1]) - int(parent["ShardId"].split("-")[1])
        assert 3.6 * HOUR <= born / 1000 <= 4.4 * HOUR
        assert "EndingSequenceNumber" in parent["SequenceNumberRange"]
    assert "EndingSequenceNumber" not in shards[-1]["SequenceNumberRange"]


def test_a_shard_rolls_over_on_volume() -> None:
    world = World(rollover_records=10)
    for number in range(25):
        world.put(f"k{number}")
    assert [len(world.drained(shard["ShardId"])) for shard in world.shards()] == [10, 10, 5]


def test_a_split_has_two_children_that_share_the_items_of_their_parent() -> None:
    world = World()
    parent = world.only_shard()
    world.now += 1.0
    children = world.sim.control.split(world.arn, parent)
    for number in range(40):
        world.put(f"k{number}")
    held = [{record["dynamodb"]["Keys"]["pk"]["S"] for record in world.drained(child)} for child in children]
    assert held[0]
    assert held[1]
    assert not held[0] & held[1]
    assert len(held[0] | held[1]) == 40
    assert all(shard.get("ParentShardId") == parent for shard in world.shards()[1:])


def test_children_of_one_shard_can_be_asked_for() -> None:
    world = World()
    parent = world.only_shard()
    children = world.sim.control.split(world.arn, parent)
    asked = world.describe(ShardFilter={"Type": "CHILD_SHARDS", "ShardId": parent})["Shards"]
    assert [shard["ShardId"] for shard in asked] == sorted(children)
    leaf = world.describe(ShardFilter={"Type": "CHILD_SHARDS", "ShardId": children[0]})
    assert leaf["Shards"] == []


@pytest.mark.parametrize(
    "bad", [{"Type": "CHILD_SHARDS"}, {"ShardId": "x"}, {"Type": "OTHER", "ShardId": "x"}]
)
def test_a_filter_that_is_not_whole_is_refused(bad: dict[str, Any]) -> None:
    world = World()
    assert world.refused("DescribeStream", StreamArn=world.arn, ShardFilter=bad) == "ValidationException"


def test_a_service_that_knows_no_filter_ignores_it() -> None:
    world = World(filters_shards=False)
    world.sim.control.split(world.arn)
    parent = world.shards()[0]["ShardId"]
    assert len(world.describe(ShardFilter={"Type": "CHILD_SHARDS", "ShardId": parent})["Shards"]) == 3


def test_children_are_listed_late() -> None:
    world = World(listing_late_seconds=60.0)
    parent = world.only_shard()
    world.sim.control.split(world.arn, parent)
    assert [shard["ShardId"] for shard in world.shards()] == [parent]
    assert "EndingSequenceNumber" in world.shards()[0]["SequenceNumberRange"]
    world.now += 60.0
    assert len(world.shards()) == 3


def test_a_parent_is_listed_as_open_though_its_children_are_there() -> None:
    world = World(closing_late_seconds=60.0)
    parent = world.only_shard()
    world.now += 1.0
    world.sim.control.roll(world.arn, parent)
    listed, child = world.shards()
    assert "EndingSequenceNumber" not in listed["SequenceNumberRange"]
    assert child["ParentShardId"] == parent
    world.now += 60.0
    assert "EndingSequenceNumber" in world.shards()[0]["SequenceNumberRange"]


def test_an_old_parent_is_gone_while_its_child_still_names_it() -> None:
    world = World()
    parent = world.only_shard()
    world.now += 29 * HOUR
    ids = [shard["ShardId"] for shard in world.shards()]
    assert parent not in ids
    assert any(shard.get("ParentShardId") == parent for shard in world.shards())
    assert (
        world.refused(
            "GetShardIterator", StreamArn=world.arn, ShardId=parent, ShardIteratorType="TRIM_HORIZON"
        )
        == "ResourceNotFoundException"
    )


def test_what_is_closed_stays_for_a_day_though_it_has_no_records() -> None:
    world = World(rollover_seconds=0.0)
    parent = world.only_shard()
    world.sim.control.roll(world.arn, parent)
    world.now += 24 * HOUR
    assert len(world.shards()) == 2
    world.now += 1.0
    assert len(world.shards()) == 1


def test_a_stream_that_is_being_enabled_has_no_shards_yet() -> None:
    world = World(stream_seconds=10.0)
    assert world.describe()["StreamStatus"] == "ENABLING"
    assert world.shards() == []
    world.now += 10.0
    assert world.describe()["StreamStatus"] == "ENABLED"
    assert len(world.shards()) == 1


def test_the_number_at_which_a_shard_ends_need_not_be_a_records() -> None:
    world = World()
    world.put("k")
    world.now += 1.0
    world.sim.control.roll(world.arn)
    ending = world.shards()[0]["SequenceNumberRange"]["EndingSequenceNumber"]
    assert int(ending) not in {record.sequence for record in world.sim.log("orders")}


def test_streams_are_listed_by_pages_and_by_table() -> None:
    world = World()
    for _ in range(3):
        world.enable(on=False)
        world.now += 1.0
        world.enable(on=True)
    listed = world.call("ListStreams", TableName="orders", Limit=3)
    assert len(listed["Streams"]) == 3
    rest = world.call(
        "ListStreams", TableName="orders", ExclusiveStartStreamArn=listed["LastEvaluatedStreamArn"]
    )
    assert len(rest["Streams"]) == 1
    assert "LastEvaluatedStreamArn" not in rest
    assert world.call("ListStreams", TableName="another")["Streams"] == []
    assert world.refused("ListStreams", Limit=101) == "ValidationException"
