"""Tables at a DynamoDB that tests run against."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
import msgspec
from botocore.config import Config

from cdc.model import KeyAttribute
from cdc.testing.content import Content, ItemState, source_key
from connectors.replica import ReplicaConfig
from connectors.replica.guard import VERSION_ATTRIBUTE
from connectors.replica.keys import canonical_key, tombstone_id

REGION = "eu-west-1"
PK = KeyAttribute("pk", "S")


@cache
def client_of(endpoint: str) -> Any:
    """A client past the sink; one per endpoint, since making one takes longer than a test."""
    session = botocore.session.Session()
    config = Config(retries={"total_max_attempts": 2}, connect_timeout=5, read_timeout=20)
    return session.create_client(
        "dynamodb",
        region_name=REGION,
        endpoint_url=endpoint,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=config,
    )


class Replica:
    """A replica table and its tombstones, seen past the sink."""

    def __init__(
        self, endpoint: str, table: str, tombstones: str, key: Sequence[KeyAttribute] = (PK,)
    ) -> None:
        self.client = client_of(endpoint)
        self.table = table
        self.tombstones = tombstones
        self.key = tuple(key)

    def create(self, **more: Any) -> None:
        kinds = ("HASH", "RANGE")
        definitions = [{"AttributeName": one.name, "AttributeType": one.type} for one in self.key]
        self.client.create_table(
            TableName=self.table,
            KeySchema=[
                {"AttributeName": one.name, "KeyType": kind}
                for one, kind in zip(self.key, kinds, strict=False)
            ],
            AttributeDefinitions=definitions + more.pop("AttributeDefinitions", []),
            BillingMode="PAY_PER_REQUEST",
            **more,
        )

    def exists(self) -> bool:
        try:
            self.client.describe_table(TableName=self.table)
        except self.client.exceptions.ResourceNotFoundException:
            return False
        return True

    def put(self, item: Mapping[str, Any]) -> None:
        self.client.put_item(TableName=self.table, Item=item)

    def items(self) -> list[dict[str, Any]]:
        return list(self.client.scan(TableName=self.table, ConsistentRead=True)["Items"])

    def get(self, key: Mapping[str, Any]) -> dict[str, Any] | None:
        answer = self.client.get_item(TableName=self.table, Key=key, ConsistentRead=True)
        item: dict[str, Any] | None = answer.get("Item")
        return item

    def tombstone(self, key: Mapping[str, Any]) -> dict[str, Any] | None:
        canonical = canonical_key(msgspec.Raw(msgspec.json.encode(key)), self.key)
        answer = self.client.get_item(
            TableName=self.tombstones,
            Key={"id": {"S": tombstone_id(self.table, canonical)}},
            ConsistentRead=True,
        )
        item: dict[str, Any] | None = answer.get("Item")
        return item

    def content(self) -> Content:
        """The items as the sink's contract compares them."""
        found = {}
        for item in self.items():
            version = item.pop(VERSION_ATTRIBUTE)["S"]
            image = msgspec.json.decode(msgspec.json.encode(item))
            key = {one.name: image[one.name] for one in self.key}
            found[source_key(key)] = [ItemState(version, "", image)]
        return found


def config(endpoint: str, **more: Any) -> ReplicaConfig:
    return ReplicaConfig.model_validate(
        {"name": "dr", "type": "replica", "region": REGION, "endpoint_url": endpoint, **more}
    )


def names_of(base: Path) -> tuple[str, str]:
    """Names of a replica and its tombstones that belong to a test's folder."""
    unique = f"{base.parent.name}-{base.name}"[-100:]
    return f"replica-{unique}", f"tombstones-{unique}"
