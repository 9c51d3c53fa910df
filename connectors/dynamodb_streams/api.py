"""One call of one API operation: made once, counted once, its failure a `SourceError`."""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from botocore.session import Session

from cdc.connector import SourceContext
from cdc.errors import SourceError
from connectors.dynamodb_streams.config import DynamoDBStreamsConfig
from connectors.dynamodb_streams.errors import KNOWN, expired_credentials, source_error
from connectors.dynamodb_streams.session import BODY, create_client, open_session

T = TypeVar("T")


class ServiceCalls(Protocol):
    """The calls of both services, by the names of their operations."""

    @property
    def region(self) -> str: ...

    @property
    def tables_endpoint(self) -> str: ...

    @property
    def filters_shards(self) -> bool:
        """Whether `DescribeStream` has a `ShardFilter`, as far as the client knows."""
        ...

    def call(self, operation: str, place: str, parse: Callable[[bytes], T], **arguments: Any) -> T:
        """What `parse` makes of the answer's body.

        Raises:
            SourceError: of any kind; names the operation and `place`.
        """
        ...

    def close(self) -> None: ...


class Api:
    """Both services' clients, shared by all threads.

    Args:
        prepare: is given the session before it makes clients.

    Raises:
        SourceError: `CONFIGURATION` (region, profile), `ACCESS_DENIED` (no one to assume `role_arn`).
    """

    def __init__(
        self,
        config: DynamoDBStreamsConfig,
        context: SourceContext,
        *,
        prepare: Callable[[Session], None] = lambda _: None,
    ) -> None:
        self._count_call = context.count_call
        streams_url = config.streams_endpoint_url or config.endpoint_url
        try:
            session = open_session(config, context.pipeline)
            prepare(session)
            self._tables = create_client(
                session, "dynamodb", region=config.region, endpoint_url=config.endpoint_url, connections=1
            )
            self._streams = create_client(
                session,
                "dynamodbstreams",
                region=config.region,
                endpoint_url=streams_url,
                connections=context.readers,
            )
        except KNOWN as error:
            endpoint = config.endpoint_url or f"region {config.region or '(none)'}"
            raise source_error(error, "Clients", "source", endpoint) from None
        self.region: str = self._streams.meta.region_name
        described = self._streams.meta.service_model.operation_model("DescribeStream").input_shape
        self.filters_shards: bool = described is not None and "ShardFilter" in described.members
        self._calls: dict[str, tuple[Callable[..., Any], str]] = {
            "DescribeTable": (self._tables.describe_table, self._tables.meta.endpoint_url),
            "DescribeStream": (self._streams.describe_stream, self.streams_endpoint),
            "GetShardIterator": (self._streams.get_shard_iterator, self.streams_endpoint),
            "GetRecords": (self._streams.get_records, self.streams_endpoint),
        }

    @property
    def streams_endpoint(self) -> str:
        return str(self._streams.meta.endpoint_url)

    @property
    def tables_endpoint(self) -> str:
        return str(self._tables.meta.endpoint_url)

    def call(self, operation: str, place: str, parse: Callable[[bytes], T], **arguments: Any) -> T:
        """What `parse` makes of the answer's body.

        Raises:
            SourceError: of any kind; names the operation, `place` and the endpoint.
        """
        function, endpoint = self._calls[operation]
        try:
            body = function(**arguments)[BODY]
        except KNOWN as error:
            raise self._counted(operation, source_error(error, operation, place, endpoint)) from None
        except RuntimeError as error:
            known = expired_credentials(error, operation, place, endpoint)
            if known is None:
                raise
            raise self._counted(operation, known) from None
        try:
            answer = parse(body)
        except SourceError as error:
            message = f"{operation} of {place} at {endpoint}: {error.message}"
            raise self._counted(operation, SourceError(error.kind, message, remedy=error.remedy)) from None
        self._count_call(operation, "ok")
        return answer

    def close(self) -> None:
        self._tables.close()
        self._streams.close()

    def _counted(self, operation: str, error: SourceError) -> SourceError:
        self._count_call(operation, error.kind.value)
        return error
