"""DynamoDB Local as it is on the wire: JSON in, JSON out, no SDK in between."""

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from cdc.testing.sim.failures import ServiceError

# DynamoDB Local wants a signature, and does not look whether it is one.
AUTHORIZATION = "AWS4-HMAC-SHA256 Credential=test/20260101/eu-west-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0"
STREAMS = frozenset(("ListStreams", "DescribeStream", "GetShardIterator", "GetRecords"))


class Wire:
    def __init__(self, endpoint: str) -> None:
        parts = urlsplit(endpoint)
        assert parts.hostname is not None
        self._connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)

    def call(self, operation: str, request: Any) -> dict[str, Any]:
        """Raises: ServiceError: as `Sim.call` does."""
        api = "DynamoDBStreams" if operation in STREAMS else "DynamoDB"
        headers = {
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": f"{api}_20120810.{operation}",
            "Authorization": AUTHORIZATION,
        }
        self._connection.request("POST", "/", json.dumps(request).encode(), headers)
        response = self._connection.getresponse()
        answer: dict[str, Any] = json.loads(response.read())
        if response.status != http.HTTPStatus.OK:
            code = answer.pop("__type").rpartition("#")[2]
            message = answer.pop("message", answer.pop("Message", ""))
            raise ServiceError(code, message, status=response.status, members=answer)
        return answer

    def records(self, stream_arn: str) -> Iterator[dict[str, Any]]:
        """All that is in the stream now."""
        for shard in self.call("DescribeStream", {"StreamArn": stream_arn})["StreamDescription"]["Shards"]:
            start = {
                "StreamArn": stream_arn,
                "ShardId": shard["ShardId"],
                "ShardIteratorType": "TRIM_HORIZON",
            }
            page = {"NextShardIterator": self.call("GetShardIterator", start)["ShardIterator"]}
            while "NextShardIterator" in page:
                page = self.call("GetRecords", {"ShardIterator": page["NextShardIterator"]})
                yield from page["Records"]
                if not page["Records"]:
                    break

    def close(self) -> None:
        self._connection.close()


@contextmanager
def wire_to(endpoint: str) -> Iterator[Wire]:
    wire = Wire(endpoint)
    try:
        yield wire
    finally:
        wire.close()
