"""A store from its configuration: the session, the client, the table and the items of one pipeline."""

from typing import Any

from botocore.config import Config

from cdc import aws
from cdc.connector import AwsAccess, CountCall
from cdc.errors import ErrorKind, StateError
from connectors.state_dynamodb.dynamodb_items import DynamoDBItems
from connectors.state_dynamodb.errors import aws_errors
from connectors.state_dynamodb.store import DynamoDBStateStore
from connectors.state_dynamodb.table import Table

_CONNECT_SECONDS = 2.0
_READ_SECONDS = 3.0
"""DynamoDB answers in milliseconds. A save and the renewal behind it both have to fail within a lease."""


def state_store(
    access: AwsAccess,
    table: str,
    pipeline: str,
    *,
    create: bool,
    count_call: CountCall,
    read_only: bool = False,
) -> DynamoDBStateStore:
    """
    Args:
        access: whom to ask, and as whom.
        table: the table's name.
        pipeline: whose state it is.
        create: whether a missing table is created.
        count_call: told of every call.
        read_only: as of `DynamoDBStateStore`.

    Raises:
        StateError: `CONFIGURATION`, `ACCESS_DENIED`: there is no region, or there are no credentials to be found.
    """
    client = _client(access, pipeline, table)
    return DynamoDBStateStore(
        Table(client, table, access, create=create, count_call=count_call),
        DynamoDBItems(client, table, pipeline, count_call=count_call),
        pipeline,
        read_only=read_only,
    )


def _client(access: AwsAccess, pipeline: str, table: str) -> Any:
    config = Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        max_pool_connections=1,
        retries={"mode": "standard", "total_max_attempts": 1},  # the engine retries
        parameter_validation=False,
        tcp_keepalive=True,
        user_agent_extra="dynamodb-cdc/state",
    )
    with aws_errors("DescribeTable", f"the table {table}"):
        session = aws.session(
            profile=access.profile,
            region=access.region,
            role_arn=access.role_arn,
            external_id=access.external_id,
            role_session_name=f"cdc-{pipeline}",
        )
        try:
            return session.create_client(
                "dynamodb", region_name=access.region, endpoint_url=access.endpoint_url, config=config
            )
        except ValueError:  # botocore's word for an endpoint that is no URL
            raise StateError(
                ErrorKind.CONFIGURATION, "the endpoint_url or the region of the state is not valid"
            ) from None
