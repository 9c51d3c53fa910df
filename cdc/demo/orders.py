"""The workload: orders that come, change and go, as a shop's would; the same for the same seed."""

import random
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from cdc.demo.values import Key

MAX_ORDERS = 200
"""moto copies a whole table for each transaction, and each insert and delete at the replica is one: 8 ms at 200 items,
87 ms at 1,200."""

FOLLOWED = Key("customer-000", Decimal(1000))
"""The order that is shown at every sink."""
FOLLOWED_TOTAL = "12345678901234567890.123456789012345678"
FOLLOWED_TAGS = frozenset({"fragile", "gift", "größe-L"})

_HOT_ORDERS = 8
_HOT_SHARE = 0.3
_DELETE_SHARE = 0.03
_REPLACE_SHARE = 0.45
_STATES = ("placed", "paid", "packed", "shipped", "returned")
_TAGS = ("bulky", "express", "fragile", "gift", "größe-L", "insured", "")
_CITIES = ("Köln", "Leeds", "Łódź", "東京", "São Paulo")

Attributes = dict[str, dict[str, Any]]
"""As the SDK's client takes them."""


class Request(NamedTuple):
    """One write, and what the item is after it."""

    operation: str
    """Of the SDK's client."""
    arguments: dict[str, Any]
    op: str
    key: Key
    after: Attributes | None


class Shop:
    """Decides what happens next, and knows what every order then is.

    Orders are small because moto takes 0.1 ms to write one attribute value of a stream record.

    Every write changes something, numbers are in DynamoDB's own notation, and an update meets an order that is there:
    see `cdc.demo.dynamodb`.
    """

    def __init__(self, table: str, seed: int = 1) -> None:
        self._table = table
        self._random = random.Random(seed)  # noqa: S311 - a workload, no secret
        self._orders: dict[Key, Attributes] = {}
        self._revision = 0
        self._keys = [FOLLOWED] + [
            Key(f"customer-{number % 60:03}", Decimal(1000 + number)) for number in range(1, MAX_ORDERS)
        ]

    def place_followed(self) -> Request:
        """The first order."""
        item = self._order(FOLLOWED, extras=8)
        item["total"] = {"N": FOLLOWED_TOTAL}
        item["tags"] = {"SS": sorted(FOLLOWED_TAGS)}
        return self._put(FOLLOWED, item)

    def requests(self) -> Iterator[Request]:
        """Without end. The followed order stays as it is."""
        while True:
            chance = self._random.random()
            if self._random.random() < _HOT_SHARE:
                key = self._random.choice(self._keys[1 : 1 + _HOT_ORDERS])
            else:
                key = self._random.choice(self._keys[1:])
            if key not in self._orders or chance < _REPLACE_SHARE:
                yield self._put(key, self._order(key))
            elif chance > 1 - _DELETE_SHARE:
                yield self._delete(key)
            else:
                yield self._update(key)

    def _put(self, key: Key, item: Attributes) -> Request:
        op = "u" if key in self._orders else "c"
        self._orders[key] = item
        return Request("put_item", {"TableName": self._table, "Item": item}, op, key, item)

    def _delete(self, key: Key) -> Request:
        del self._orders[key]
        return Request("delete_item", {"TableName": self._table, "Key": _attributes(key)}, "d", key, None)

    def _update(self, key: Key) -> Request:
        """Some attributes, the address's city among them, and not the whole order."""
        item = self._orders[key]
        self._revision += 1
        changed: Attributes = {"state": {"S": self._random.choice(_STATES)}, "revision": _n(self._revision)}
        after = item | changed
        expression = "SET #state = :state, revision = :revision"
        if "address" in item:
            changed["city"] = {"S": self._random.choice(_CITIES)}
            after["address"] = {"M": item["address"]["M"] | {"city": changed["city"]}}
            expression += ", address.city = :city"
        self._orders[key] = after
        arguments = {
            "TableName": self._table,
            "Key": _attributes(key),
            "UpdateExpression": expression,
            "ExpressionAttributeNames": {"#state": "state"},
            "ExpressionAttributeValues": {f":{name}": value for name, value in changed.items()},
        }
        return Request("update_item", arguments, "u", key, after)

    def _order(self, key: Key, extras: int = 2) -> Attributes:
        """What every order has, and some of what only some have."""
        self._revision += 1
        extra = self._random.sample(sorted(self._extras()), extras)
        return (
            _attributes(key)
            | {"state": {"S": "placed"}, "revision": _n(self._revision), "total": {"N": self._number()}}
            | {name: self._extras()[name] for name in extra}
        )

    def _extras(self) -> Attributes:
        chance = self._random
        line = {"sku": {"S": f"sku-{chance.randint(1, 999)}"}, "quantity": _n(chance.randint(1, 9))}
        return {
            "paid": {"BOOL": chance.choice((True, False))},
            "coupon": {"NULL": True},
            "remark": {"S": ""},
            "signature": {"B": chance.randbytes(24)},
            "tags": {"SS": sorted(chance.sample(_TAGS, chance.randint(1, 4)))},
            "parcels": {
                "NS": [str(number) for number in chance.sample(range(-5, 100), chance.randint(1, 3))]
            },
            "address": {"M": {"city": {"S": chance.choice(_CITIES)}, "floor": {"NULL": True}}},
            "lines": {"L": [{"M": line}] * chance.randint(0, 2)},
        }

    def _number(self) -> str:
        """38 digits, which neither a double nor a 64-bit integer holds."""
        digits = "".join(self._random.choices("123456789", k=38))
        point = self._random.randint(1, 37)
        return f"{self._random.choice(('', '-'))}{digits[:point]}.{digits[point:]}"


def _attributes(key: Key) -> Attributes:
    return {"customer": {"S": key.customer}, "order": _n(int(key.order))}


def _n(number: int) -> dict[str, str]:
    return {"N": str(number)}
