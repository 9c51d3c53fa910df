"""A simulation with a clock that is set by hand, and a reader that does nothing but call."""

from collections.abc import Iterator
from typing import Any

import pytest

from cdc.testing.sim.behaviour import Behaviour
from cdc.testing.sim.failures import ServiceError
from cdc.testing.sim.service import Sim

BEGIN = 1_767_225_600.0
HOUR = 3600.0


class World:
    """One table `orders` with the key `pk`."""

    def __init__(self, seed: int = 0, view_type: str = "NEW_AND_OLD_IMAGES", **behaviour: Any) -> None:
        self.now = BEGIN
        self.sim = Sim(now=lambda: self.now, seed=seed, behaviour=Behaviour(**behaviour))
        self.create(view_type)

    def create(self, view_type: str | None = "NEW_AND_OLD_IMAGES") -> None:
        stream = {} if view_type is None else {"StreamEnabled": True, "StreamViewType": view_type}
        self.call(
            "CreateTable",
            TableName="orders",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            **({"StreamSpecification": stream} if stream else {}),
        )

    def call(self, operation: str, **request: Any) -> dict[str, Any]:
        return self.sim.call(operation, request)

    def refused(self, operation: str, **request: Any) -> str:
        with pytest.raises(ServiceError) as refused:
            self.call(operation, **request)
        return refused.value.code

    @property
    def arn(self) -> str:
        arn: str = self.call("DescribeTable", TableName="orders")["Table"]["LatestStreamArn"]
        return arn

    def enable(self, *, on: bool) -> None:
        specification: dict[str, Any] = {"StreamEnabled": on}
        if on:
            specification["StreamViewType"] = "NEW_IMAGE"
        self.call("UpdateTable", TableName="orders", StreamSpecification=specification)

    # Writing

    def put(self, key: str, value: int = 0) -> None:
        self.call("PutItem", TableName="orders", Item={"pk": {"S": key}, "n": {"N": str(value)}})

    def delete(self, key: str) -> None:
        self.call("DeleteItem", TableName="orders", Key={"pk": {"S": key}})

    # Reading

    def describe(self, arn: str | None = None, **more: Any) -> dict[str, Any]:
        description: dict[str, Any] = self.call("DescribeStream", StreamArn=arn or self.arn, **more)[
            "StreamDescription"
        ]
        return description

    def shards(self, arn: str | None = None) -> list[dict[str, Any]]:
        """All pages of the listing."""
        found: list[dict[str, Any]] = []
        more: dict[str, Any] = {}
        while True:
            page = self.describe(arn, **more)
            found += page["Shards"]
            if "LastEvaluatedShardId" not in page:
                return found
            more = {"ExclusiveStartShardId": page["LastEvaluatedShardId"]}

    def only_shard(self) -> str:
        (shard,) = self.shards()
        shard_id: str = shard["ShardId"]
        return shard_id

    def iterator(self, shard: str, kind: str = "TRIM_HORIZON", arn: str | None = None, **more: Any) -> str:
        answer = self.call(
            "GetShardIterator", StreamArn=arn or self.arn, ShardId=shard, ShardIteratorType=kind, **more
        )
        iterator: str = answer["ShardIterator"]
        return iterator

    def read(self, iterator: str, **more: Any) -> tuple[list[dict[str, Any]], str | None]:
        answer = self.call("GetRecords", ShardIterator=iterator, **more)
        return answer["Records"], answer.get("NextShardIterator")

    def pages(self, iterator: str | None, most: int = 10) -> Iterator[list[dict[str, Any]]]:
        """Up to the end of the shard, or until so many pages in a row were empty."""
        empty = 0
        while iterator is not None and empty < most:
            records, iterator = self.read(iterator)
            empty = 0 if records else empty + 1
            yield records

    def drained(self, shard: str, kind: str = "TRIM_HORIZON", arn: str | None = None) -> list[dict[str, Any]]:
        return [record for page in self.pages(self.iterator(shard, kind, arn)) for record in page]


def numbers(records: list[dict[str, Any]]) -> list[int]:
    return [int(record["dynamodb"]["SequenceNumber"]) for record in records]


def keys(records: list[dict[str, Any]]) -> list[str]:
    return [record["dynamodb"]["Keys"]["pk"]["S"] for record in records]
