"""A store from its configuration: the session, the client, the table and the items of one pipeline."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from zlib import crc32

import msgspec
from botocore.config import Config
from botocore.exceptions import ChecksumError
from botocore.parsers import ResponseParserError

from cdc import aws
from cdc.connector import AwsAccess, CountCall
from cdc.errors import ErrorKind, StateError
from connectors.state_dynamodb.dynamodb_items import DynamoDBItems
from connectors.state_dynamodb.errors import aws_errors
from connectors.state_dynamodb.store import DynamoDBStateStore
from connectors.state_dynamodb.table import Table

_CONNECT_SECONDS = 2.0
_READ_SECONDS = 5.0
"""DynamoDB answers in milliseconds. A call that hangs and the renewal behind it both have to fail within a lease."""


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
            client = session.create_client(
                "dynamodb", region_name=access.region, endpoint_url=access.endpoint_url, config=config
            )
        except ValueError:  # botocore's word for an endpoint that is no URL
            raise StateError(
                ErrorKind.CONFIGURATION, "the endpoint_url or the region of the state is not valid"
            ) from None
    client.meta.events.register("before-parse.dynamodb", _check_answer)
    return client


def _check_answer(*, response_dict: Mapping[str, Any], **_: object) -> None:
    """To botocore any page that something in between answers with 200 is an empty answer: a save that never was. With one
    attempt it lets a checksum that does not match pass, too.

    Raises:
        ResponseParserError: the body is no JSON object.
        ChecksumError: it was damaged on its way.
    """
    if response_dict["status_code"] != HTTPStatus.OK:
        return
    body = response_dict["body"]
    try:
        msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ResponseParserError("the answer is no JSON object") from None
    expected = response_dict["headers"].get("x-amz-crc32")
    if expected is not None and expected != (actual := str(crc32(body))):
        raise ChecksumError(checksum_type="crc32", expected_checksum=expected, actual_checksum=actual)
