"""boto3 clients whose calls the simulated service answers, in this process: signed, encoded and parsed as ever, and never
sent."""

import json
from typing import Any

import boto3
import msgspec
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config
from botocore.exceptions import ReadTimeoutError
from botocore.session import Session

from cdc.testing.sim.failures import NoAnswerError, ServiceError
from cdc.testing.sim.service import Sim
from connectors.dynamodb_streams.api import Api
from connectors.dynamodb_streams.source import DynamoDBStreams
from tests.dynamodb_streams import sources


class _Raw:
    """A body that is there already."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: Any) -> list[bytes]:
        return [self._body]

    def read(self, *_: Any) -> bytes:
        return self._body


def client(sim: Sim, service: str) -> Any:
    """A client of `dynamodb` or `dynamodbstreams`, that tries everything once."""
    make: Any = boto3.client  # the stubs want the name of the service letter by letter
    made = make(
        service,
        region_name="eu-west-1",
        config=Config(retries={"total_max_attempts": 1}),
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    made.meta.events.register("before-send", lambda request, **_: _answer(sim, request))
    return made


def source_through_boto3(sim: Sim, *tables: str) -> DynamoDBStreams:
    """The shipped source with its own calls, these tables of the simulation behind them."""

    answering: Any = lambda request, **_: _answer(sim, request)  # noqa: E731 - the stubs want no result of it

    def prepare(session: Session) -> None:
        session.set_credentials("test", "test")
        session.register("before-send", answering)

    config = sources.config(None, *tables)
    return DynamoDBStreams(config, Api(config, sources.context(), prepare=prepare))


def _answer(sim: Sim, request: Any) -> AWSResponse:
    target = request.headers["X-Amz-Target"]
    operation = (target.decode() if isinstance(target, bytes) else target).rpartition(".")[2]
    try:
        status, body = 200, sim.answer(operation, json.loads(request.body))
    except ServiceError as error:
        members = {"__type": f"com.amazonaws.dynamodb.v20120810#{error.code}", "message": error.message}
        status, body = error.status, msgspec.json.encode(members | dict(error.members))
    except NoAnswerError:
        raise ReadTimeoutError(endpoint_url=request.url) from None
    headers = HTTPHeaders()
    headers["Content-Type"], headers["x-amzn-RequestId"] = "application/x-amz-json-1.0", "simulated"
    return AWSResponse(request.url, status, headers, _Raw(body))
