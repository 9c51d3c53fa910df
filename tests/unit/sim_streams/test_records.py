import json

import pytest

from tests.unit.sim_streams.world import BEGIN, HOUR, World, numbers


def test_a_record_in_full() -> None:
    world = World()
    world.now += 0.9
    world.put("k", 1)
    world.put("k", 2)
    world.delete("k")
    insert, modify, remove = world.drained(world.only_shard())
    assert modify == {
        "eventID": modify["eventID"],
        "eventName": "MODIFY",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-west-1",
        "dynamodb": {
            "ApproximateCreationDateTime": int(BEGIN),
            "Keys": {"pk": {"S": "k"}},
            "NewImage": {"pk": {"S": "k"}, "n": {"N": "2"}},
            "OldImage": {"pk": {"S": "k"}, "n": {"N": "1"}},
            "SequenceNumber": modify["dynamodb"]["SequenceNumber"],
            "SizeBytes": 3 + 2 * (3 + 1 + 2),
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
    }
    assert [insert["eventName"], remove["eventName"]] == ["INSERT", "REMOVE"]
    assert "OldImage" not in insert["dynamodb"]
    assert "NewImage" not in remove["dynamodb"]
    assert len({record["eventID"] for record in (insert, modify, remove)}) == 3


@pytest.mark.parametrize(
    ("view_type", "images"),
    [
        ("KEYS_ONLY", set()),
        ("NEW_IMAGE", {"NewImage"}),
        ("OLD_IMAGE", {"OldImage"}),
        ("NEW_AND_OLD_IMAGES", {"NewImage", "OldImage"}),
    ],
)
def test_a_record_has_the_images_of_its_streams_view_type(view_type: str, images: set[str]) -> None:
    world = World(view_type=view_type)
    world.put("k", 1)
    world.put("k", 2)
    record = world.drained(world.only_shard())[1]["dynamodb"]
    assert record.keys() & {"NewImage", "OldImage"} == images
    assert record["StreamViewType"] == view_type


def test_the_body_is_the_same_answer() -> None:
    world = World()
    world.put("k", 1)
    world.put('"quoted" and é', 2)
    request = {"ShardIterator": world.iterator(world.only_shard())}
    assert json.loads(world.sim.answer("GetRecords", request)) == world.sim.call("GetRecords", request)


def test_what_changes_nothing_is_not_recorded() -> None:
    world = World()
    world.put("k", 1)
    world.put("k", 1)
    world.delete("another")
    assert len(world.drained(world.only_shard())) == 1


def test_numbers_have_21_to_40_digits_and_more_as_time_goes_by() -> None:
    world = World(rollover_seconds=0.0)
    lengths = []
    for seconds in (0, 20, 200, 2000, 20000):
        world.now = BEGIN + seconds
        world.put("k", seconds)
        lengths.append(len(str(world.sim.log("orders")[-1].sequence)))
    assert lengths == [21, 22, 23, 24, 25]
    texts = [str(record.sequence) for record in world.sim.log("orders")]
    assert sorted(texts) != texts


def test_a_new_stream_begins_below_the_old_one() -> None:
    world = World(rollover_seconds=0.0)
    world.now += HOUR
    world.put("k", 1)
    world.enable(on=False)
    world.enable(on=True)
    world.put("k", 2)
    old, new = world.sim.log("orders")
    assert new.sequence < old.sequence
    assert new.stream != old.stream


def test_time_to_live_deletes_say_who_they_are_of() -> None:
    world = World()
    world.call(
        "UpdateTimeToLive",
        TableName="orders",
        TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"},
    )
    for key in ("one", "other"):
        world.call("PutItem", TableName="orders", Item={"pk": {"S": key}, "until": {"N": str(int(BEGIN))}})
    world.now += 1
    world.delete("one")
    assert world.sim.tables.expire("orders") == 1
    *_, by_user, by_service = world.drained(world.only_shard())
    assert "userIdentity" not in by_user
    assert by_service["userIdentity"] == {"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"}
    assert by_service["eventName"] == "REMOVE"


def test_a_record_is_published_late_and_after_those_before_it() -> None:
    world = World(publication_seconds=10.0)
    for number in range(20):
        world.put(f"k{number}")
        world.now += 0.1
    seen: list[int] = []
    while len(seen) < 20:
        now = numbers(world.drained(world.only_shard()))
        assert now[: len(seen)] == seen
        seen = now
        world.now += 0.5
    assert world.now > BEGIN + 5
    assert seen == sorted(seen)


def test_a_shard_has_not_ended_before_its_last_record_is_published() -> None:
    world = World(publication_seconds=10.0, ends_with_records=0.0)
    world.put("k")
    shard = world.only_shard()
    world.sim.control.roll(world.arn, shard)
    records, following = world.read(world.iterator(shard))
    assert records == []
    assert following is not None
    world.now += 10.0
    assert len(world.read(following)[0]) == 1


def test_the_records_of_a_transaction_are_not_always_in_its_order() -> None:
    orders = set()
    for seed in range(20):
        world = World(seed=seed, transactions_out_of_order=0.5)
        actions = [{"Put": {"TableName": "orders", "Item": {"pk": {"S": key}}}} for key in "abc"]
        world.call("TransactWriteItems", TransactItems=actions)
        orders.add(
            "".join(record["dynamodb"]["Keys"]["pk"]["S"] for record in world.drained(world.only_shard()))
        )
    assert "abc" in orders
    assert len(orders) > 2
