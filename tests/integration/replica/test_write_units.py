"""The formula of `docs/sinks/replica.md` and of `cdc check` against what DynamoDB Local charges."""

import json
from typing import Any

import msgspec
import pytest

from cdc.model import KeyAttribute
from connectors.replica.guard import Action, Condition, Place, Verb
from connectors.replica.probe import TRANSACTION_UNITS, UPDATE_UNITS
from connectors.replica.wire import Values, Wire
from tests.replica.tables import Replica, names_of

pytestmark = pytest.mark.integration
VERSION = "1767225600000-000000-" + "1" * 40


def charged(replica: Replica, request: tuple[Any, ...], values: Values) -> float:
    call = Wire(replica.table, replica.tombstones, "pk").call(request, values)
    operation = {"PutItem": "put_item", "TransactWriteItems": "transact_write_items"}[call.operation]
    answer = getattr(replica.client, operation)(**json.loads(call.body), ReturnConsumedCapacity="TOTAL")
    consumed = answer["ConsumedCapacity"]
    return float(
        sum(one["CapacityUnits"] for one in (consumed if isinstance(consumed, list) else [consumed]))
    )


@pytest.mark.parametrize(("size", "kilobytes"), [(100, 1), (1500, 2)])
def test_units_of_each_kind_of_change(
    dynamodb_endpoint: str, tmp_path: Any, size: int, kilobytes: int
) -> None:
    replica = Replica(dynamodb_endpoint, *names_of(tmp_path), key=(KeyAttribute("pk", "S"),))
    replica.create()
    replica.client.create_table(
        TableName=replica.tombstones,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    key = {"pk": {"S": "a"}}
    item = msgspec.json.encode(key | {"text": {"S": "x" * size}, "_cdc_version": {"S": VERSION}})

    def values(number: int) -> Values:
        version = VERSION[:-1] + str(number)
        return Values(
            version, msgspec.json.encode(key), item.replace(VERSION.encode(), version.encode()), "id", 1
        )

    older = Condition.ABSENT_OR_OLDER
    insert = (Action(Place.REPLICA, Verb.PUT, older), Action(Place.TOMBSTONES, Verb.CHECK, older))
    update = (Action(Place.REPLICA, Verb.PUT, Condition.EXISTS_AND_OLDER),)
    delete = (Action(Place.REPLICA, Verb.DELETE, older), Action(Place.TOMBSTONES, Verb.PUT, older))
    units = [
        charged(replica, request, values(number))
        for number, request in enumerate((insert, update, delete), 2)
    ]
    in_transaction = 2 * kilobytes + 2
    assert units == [in_transaction, kilobytes, in_transaction]
    if kilobytes == 1:
        assert (kilobytes, in_transaction) == (UPDATE_UNITS, TRANSACTION_UNITS)
