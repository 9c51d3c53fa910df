"""The shipped connector's calls, answered by the simulated service in this process."""

from collections.abc import Callable
from typing import Any, TypeVar

from cdc import aws
from cdc.errors import ErrorKind, SourceError
from cdc.testing.sim.failures import NoAnswerError, ServiceError
from cdc.testing.sim.service import Sim
from connectors.dynamodb_streams.config import DynamoDBStreamsConfig
from connectors.dynamodb_streams.source import DynamoDBStreams

T = TypeVar("T")


class SimApi:
    """`ServiceCalls` without HTTP: no signature, no connection, the same bodies and kinds of errors."""

    region = "eu-west-1"
    tables_endpoint = streams_endpoint = "the simulation"
    filters_shards = True

    def __init__(self, sim: Sim) -> None:
        self._sim = sim

    def call(self, operation: str, place: str, parse: Callable[[bytes], T], **arguments: Any) -> T:
        try:
            return parse(self._sim.answer(operation, arguments))
        except ServiceError as error:
            kind = aws.kind_of(error.code, error.status)
            raise SourceError(kind, f"{operation} of {place}: {error.code}") from None
        except NoAnswerError:
            raise SourceError(ErrorKind.UNAVAILABLE, f"{operation} of {place}: no answer") from None

    def close(self) -> None:
        pass


def source_on(sim: Sim, *tables: str) -> DynamoDBStreams:
    """The shipped source, reading these tables of the simulation."""
    config = DynamoDBStreamsConfig(type="dynamodb-streams", tables=tables, region=SimApi.region)
    return DynamoDBStreams(config, api=SimApi(sim))
