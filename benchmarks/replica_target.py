"""The DynamoDB that a replica is written to: it takes everything, at once. Conditions are not looked at, so this tells
what the writer spends, and nothing of what a table would answer."""

import json
import threading
from typing import Any

from benchmarks.feed import KEY

Item = dict[str, Any]


class ReplicaTarget:
    def __init__(self, *, keep: bool) -> None:
        self._keep = keep
        self._lock = threading.Lock()
        self._items: dict[str, dict[str, Item]] = {}
        self.writes = 0

    def table(self, name: str) -> dict[str, Any]:
        """API reference, TableDescription."""
        key: dict[str, Any] = KEY
        if name.endswith("_tombstones"):
            key = {
                "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
                "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
            }
        return {
            "TableName": name,
            "TableStatus": "ACTIVE",
            "TableId": f"id-{name}",
            "TableArn": f"arn:aws:dynamodb:eu-west-2:000000000000:table/{name}",
            "CreationDateTime": 1767323045.678,
            **key,
        }

    def write(self, operation: str, body: bytes) -> None:
        """API reference, PutItem and TransactWriteItems."""
        with self._lock:
            self.writes += 1
        if not self._keep:
            return
        request = json.loads(body)
        actions = [{"Put": request}] if operation == "PutItem" else request["TransactItems"]
        with self._lock:
            for action in actions:
                for verb, what in action.items():
                    items = self._items.setdefault(what["TableName"], {})
                    if verb == "Put":
                        items[_key(what["Item"])] = what["Item"]
                    elif verb == "Delete":
                        items.pop(_key(what["Key"]), None)

    def items(self) -> dict[str, list[Item]]:
        """Of each table."""
        with self._lock:
            return {table: list(items.values()) for table, items in self._items.items()}

    def forget(self) -> None:
        with self._lock:
            self._items.clear()
            self.writes = 0


def _key(item: Item) -> str:
    """Of an item or a key: of the tombstones, or of the replica."""
    names = ("id",) if "id" in item else ("pk", "sk")
    return json.dumps([item[name] for name in names])
