import json
import socket
import traceback
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cdc.aws import KINDS
from cdc.errors import ErrorKind, SourceError
from connectors.dynamodb_streams import session
from tests.dynamodb_streams.canned_server import CannedServer, Reply, error, ok
from tests.dynamodb_streams.sources import ARN, SHARD, opened, streams_of

CODES = {
    "ExpiredIteratorException": "iterator-expired",
    "TrimmedDataAccessException": "trimmed",
    "ResourceNotFoundException": "not-found",
    "LimitExceededException": "throttled",
    "ThrottlingException": "throttled",
    "ProvisionedThroughputExceededException": "throttled",
    "RequestLimitExceeded": "throttled",
    "InternalServerError": "unavailable",
    "InternalFailure": "unavailable",
    "ServiceUnavailable": "unavailable",
    "AccessDeniedException": "access-denied",
    "UnrecognizedClientException": "access-denied",
    "InvalidSignatureException": "access-denied",
    "ExpiredTokenException": "access-denied",
    "MissingAuthenticationTokenException": "access-denied",
    "ValidationException": "invalid-request",
    "SerializationException": "invalid-request",
    "UnknownOperationException": "invalid-request",
}


def read(server: CannedServer, reply: Reply, **more: Any) -> SourceError:
    """The error of one call that fails, which is one request on the wire and one in the count."""
    server.replies["GetRecords"] = [reply]
    calls = Counter[tuple[str, str]]()
    with opened(server.url, calls=calls, **more) as source, pytest.raises(SourceError) as refusal:
        source.read(SHARD, "iterator")
    assert len(server.asked("GetRecords")) == 1
    assert calls == {("GetRecords", refusal.value.kind.value): 1}
    assert SHARD.shard in refusal.value.message
    assert server.url in refusal.value.message
    return refusal.value


@pytest.mark.parametrize("code", CODES)
def test_by_code(server: CannedServer, code: str) -> None:
    status = 500 if CODES[code] == "unavailable" else 400
    failure = read(server, error(code, status))
    assert failure.kind == CODES[code]
    assert f"{code}: told by the service" in failure.message


def test_every_operation_maps_its_codes(server: CannedServer) -> None:
    with opened(server.url) as source:
        calls: dict[str, Callable[[], object]] = {
            "DescribeTable": lambda: source.stream("orders"),
            "DescribeStream": lambda: source.describe(ARN),
            "GetShardIterator": lambda: source._api.call(
                "GetShardIterator", "shard", bytes, StreamArn=ARN, ShardId="s", ShardIteratorType="LATEST"
            ),
            "GetRecords": lambda: source.read(SHARD, "iterator"),
        }
        for operation, call in calls.items():
            for code, kind in KINDS.items():
                server.replies[operation] = [error(code)]
                with pytest.raises(SourceError) as refusal:
                    call()
                assert refusal.value.kind is kind, (operation, code)


@pytest.mark.parametrize(
    ("status", "kind"),
    {
        300: "malformed",
        302: "malformed",
        400: "invalid-request",
        401: "access-denied",
        403: "access-denied",
        404: "invalid-request",
        408: "unavailable",
        429: "throttled",
    }.items(),
)
def test_an_unknown_error_by_its_status(server: CannedServer, status: int, kind: str) -> None:
    failure = read(server, Reply(b"<html>SECRET</html>", status))
    assert failure.kind == kind
    assert f"HTTP {status}" in failure.message


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>SECRET</body></html>",
        b"<!doctype html>\n<title>500 Internal Server Error</title>",
        b"SECRET \xff",
        b"[]",
        b'"SECRET"',
        b'{"__type": 5}',
        b'{"__type": "FromTheFutureException"}',
        b'{"message": null}',
    ],
)
def test_a_server_error_of_any_shape(server: CannedServer, body: bytes) -> None:
    failure = read(server, Reply(body, 500))
    assert failure.kind is ErrorKind.UNAVAILABLE
    assert "FromTheFuture" in failure.message if b"Future" in body else "HTTP 500" in failure.message
    assert "SECRET" not in repr(failure)
    assert "<" not in failure.message


def test_a_signed_request_that_is_echoed_stays_out_of_messages_and_tracebacks(server: CannedServer) -> None:
    message = "The request signature we calculated does not match.\n\nx-amz-security-token:SECRET\n"
    failure = read(server, error("InvalidSignatureException", 403, message))
    assert failure.message.endswith("does not match.")
    assert "clock" in failure.remedy
    assert "SECRET" not in "".join(traceback.format_exception(failure))


def test_the_request_id_is_in_the_message(server: CannedServer) -> None:
    reply = error("InternalServerError", 500)
    failure = read(
        server, Reply(reply.body, reply.status, {"x-amzn-RequestId": "4KBNVRGD25RG1KEO9UT4V3FQDJVV4KQ"})
    )
    assert failure.message.endswith("(request 4KBNVRGD25RG1KEO9UT4V3FQDJVV4KQ)")


@pytest.mark.parametrize("fault", ["cut", "cut-chunked", "close"])
def test_a_broken_connection(server: CannedServer, fault: str) -> None:
    records = json.dumps({"Records": []}).encode()
    assert read(server, Reply(records, fault=fault)).kind is ErrorKind.UNAVAILABLE


def test_a_slow_answer(server: CannedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "_READ_SECONDS", 0.05)
    failure = read(server, Reply(fault="hang"))
    assert failure.kind is ErrorKind.UNAVAILABLE
    assert "ReadTimeoutError" in failure.message


def test_after_a_broken_connection_the_next_call_works(server: CannedServer) -> None:
    server.replies["GetRecords"] = [Reply(fault="close"), ok({"Records": []})]
    with opened(server.url) as source:
        with pytest.raises(SourceError):
            source.read(SHARD, "iterator")
        assert source.read(SHARD, "iterator").next_iterator is None


def test_nobody_listens() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        with opened(url) as source, pytest.raises(SourceError) as refusal:
            streams_of(source)
    assert refusal.value.kind is ErrorKind.UNAVAILABLE
    assert url in refusal.value.message
    assert "table orders" in refusal.value.message


def test_threads_share_one_source(server: CannedServer) -> None:
    server.replies["GetRecords"] = [
        lambda arguments: ok({"Records": [], "NextShardIterator": arguments["ShardIterator"] + "+"})
    ]
    with opened(server.url) as source, ThreadPoolExecutor(4) as threads:
        asked = [str(number) for number in range(64)]
        pages = threads.map(lambda iterator: source.read(SHARD, iterator), asked)
        assert [page.next_iterator for page in pages] == [iterator + "+" for iterator in asked]


def test_what_is_unknown_is_not_caught(server: CannedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(server.url) as source:
        monkeypatch.setattr(session.RawParser, "parse", lambda *_: 1 / 0)
        server.replies["GetRecords"] = [ok({"Records": []})]
        with pytest.raises(ZeroDivisionError):
            source.read(SHARD, "iterator")
