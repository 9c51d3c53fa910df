from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.testing.sim.failures import NoAnswerError, ServiceError
from cdc.testing.sim.faults import INTERNAL, LIMIT_EXCEEDED, NO_ANSWER
from tests.unit.sim_streams.world import HOUR, World


def test_switched_off_and_on_there_are_two_streams() -> None:
    world = World()
    world.put("before")
    old = world.arn
    world.enable(on=False)
    table = world.call("DescribeTable", TableName="orders")["Table"]
    assert "StreamSpecification" not in table
    assert table["LatestStreamArn"] == old
    world.put("between")
    world.now += 5.0
    world.enable(on=True)
    world.put("after")
    new = world.arn
    assert new != old
    assert world.describe(old)["StreamStatus"] == "DISABLED"
    assert [len(world.drained(world.shards(arn)[0]["ShardId"], arn=arn)) for arn in (old, new)] == [1, 1]
    listed = world.call("ListStreams", TableName="orders")["Streams"]
    assert {stream["StreamArn"] for stream in listed} == {old, new}


def test_the_shards_of_a_stream_that_was_switched_off_end() -> None:
    world = World(ends_with_records=0.0)
    world.put("k")
    shard = world.only_shard()
    iterator = world.iterator(shard)
    world.enable(on=False)
    _, following = world.read(iterator)
    assert following is not None
    assert world.read(following) == ([], None)
    assert "EndingSequenceNumber" in world.shards()[0]["SequenceNumberRange"]


def test_a_stream_that_was_switched_off_is_gone_after_a_day() -> None:
    world = World()
    world.put("k")
    arn, shard = world.arn, world.only_shard()
    world.enable(on=False)
    world.now += 24 * HOUR - 1
    assert world.drained(shard)
    world.now += 2
    assert world.refused("DescribeStream", StreamArn=arn) == "ResourceNotFoundException"
    assert world.call("ListStreams")["Streams"] == []
    assert [record.change.keys["pk"]["S"] for record in world.sim.log("orders")] == ["k"]


def test_switched_on_twice_or_off_twice_is_refused() -> None:
    world = World()
    on = {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
    assert world.refused("UpdateTable", TableName="orders", StreamSpecification=on) == "ValidationException"
    world.enable(on=False)
    off = {"StreamEnabled": False}
    assert world.refused("UpdateTable", TableName="orders", StreamSpecification=off) == "ValidationException"


def test_a_table_that_is_made_again_is_another_one() -> None:
    world = World()
    world.put("k")
    first = world.call("DescribeTable", TableName="orders")["Table"]
    world.call("DeleteTable", TableName="orders")
    assert world.describe(first["LatestStreamArn"])["StreamStatus"] == "DISABLED"
    world.now += 1.0
    world.create()
    second = world.call("DescribeTable", TableName="orders")["Table"]
    assert first["TableId"] != second["TableId"]
    assert first["LatestStreamArn"] != second["LatestStreamArn"]
    assert len(world.call("ListStreams", TableName="orders")["Streams"]) == 2


def test_what_is_asked_for_fails_as_often_as_asked() -> None:
    world = World()
    shard = world.only_shard()
    world.sim.control.fail("GetRecords", INTERNAL, times=2)
    world.sim.control.throttle("DescribeStream", where=lambda request: "Limit" in request)
    iterator = world.iterator(shard)
    for _ in range(2):
        with pytest.raises(ServiceError, match="InternalServerError") as error:
            world.read(iterator)
        assert error.value.status == 500
    assert world.read(iterator)[0] == []
    world.describe()
    assert world.refused("DescribeStream", StreamArn=world.arn, Limit=1) == "ThrottlingException"
    assert world.sim.control.faults == 3


def test_a_lost_answer_is_that_of_a_call_that_was_carried_out() -> None:
    world = World()
    world.sim.control.fail("PutItem", NO_ANSWER, lost=True)
    with pytest.raises(NoAnswerError):
        world.put("k")
    world.sim.control.fail("PutItem", NO_ANSWER)
    with pytest.raises(NoAnswerError):
        world.put("other")
    assert [record.change.keys["pk"]["S"] for record in world.sim.log("orders")] == ["k"]


def test_faults_by_chance_and_their_end() -> None:
    world = World()
    iterator = world.iterator(world.only_shard())
    world.sim.control.chance("GetRecords", 0.5, [LIMIT_EXCEEDED])
    codes = Counter(code_of(world, iterator) for _ in range(100))
    assert codes.keys() == {"", "LimitExceededException"}
    assert 30 <= codes["LimitExceededException"] <= 70
    world.sim.control.calm()
    world.read(iterator)


def code_of(world: World, iterator: str) -> str:
    try:
        world.read(iterator)
    except ServiceError as error:
        return error.code
    return ""


def test_what_the_control_cannot_do_it_says() -> None:
    world = World()
    shard = world.only_shard()
    world.sim.control.roll(world.arn, shard)
    with pytest.raises(ValueError, match="is closed"):
        world.sim.control.roll(world.arn, shard)
    with pytest.raises(ValueError, match="no shard"):
        world.sim.control.split(world.arn, "shardId-none")
    with pytest.raises(ValueError, match="no stream with the ARN 'orders'"):
        world.sim.control.split("orders")
    world.enable(on=False)
    with pytest.raises(ValueError, match="no open shard"):
        world.sim.control.split(world.arn)


def test_trimmed_on_request_a_shard_loses_its_oldest_records_and_then_goes() -> None:
    world = World()
    for number in range(4):
        world.put(f"k{number}")
    shard = world.only_shard()
    world.sim.control.trim(world.arn, shard, records=3)
    assert len(world.drained(shard)) == 1
    world.sim.control.roll(world.arn, shard)
    world.sim.control.trim(world.arn, shard)
    assert shard not in [listed["ShardId"] for listed in world.shards()]


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, 7)),
        st.tuples(st.just("delete"), st.integers(0, 7)),
        st.tuples(st.just("split"), st.integers(0, 3)),
        st.tuples(st.just("roll"), st.integers(0, 3)),
        st.tuples(st.just("wait"), st.integers(1, 3600)),
    ),
    max_size=60,
)


def play(world: World, actions: list[tuple[str, int]]) -> None:
    for number, (action, argument) in enumerate(actions):
        match action:
            case "put":
                world.put(f"k{argument}", number)
            case "delete":
                world.delete(f"k{argument}")
            case "wait":
                world.now += argument / 10
            case _:
                leaves = [s for s in world.shards() if "EndingSequenceNumber" not in s["SequenceNumberRange"]]
                leaf = leaves[argument % len(leaves)]["ShardId"]
                control = world.sim.control
                (control.split if action == "split" else control.roll)(world.arn, leaf)


@given(seed=st.integers(0, 1000), actions=ACTIONS)
def test_every_record_is_read_once_and_an_items_records_in_order_along_the_lineage(
    seed: int, actions: list[tuple[str, int]]
) -> None:
    world = World(
        seed=seed,
        partitions=2,
        empty_page=0.3,
        page_records=3,
        latest_slack_records=2,
        publication_seconds=3.0,
    )
    play(world, actions)
    world.now += 3.0
    parents = {shard["ShardId"]: shard.get("ParentShardId") for shard in world.shards()}
    done: list[str] = []
    read: list[int] = []
    items: dict[str, list[int]] = {}
    while len(done) < len(parents):
        shard = next(
            s for s, parent in parents.items() if s not in done and (parent is None or parent in done)
        )
        for record in world.drained(shard):
            number = int(record["dynamodb"]["SequenceNumber"])
            read.append(number)
            items.setdefault(record["dynamodb"]["Keys"]["pk"]["S"], []).append(number)
        done.append(shard)
    assert sorted(read) == [record.sequence for record in world.sim.log("orders")]
    assert all(before < after for of_item in items.values() for before, after in pairwise(of_item))


@given(seed=st.integers(0, 1000), actions=ACTIONS)
def test_equal_seeds_and_equal_calls_are_equal_answers(seed: int, actions: list[tuple[str, int]]) -> None:
    answers = []
    for _ in range(2):
        world = World(seed=seed, partitions=2, empty_page=0.3, page_records=3, publication_seconds=3.0)
        play(world, actions)
        answers.append([(shard, world.drained(shard["ShardId"])) for shard in world.shards()])
    assert answers[0] == answers[1]
