"""Tables with streams on a server that a test runs against."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import botocore.session

REGION = "eu-west-1"


class Tables:
    """The plain client of the service, and tables of names that no other test has."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client: Any = botocore.session.Session().create_client(
            "dynamodb",
            region_name=REGION,
            endpoint_url=url,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def create(self, *, view_type: str | None = "NEW_AND_OLD_IMAGES", name: str = "") -> str:
        name = name or f"orders-{uuid4().hex}"
        more = {"StreamSpecification": enabled(view_type)} if view_type else {}
        self.client.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[
                {"AttributeName": "id", "KeyType": "HASH"},
                {"AttributeName": "at", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                {"AttributeName": "at", "AttributeType": "N"},
                {"AttributeName": "id", "AttributeType": "S"},
            ],
            **more,
        )
        return name

    def put(self, table: str, at: int = 1, **attributes: Any) -> None:
        self.client.put_item(TableName=table, Item={"id": {"S": "a"}, "at": {"N": str(at)}} | attributes)

    def delete(self, table: str, at: int = 1) -> None:
        self.client.delete_item(TableName=table, Key={"id": {"S": "a"}, "at": {"N": str(at)}})

    def put_many(self, table: str, count: int) -> None:
        """Items 0 to `count`, in this order."""
        for start in range(0, count, 25):
            puts = [
                {"PutRequest": {"Item": {"id": {"S": "a"}, "at": {"N": str(at)}}}}
                for at in range(start, min(start + 25, count))
            ]
            self.client.batch_write_item(RequestItems={table: puts})

    def enable(self, table: str, view_type: str = "NEW_AND_OLD_IMAGES") -> None:
        self.client.update_table(TableName=table, StreamSpecification=enabled(view_type))

    def disable(self, table: str) -> None:
        self.client.update_table(TableName=table, StreamSpecification={"StreamEnabled": False})


def enabled(view_type: str) -> dict[str, Any]:
    return {"StreamEnabled": True, "StreamViewType": view_type}


@contextmanager
def tables_at(url: str) -> Iterator[Tables]:
    tables = Tables(url)
    try:
        yield tables
    finally:
        tables.client.close()
