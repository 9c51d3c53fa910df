from typing import Any

import pytest

from tests.unit.sim_streams.world import HOUR, World, keys, numbers


def written(count: int = 5, **behaviour: Any) -> tuple[World, str]:
    world = World(**behaviour)
    for number in range(count):
        world.put("k", number)
        world.now += 1.0
    return world, world.only_shard()


def test_the_oldest_record_and_the_next_one() -> None:
    world, shard = written()
    all_of_them = numbers(world.drained(shard))
    assert len(all_of_them) == 5
    assert all_of_them == sorted(all_of_them)


@pytest.mark.parametrize(("kind", "rest"), [("AT_SEQUENCE_NUMBER", 3), ("AFTER_SEQUENCE_NUMBER", 2)])
def test_at_a_number_and_after_it(kind: str, rest: int) -> None:
    world, shard = written()
    third = world.drained(shard)[2]["dynamodb"]["SequenceNumber"]
    records, _ = world.read(world.iterator(shard, kind, SequenceNumber=third))
    assert len(records) == rest


def test_the_newest_record_is_where_nothing_follows_yet() -> None:
    world, shard = written()
    iterator: str | None = world.iterator(shard, "LATEST")
    assert iterator is not None
    records, iterator = world.read(iterator)
    assert records == []
    world.put("later")
    assert iterator is not None
    assert keys(world.read(iterator)[0]) == ["later"]


def test_the_newest_record_may_be_a_few_too_early_and_never_too_late() -> None:
    world, shard = written(20, latest_slack_records=3)
    seen = {len(world.read(world.iterator(shard, "LATEST"))[0]) for _ in range(60)}
    assert seen == {0, 1, 2, 3}


def test_at_a_time_is_the_first_record_from_then_on() -> None:
    world, shard = written()
    times = [record["dynamodb"]["ApproximateCreationDateTime"] for record in world.drained(shard)]
    records, _ = world.read(world.iterator(shard, "AT_TIMESTAMP", Timestamp=times[3]))
    assert len(records) == 2
    old, _ = world.read(world.iterator(shard, "AT_TIMESTAMP", Timestamp=times[0] - 1e6))
    assert len(old) == 5
    future = {"StreamArn": world.arn, "ShardId": shard, "Timestamp": world.now + 1}
    assert (
        world.refused("GetShardIterator", ShardIteratorType="AT_TIMESTAMP", **future) == "ValidationException"
    )


@pytest.mark.parametrize(
    "bad",
    [
        {"ShardIteratorType": "AT_SEQUENCE_NUMBER"},
        {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER"},
        {"ShardIteratorType": "TRIM_HORIZON", "SequenceNumber": "1" * 21},
        {"ShardIteratorType": "LATEST", "SequenceNumber": "1" * 21},
        {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": "12"},
        {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": "1" * 41},
        {"ShardIteratorType": "AT_TIMESTAMP"},
        {"ShardIteratorType": "LATEST", "Timestamp": 1.0},
        {"ShardIteratorType": "OLDEST"},
        {},
    ],
)
def test_what_does_not_fit_together_is_refused(bad: dict[str, Any]) -> None:
    world = World()
    place = {"StreamArn": world.arn, "ShardId": world.only_shard()}
    assert world.refused("GetShardIterator", **place, **bad) == "ValidationException"


def test_what_is_not_there_and_what_is_no_name_at_all() -> None:
    world = World()
    kind = {"ShardIteratorType": "TRIM_HORIZON"}
    missing = "shardId-00000001767225600000-00000000"
    gone = world.arn.replace("2026", "2025")
    shard = world.only_shard()
    assert (
        world.refused("GetShardIterator", StreamArn=world.arn, ShardId=missing, **kind)
        == "ResourceNotFoundException"
    )
    assert (
        world.refused("GetShardIterator", StreamArn=gone, ShardId=shard, **kind)
        == "ResourceNotFoundException"
    )
    assert (
        world.refused("GetShardIterator", StreamArn="orders", ShardId=shard, **kind) == "ValidationException"
    )
    assert world.refused("DescribeStream", StreamArn=gone) == "ResourceNotFoundException"
    assert world.refused("DescribeStream", StreamArn="orders") == "ValidationException"
    for iterator in ("", "x", "a|b|c", f"{world.arn}|2|eA==", f"{world.arn}|1|eA=="):
        assert world.refused("GetRecords", ShardIterator=iterator) == "ValidationException"


def test_an_iterator_lives_for_15_minutes() -> None:
    world, shard = written()
    iterator = world.iterator(shard)
    world.now += 15 * 60
    assert world.read(iterator)[0]
    world.now += 1
    assert world.refused("GetRecords", ShardIterator=iterator) == "ExpiredIteratorException"


def test_each_page_has_an_iterator_of_its_own_age() -> None:
    world, shard = written()
    iterator: str | None = world.iterator(shard)
    for _ in range(5):
        assert iterator is not None
        world.now += 14 * 60
        _, iterator = world.read(iterator)


@pytest.mark.parametrize("empty_page", [0.0, 0.5])
def test_the_same_iterator_gives_the_same_records_again(empty_page: float) -> None:
    world, shard = written(30, page_records=4, empty_page=empty_page)
    iterator: str | None = world.iterator(shard)
    for _ in range(12):
        assert iterator is not None
        first, following = world.read(iterator)
        again, _ = world.read(iterator)
        assert numbers(first) == numbers(again)
        iterator = following


def test_a_page_has_at_most_1000_records() -> None:
    world, shard = written(1001)
    first, iterator = world.read(world.iterator(shard))
    assert len(first) == 1000
    assert iterator is not None
    assert len(world.read(iterator)[0]) == 1
    assert len(world.read(world.iterator(shard), Limit=7)[0]) == 7
    for limit in (0, 1001):
        assert world.refused("GetRecords", ShardIterator=iterator, Limit=limit) == "ValidationException"


def test_a_page_has_at_most_a_megabyte_and_at_least_one_record() -> None:
    world = World(page_bytes=1000)
    for number in range(10):
        text = "x" * (2000 if number == 3 else 150)
        world.call("PutItem", TableName="orders", Item={"pk": {"S": f"k{number}"}, "t": {"S": text}})
    pages = [len(page) for page in world.pages(world.iterator(world.only_shard()), most=1)]
    assert sum(pages) == 10
    assert 1 in pages
    assert max(pages) < 4


def test_an_empty_page_in_the_midst_of_a_shard_says_nothing() -> None:
    world, shard = written(100, page_records=5, empty_page=0.7)
    pages = list(world.pages(world.iterator(shard)))
    counts = [len(page) for page in pages]
    assert sum(counts) == 100
    last = max(index for index, count in enumerate(counts) if count)
    assert 0 in counts[:last]
    assert "0, 0, 0, 0" not in str(counts[:last])


@pytest.mark.parametrize("with_records", [True, False])
def test_a_shard_ends_with_its_last_records_or_with_an_empty_page_after_them(*, with_records: bool) -> None:
    world, shard = written(3, ends_with_records=1.0 if with_records else 0.0)
    world.sim.control.roll(world.arn, shard)
    records, following = world.read(world.iterator(shard))
    assert len(records) == 3
    assert (following is None) == with_records
    if following is not None:
        assert world.read(following) == ([], None)


def test_the_end_of_a_shard_is_no_member_and_not_a_null() -> None:
    world, shard = written(1, ends_with_records=1.0)
    world.sim.control.roll(world.arn, shard)
    assert set(world.call("GetRecords", ShardIterator=world.iterator(shard))) == {"Records"}
    assert b"NextShardIterator" not in world.sim.answer(
        "GetRecords", {"ShardIterator": world.iterator(shard)}
    )


def test_what_is_older_than_a_day_cannot_be_read_by_an_iterator_or_by_a_number() -> None:
    world, shard = written(2, rollover_seconds=0.0)
    first = world.drained(shard)[0]["dynamodb"]["SequenceNumber"]
    world.now += 24 * HOUR - 3
    world.put("young")
    iterator = world.iterator(shard)
    world.now += 4
    assert world.refused("GetRecords", ShardIterator=iterator) == "TrimmedDataAccessException"
    for kind in ("AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"):
        asked = {"StreamArn": world.arn, "ShardId": shard, "ShardIteratorType": kind, "SequenceNumber": first}
        assert world.refused("GetShardIterator", **asked) == "TrimmedDataAccessException"
    assert keys(world.drained(shard)) == ["young"]


def test_trimming_comes_any_time_after_a_day() -> None:
    late = World(trim_late_seconds=10 * HOUR, rollover_seconds=0.0)
    late.put("k")
    late.now += 24 * HOUR + 1
    assert len(late.drained(late.only_shard())) == 1
    late.now += 10 * HOUR
    assert late.drained(late.only_shard()) == []
