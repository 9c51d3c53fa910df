from typing import Any

import pytest

from cdc.testing.sim.failures import ServiceError
from tests.sim_tables.world import STREAM, World, table_of

NAMED = {"TableName": "orders"}
KEY = {"pk": {"S": "a"}, "sk": {"N": "1"}}


def described(world: World, name: str = "orders") -> dict[str, Any]:
    table: dict[str, Any] = world.call("DescribeTable", {"TableName": name})["Table"]
    return table


def update_stream(world: World, **specification: Any) -> None:
    world.call("UpdateTable", {**NAMED, "StreamSpecification": specification})


def test_a_table_says_what_it_is(world: World) -> None:
    table = described(world)
    table_id = table.pop("TableId")
    assert len(table_id) == 36
    assert table == {
        "TableName": "orders",
        "TableArn": "arn:aws:dynamodb:eu-west-1:000000000000:table/orders",
        "TableStatus": "ACTIVE",
        "CreationDateTime": world.time,
        "KeySchema": [
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        "AttributeDefinitions": [
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "N"},
        ],
        "BillingModeSummary": {"BillingMode": "PAY_PER_REQUEST"},
        "ProvisionedThroughput": {
            "NumberOfDecreasesToday": 0,
            "ReadCapacityUnits": 0,
            "WriteCapacityUnits": 0,
        },
        "DeletionProtectionEnabled": False,
        "ItemCount": 0,
        "TableSizeBytes": 0,
        "StreamSpecification": STREAM,
        "LatestStreamLabel": "2026-01-01T00:00:00.001",
        "LatestStreamArn": "arn:aws:dynamodb:eu-west-1:000000000000:table/orders/stream/2026-01-01T00:00:00.001",
    }


def test_equal_seeds_make_equal_tables() -> None:
    ids = []
    for seed in (1, 1, 2):
        world = World(seed)
        world.create()
        ids.append(described(world)["TableId"])
    assert ids[0] == ids[1] != ids[2]


def test_a_stream_that_is_off_stays_the_latest(world: World) -> None:
    first = described(world)["LatestStreamArn"]
    update_stream(world, StreamEnabled=False)
    table = described(world)
    assert (table["LatestStreamArn"], "StreamSpecification" in table) == (first, False)
    assert world.streams.disabled == [first]
    world.call("PutItem", {**NAMED, "Item": {"pk": {"S": "a"}, "sk": {"N": "1"}}})
    assert world.streams.emitted == []
    update_stream(world, StreamEnabled=True, StreamViewType="KEYS_ONLY")
    world.call("DeleteItem", {**NAMED, "Key": {"pk": {"S": "a"}, "sk": {"N": "1"}}})
    ((arn, _),) = world.streams.emitted
    assert arn == described(world)["LatestStreamArn"] != first


@pytest.mark.parametrize(
    "specification",
    [
        {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
        {"StreamEnabled": True},
        {"StreamEnabled": True, "StreamViewType": "EVERYTHING"},
        {"StreamEnabled": False, "StreamViewType": "NEW_IMAGE"},
        {},
    ],
)
def test_changes_of_the_stream_that_are_refused(world: World, specification: dict[str, Any]) -> None:
    with pytest.raises(ServiceError) as error:
        update_stream(world, **specification)
    assert error.value.code == "ValidationException"


def test_a_stream_is_not_disabled_twice(world: World) -> None:
    update_stream(world, StreamEnabled=False)
    with pytest.raises(ServiceError, match="no stream"):
        update_stream(world, StreamEnabled=False)


def test_a_table_of_the_same_name_is_another_one(world: World) -> None:
    old = described(world)
    world.call("DeleteTable", NAMED)
    assert world.streams.disabled == [old["LatestStreamArn"]]
    with pytest.raises(ServiceError) as error:
        described(world)
    assert error.value.code == "ResourceNotFoundException"
    world.create()
    new = described(world)
    assert (new["TableArn"], new["TableId"] != old["TableId"]) == (old["TableArn"], True)
    assert new["LatestStreamArn"] != old["LatestStreamArn"]


def test_a_protected_table_is_not_deleted(world: World) -> None:
    world.call("UpdateTable", {**NAMED, "DeletionProtectionEnabled": True})
    with pytest.raises(ServiceError, match="protected"):
        world.call("DeleteTable", NAMED)
    assert world.streams.disabled == []


class TestTablesThatTakeTheirTime:
    @pytest.fixture
    def world(self) -> World:
        world = World(table_seconds=10.0)
        world.create()
        return world

    def refused(self, world: World, operation: str, **more: Any) -> str:
        with pytest.raises(ServiceError) as error:
            world.call(operation, {**NAMED, **more})
        return error.value.code

    def test_creating(self, world: World) -> None:
        assert described(world)["TableStatus"] == "CREATING"
        assert self.refused(world, "PutItem", Item=KEY) == "ResourceNotFoundException"
        assert self.refused(world, "DeleteTable") == "ResourceInUseException"
        assert self.refused(world, "CreateTable", **table_of("orders", "S", None)) == "ResourceInUseException"
        world.time += 10.0
        assert described(world)["TableStatus"] == "ACTIVE"
        world.call("PutItem", {**NAMED, "Item": KEY})

    def test_updating(self, world: World) -> None:
        world.time += 10.0
        update_stream(world, StreamEnabled=False)
        assert described(world)["TableStatus"] == "UPDATING"
        world.call("PutItem", {**NAMED, "Item": KEY})
        assert self.refused(world, "UpdateTable", BillingMode="PAY_PER_REQUEST") == "ResourceInUseException"
        world.time += 10.0
        assert described(world)["TableStatus"] == "ACTIVE"

    def test_deleting(self, world: World) -> None:
        world.time += 10.0
        assert world.call("DeleteTable", NAMED)["TableDescription"]["TableStatus"] == "DELETING"
        assert described(world)["TableStatus"] == "DELETING"
        assert self.refused(world, "PutItem", Item=KEY) == "ResourceNotFoundException"
        assert self.refused(world, "DeleteTable") == "ResourceInUseException"
        assert self.refused(world, "CreateTable", **table_of("orders", "S", None)) == "ResourceInUseException"
        world.time += 10.0
        assert world.call("ListTables", {}) == {"TableNames": []}
        world.create()


def test_tables_are_listed_by_name_in_pages() -> None:
    world = World()
    for name in ("ccc", "aaa", "bbb"):
        world.create(name)
    page = world.call("ListTables", {"Limit": 2})
    assert page == {"TableNames": ["aaa", "bbb"], "LastEvaluatedTableName": "bbb"}
    after = {"ExclusiveStartTableName": page["LastEvaluatedTableName"]}
    assert world.call("ListTables", after) == {"TableNames": ["ccc"]}


@pytest.mark.parametrize(
    "change",
    [
        {"TableName": "ab"},
        {"TableName": "or/ders"},
        {"KeySchema": []},
        {"KeySchema": [{"AttributeName": "pk", "KeyType": "RANGE"}]},
        {"KeySchema": [{"AttributeName": "pk", "KeyType": kind} for kind in ("HASH", "RANGE")]},
        {"KeySchema": [{"AttributeName": "x" * 256, "KeyType": "HASH"}]},
        {"AttributeDefinitions": []},
        {"AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "more")]},
        {"AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "BOOL"}]},
        {"BillingMode": "FREE"},
        {"BillingMode": "PROVISIONED"},
        {"ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}},
        {
            "BillingMode": "PROVISIONED",
            "ProvisionedThroughput": {"ReadCapacityUnits": 0, "WriteCapacityUnits": 1},
        },
    ],
)
def test_tables_that_are_refused(change: dict[str, Any]) -> None:
    world = World()
    with pytest.raises(ServiceError) as error:
        world.call("CreateTable", {**table_of("orders", "S", None), **change})
    assert error.value.code == "ValidationException"
    assert world.call("ListTables", {}) == {"TableNames": []}


def test_capacity_can_be_provisioned() -> None:
    world = World()
    units = {"ReadCapacityUnits": 3, "WriteCapacityUnits": 4}
    world.create(BillingMode="PROVISIONED", ProvisionedThroughput=units)
    table = described(world)
    assert table["ProvisionedThroughput"] == {"NumberOfDecreasesToday": 0, **units}
    assert "BillingModeSummary" not in table
    world.call("UpdateTable", {**NAMED, "BillingMode": "PAY_PER_REQUEST"})
    assert described(world)["BillingModeSummary"] == {"BillingMode": "PAY_PER_REQUEST"}


class TestTimeToLive:
    def set(self, world: World, *, enabled: bool = True, attribute: str = "expires") -> None:
        specification = {"Enabled": enabled, "AttributeName": attribute}
        answer = world.call("UpdateTimeToLive", {**NAMED, "TimeToLiveSpecification": specification})
        assert answer == {"TimeToLiveSpecification": specification}

    def status(self, world: World) -> Any:
        return world.call("DescribeTimeToLive", NAMED)["TimeToLiveDescription"]

    def put(self, world: World, number: int, expires: dict[str, Any]) -> None:
        item = {"pk": {"S": "a"}, "sk": {"N": str(number)}, "expires": expires}
        world.call("PutItem", {**NAMED, "Item": item})

    def test_settings(self, world: World) -> None:
        assert self.status(world) == {"TimeToLiveStatus": "DISABLED"}
        self.set(world)
        assert self.status(world) == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expires"}
        for enabled, attribute in ((True, "expires"), (True, "other"), (False, "other")):
            with pytest.raises(ServiceError, match="TimeToLive"):
                self.set(world, enabled=enabled, attribute=attribute)
        self.set(world, enabled=False)
        with pytest.raises(ServiceError, match="already disabled"):
            self.set(world, enabled=False)

    def test_items_expire_when_it_is_time_and_are_told_so(self, world: World) -> None:
        self.set(world)
        for number, expires in enumerate(
            (
                {"N": str(world.time)},
                {"N": str(world.time + 5)},
                {"S": "1"},
                {"N": str(world.time - 6 * 365 * 24 * 3600)},
            )
        ):
            self.put(world, number, expires)
        # They are still there until somebody takes them away.
        assert world.call("Scan", NAMED)["Count"] == 4
        assert world.tables.expire("orders") == 1
        world.time += 5.0
        assert world.tables.expire("orders", most=0) == 0
        assert world.tables.expire("orders") == 1
        removed = world.streams.changes[4:]
        assert [(change.event_name, change.keys["sk"], change.by_ttl) for change in removed] == [
            ("REMOVE", {"N": "0"}, True),
            ("REMOVE", {"N": "1"}, True),
        ]
        assert not any(change.by_ttl for change in world.streams.changes[:4])
        assert len(world.tables.items("orders")) == 2

    def test_nothing_expires_unasked(self, world: World) -> None:
        self.put(world, 1, {"N": "1"})
        assert world.tables.expire("orders") == 0
