"""botocore's side: a session, clients, and a response parser that hands over the body as it came."""

from typing import Any
from zlib import crc32

import msgspec
from botocore.config import Config
from botocore.exceptions import ChecksumError, IncompleteReadError
from botocore.parsers import ResponseParserFactory
from botocore.session import Session

from cdc import aws
from connectors.dynamodb_streams.config import DynamoDBStreamsConfig

_CONNECT_SECONDS = 3
_READ_SECONDS = 10
"""A page of 1 MB takes the service well under a second."""

RAW_SHAPES = frozenset(
    {"DescribeTableOutput", "DescribeStreamOutput", "GetShardIteratorOutput", "GetRecordsOutput"}
)
"""The answers that are not parsed by botocore. Others pass through the same session: those of STS, for a role."""

BODY = "Body"


class RawParser:
    """Stands in for botocore's parser of one protocol: bodies of `RAW_SHAPES` come out as bytes, under `BODY`.

    botocore's own parser is most of what a page costs: an object per attribute, validated against the model.
    """

    def __init__(self, ordinary: Any) -> None:
        self._ordinary = ordinary

    def parse(self, response: dict[str, Any], shape: Any) -> Any:
        """
        Raises:
            ChecksumError: the body does not match the header `x-amz-crc32`, where the service sends one. botocore
                checks it for DynamoDB, but not for its streams.
            IncompleteReadError: the connection ended before the body did, which botocore lets pass.
        """
        if response["status_code"] >= 300:  # noqa: PLR2004
            return self._error(response, shape)
        if shape is None or shape.name not in RAW_SHAPES:
            return self._ordinary.parse(response, shape)
        body = response["body"]
        length = response["headers"].get("content-length")
        if length is not None and length != str(len(body)):
            raise IncompleteReadError(actual_bytes=len(body), expected_bytes=length)
        expected = response["headers"].get("x-amz-crc32")
        if expected is not None and expected != (actual := str(crc32(body))):
            raise ChecksumError(checksum_type="crc32", expected_checksum=expected, actual_checksum=actual)
        return {BODY: body}

    def _error(self, response: dict[str, Any], shape: Any) -> Any:
        """The ordinary parser fails on an error that is no JSON object: a proxy's page, an emulator's."""
        if shape is None or shape.name not in RAW_SHAPES or _is_json_error(response["body"]):
            return self._ordinary.parse(response, shape)
        status = response["status_code"]
        return {
            "Error": {"Code": str(status), "Message": ""},
            "ResponseMetadata": {"HTTPStatusCode": status},
        }


class RawParserFactory(ResponseParserFactory):
    """botocore's session component `response_parser_factory`."""

    def create_parser(self, protocol_name: str) -> Any:
        return RawParser(super().create_parser(protocol_name))


def open_session(config: DynamoDBStreamsConfig, pipeline: str) -> Session:
    """
    Raises:
        ProfileNotFound: the profile is in no file.
    """
    session = aws.session(
        profile=config.profile,
        region=config.region,
        role_arn=config.role_arn,
        external_id=config.external_id,
        role_session_name=f"cdc-{pipeline}",
    )
    session.register_component("response_parser_factory", RawParserFactory())
    return session


def create_client(
    session: Session,
    service: str,
    *,
    region: str | None,
    endpoint_url: str | None,
    connections: int,
) -> Any:
    """A client that may be shared by threads, and that never retries: the engine does.

    Raises:
        NoRegionError: the region is configured nowhere.
    """
    config = Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        max_pool_connections=connections,
        retries={"mode": "standard", "total_max_attempts": 1},
        parameter_validation=False,  # the service knows its own limits; emulators' ids are shorter than AWS's
        tcp_keepalive=True,
        user_agent_extra="dynamodb-cdc/source",
    )
    return session.create_client(service, region_name=region, endpoint_url=endpoint_url, config=config)


class _JsonError(msgspec.Struct):
    code: str = msgspec.field(default="", name="__type")


def _is_json_error(body: bytes) -> bool:
    try:
        msgspec.json.decode(body, type=_JsonError)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True
