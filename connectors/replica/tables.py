"""The replica and its tombstones as tables: what has to be there, and what is created."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cdc.connector import CountCall
from cdc.errors import ErrorKind, SinkError
from cdc.model import KeyAttribute, Stream
from connectors.replica.errors import aws_errors
from connectors.replica.wire import TOMBSTONE_EXPIRY, TOMBSTONE_KEY

CREATION_SECONDS = 60.0
"""How long `open` waits for a created table; the next `open` goes on waiting."""
POLL_SECONDS = 0.5

_USABLE = frozenset({"ACTIVE", "UPDATING"})
_TOMBSTONE_SCHEMA = (KeyAttribute(TOMBSTONE_KEY, "S"),)


@dataclass(frozen=True, slots=True)
class TableDescription:
    """What `DescribeTable` says of a table."""

    name: str
    arn: str
    table_id: str
    """Empty where the endpoint has none."""
    stream_arn: str
    """Of its newest stream; empty if it never had one."""
    status: str
    key: tuple[KeyAttribute, ...]

    @property
    def usable(self) -> bool:
        return self.status in _USABLE


def key_text(key: Sequence[KeyAttribute]) -> str:
    return ", ".join(f"{attribute.name} ({attribute.type})" for attribute in key)


class Tables:
    """Calls about tables.

    Args:
        client: botocore's DynamoDB client.
        count_call: told of every call.
    """

    def __init__(self, client: Any, count_call: CountCall) -> None:
        self._client = client
        self._count_call = count_call

    def describe(self, name: str) -> TableDescription | None:
        """None: there is no such table.

        Raises:
            SinkError: `ACCESS_DENIED`, `UNAVAILABLE`, `THROTTLED`.
        """
        try:
            table = self._call("DescribeTable", name, TableName=name)["Table"]
        except SinkError as error:
            if error.kind is ErrorKind.NOT_FOUND:
                return None
            raise
        types = {one["AttributeName"]: one["AttributeType"] for one in table["AttributeDefinitions"]}
        schema = sorted(table["KeySchema"], key=lambda one: str(one["KeyType"]))  # HASH comes before RANGE
        return TableDescription(
            name=name,
            arn=table.get("TableArn", ""),
            table_id=table.get("TableId", ""),
            stream_arn=table.get("LatestStreamArn", ""),
            status=table["TableStatus"],
            key=tuple(KeyAttribute(one["AttributeName"], types[one["AttributeName"]]) for one in schema),
        )

    def replica(self, name: str) -> TableDescription:
        """The description of a replica that can be written.

        Raises:
            SinkError: `NOT_FOUND`, `UNAVAILABLE` while it is being created, and as `describe`.
        """
        table = self.describe(name)
        if table is None:
            message = f"there is no replica table {name} at {self._client.meta.endpoint_url} in this account and region"
            raise SinkError(
                ErrorKind.NOT_FOUND,
                message,
                remedy="create it with the key schema of the source table; this sink does not",
            )
        if not table.usable:
            message = f"the replica table {name} is {table.status}"
            raise SinkError(ErrorKind.UNAVAILABLE, message)
        return table

    def tombstones(self, name: str, *, create: bool) -> None:
        """Has the table of tombstones ready: ACTIVE, and with its TTL on where this sink may see to it.

        Raises:
            SinkError: `NOT_FOUND` if it is not to be created, `CONFIGURATION` if a table of that name is another,
                `UNAVAILABLE` if it takes too long, and as `describe`.
        """
        table = self.describe(name)
        if table is None:
            if not create:
                message = f"there is no table {name} for the tombstones"
                raise SinkError(ErrorKind.NOT_FOUND, message, remedy=tombstones_remedy(name))
            self._create(name)
        table = self._wait_until_usable(name)
        check_tombstones(table)
        if create and not self.has_ttl(name):
            self._enable_ttl(name)

    def has_ttl(self, name: str) -> bool:
        answer = self._call("DescribeTimeToLive", name, TableName=name)["TimeToLiveDescription"]
        return answer.get("TimeToLiveStatus") in {"ENABLED", "ENABLING"}

    def _create(self, name: str) -> None:
        try:
            self._call(
                "CreateTable",
                name,
                TableName=name,
                KeySchema=[{"AttributeName": TOMBSTONE_KEY, "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": TOMBSTONE_KEY, "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
            )
        except SinkError:
            # Another worker of this pipeline may have been quicker (ResourceInUseException).
            if self.describe(name) is None:
                raise

    def _wait_until_usable(self, name: str) -> TableDescription:
        until = time.monotonic() + CREATION_SECONDS
        while True:
            table = self.describe(name)
            if table is not None and table.usable:
                return table
            if time.monotonic() > until:
                message = f"the table {name} is not ACTIVE after {CREATION_SECONDS:g} s"
                raise SinkError(ErrorKind.UNAVAILABLE, message)
            time.sleep(POLL_SECONDS)

    def _enable_ttl(self, name: str) -> None:
        try:
            self._call(
                "UpdateTimeToLive",
                name,
                TableName=name,
                TimeToLiveSpecification={"Enabled": True, "AttributeName": TOMBSTONE_EXPIRY},
            )
        except SinkError as error:
            # Another worker may have been quicker (ValidationException).
            if error.kind is not ErrorKind.INVALID_REQUEST or not self.has_ttl(name):
                raise

    def _call(self, operation: str, table: str, /, **parameters: Any) -> Any:
        methods = {
            "CreateTable": self._client.create_table,
            "DescribeTable": self._client.describe_table,
            "DescribeTimeToLive": self._client.describe_time_to_live,
            "UpdateTimeToLive": self._client.update_time_to_live,
        }
        try:
            with aws_errors(f"{operation} of table {table} at {self._client.meta.endpoint_url}"):
                answer = methods[operation](**parameters)
        except SinkError as error:
            self._count_call(operation, error.kind)
            raise
        self._count_call(operation, "ok")
        return answer


def check_tombstones(table: TableDescription) -> None:
    """Raises `CONFIGURATION` if this is a table of another kind."""
    if table.key != _TOMBSTONE_SCHEMA:
        message = (
            f"the table {table.name} has the key {key_text(table.key)}; "
            f"tombstones need {key_text(_TOMBSTONE_SCHEMA)}"
        )
        raise SinkError(ErrorKind.CONFIGURATION, message, remedy="name another table in `tombstones.table`")


def tombstones_remedy(name: str) -> str:
    return (
        f"create {name} with the partition key {TOMBSTONE_KEY} (S) and TTL on {TOMBSTONE_EXPIRY}, "
        "or set `tombstones.create: true`"
    )


def check_source(stream: Stream, replica: TableDescription, *, aws: bool) -> None:
    """Raises `CONFIGURATION` if the replica cannot be one of this stream's table.

    Args:
        stream: of the source.
        replica: where its changes would go.
        aws: the replica is at AWS itself, not at an `endpoint_url`: only there do ARNs tell tables apart.
    """
    same_id = bool(replica.table_id) and replica.table_id == stream.table_id
    same_arn = aws and replica.arn == stream.arn.partition("/stream/")[0]
    if same_id or same_arn or replica.stream_arn == stream.arn:
        message = f"the replica {replica.name} is the source table itself"
        raise SinkError(
            ErrorKind.CONFIGURATION,
            message,
            remedy="set `table`, `region`, `endpoint_url`, `profile` or `role_arn` so that they name another table",
        )
    if replica.key != stream.key:
        message = (
            f"the key of the replica {replica.name} is {key_text(replica.key)}, "
            f"that of the source {stream.table} is {key_text(stream.key)}"
        )
        raise SinkError(ErrorKind.CONFIGURATION, message, remedy="the replica needs the source's key schema")
