"""The log is the truth: what it says of a record is so for whoever reads, whatever the service was told to do."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.testing.sim.failures import ServiceError
from tests.unit.sim_streams.test_life import ACTIONS, play
from tests.unit.sim_streams.world import HOUR, World, keys

BEHAVIOURS = st.fixed_dictionaries(
    {},
    optional={
        "partitions": st.integers(1, 4),
        "rollover_seconds": st.sampled_from([0.0, 300.0]),
        "rollover_records": st.sampled_from([0, 4]),
        "publication_seconds": st.sampled_from([0.0, 120.0]),
        "ends_with_records": st.sampled_from([0.0, 1.0]),
        "retention_seconds": st.sampled_from([600.0, 24 * HOUR]),
        "trim_late_seconds": st.sampled_from([0.0, 300.0]),
        "gone_early": st.sampled_from([0.0, 1.0]),
    },
)


@given(seed=st.integers(0, 1000), actions=ACTIONS, behaviour=BEHAVIOURS)
def test_an_items_records_lie_along_one_lineage_in_their_order(
    seed: int, actions: list[tuple[str, int]], behaviour: dict[str, Any]
) -> None:
    world = World(seed, **behaviour)
    play(world, actions)
    of_item: dict[str, list[Any]] = {}
    for record in world.sim.log("orders"):
        of_item.setdefault(record.change.keys["pk"]["S"], []).append(record)
    for records in of_item.values():
        for before, after in pairwise(records):
            assert before.sequence < after.sequence
            assert before.change.new == after.change.old, "each change follows the one before it"
            assert before.shard is after.shard or before.shard in after.shard.ancestors()


@given(seed=st.integers(0, 1000), actions=ACTIONS, behaviour=BEHAVIOURS)
def test_the_open_shards_hold_every_key_once_and_children_what_their_parent_held(
    seed: int, actions: list[tuple[str, int]], behaviour: dict[str, Any]
) -> None:
    world = World(seed, **behaviour)
    play(world, actions)
    stream = world.sim.streams.settled(world.arn)
    leaves = sorted(stream.open_shards, key=lambda shard: shard.low)
    assert leaves[0].low == 0
    assert all(one.high == other.low for one, other in pairwise(leaves))
    for shard in stream.shards.values():
        children = sorted(shard.children, key=lambda child: child.low)
        assert shard.is_open == (not children)
        assert all(child.starting_sequence > shard.ending_sequence for child in children)
        if children:
            assert (children[0].low, children[-1].high) == (shard.low, shard.high)


@given(seed=st.integers(0, 1000), actions=ACTIONS, behaviour=BEHAVIOURS, wait=st.integers(0, 1200))
def test_what_is_neither_trimmed_nor_unpublished_can_be_read_and_nothing_else(
    seed: int, actions: list[tuple[str, int]], behaviour: dict[str, Any], wait: int
) -> None:
    world = World(seed, **behaviour)
    play(world, actions)
    arn = world.arn
    if seed % 3 == 0:
        world.enable(on=False)
    world.now += wait
    readable = {
        record.sequence
        for record in world.sim.log("orders")
        if not record.shard.is_trimmed(record) and record.visible_at <= world.now
    }
    found: set[int] = set()
    try:
        listed = world.shards(arn)
    except ServiceError:
        listed = []  # the stream is gone
    for shard in listed:
        for record in world.drained(shard["ShardId"], arn=arn):
            found.add(int(record["dynamodb"]["SequenceNumber"]))
    assert found == readable


def test_the_records_of_a_stream_that_is_gone_are_lost_though_trimming_is_late() -> None:
    world = World(trim_late_seconds=2 * HOUR)
    world.put("k")
    world.enable(on=False)
    world.now += 24 * HOUR + 1
    (record,) = world.sim.log("orders")
    assert record.shard.is_trimmed(record)


def test_a_shard_that_nothing_was_due_for_goes_a_day_after_it_was_closed() -> None:
    world = World(rollover_seconds=0.0)
    shard = world.only_shard()
    (child,) = world.sim.control.roll(world.arn)
    world.now += 24 * HOUR + 1
    assert [listed["ShardId"] for listed in world.shards()] == [child]
    assert shard != child


def test_half_of_a_surrogate_pair_is_recorded_as_any_text() -> None:
    world = World()
    item = {"pk": {"S": "k"}, "text": {"S": "\ud83d"}}
    world.call("PutItem", TableName="orders", Item=item)
    (record,) = world.drained(world.only_shard())
    assert record["dynamodb"]["NewImage"] == item
    assert b"\\ud83d" in world.sim.answer("GetItem", {"TableName": "orders", "Key": {"pk": {"S": "k"}}})


@pytest.mark.parametrize("split", [False, True])
def test_a_shard_is_there_at_the_instant_of_its_birth(split: bool) -> None:
    world = World()
    (world.sim.control.split if split else world.sim.control.roll)(world.arn)
    assert len(world.shards()) == 2 + split


def test_switched_off_and_on_at_one_instant_the_new_stream_has_its_shard() -> None:
    world = World()
    old = world.arn
    world.enable(on=False)
    world.enable(on=True)
    assert world.arn != old
    assert world.describe()["StreamStatus"] == "ENABLED"
    world.put("k")
    assert keys(world.drained(world.only_shard())) == ["k"]


def test_a_shard_ends_at_its_last_record_or_at_a_number_of_none() -> None:
    at_record = set()
    for seed in range(12):
        world = World(seed)
        world.put("k")
        shard = world.only_shard()
        world.now += 1.0
        world.sim.control.roll(world.arn)
        listed = {one["ShardId"]: one["SequenceNumberRange"] for one in world.shards()}
        (record,) = world.sim.log("orders")
        at_record.add(int(listed[shard]["EndingSequenceNumber"]) == record.sequence)
    assert at_record == {True, False}


def test_a_number_of_the_parent_is_none_of_the_child() -> None:
    """As DynamoDB Local has it."""
    world = World()
    world.put("k")
    (child,) = world.sim.control.roll(world.arn)
    (record,) = world.sim.log("orders")
    place = {"StreamArn": world.arn, "ShardId": child, "SequenceNumber": str(record.sequence)}
    for kind in ("AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"):
        assert world.refused("GetShardIterator", ShardIteratorType=kind, **place) == "ValidationException"
