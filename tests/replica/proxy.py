"""A loopback proxy in front of a DynamoDB that fails on request."""

import http.client
import json
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

NAMESPACE = "com.amazonaws.dynamodb.v20120810#"


@dataclass(frozen=True)
class LoseRequest:
    """The connection is cut before the request is forwarded."""


@dataclass(frozen=True)
class LoseAnswer:
    """The request is carried out, the connection is cut instead of an answer."""


@dataclass(frozen=True)
class Refuse:
    """Answers in the service's place."""

    code: str
    status: int = 400
    message: str = ""
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        return json.dumps({"__type": NAMESPACE + self.code, "message": self.message, **self.more}).encode()


@dataclass(frozen=True)
class Garbage:
    """Something in between answers that is no DynamoDB."""

    status: int = 200
    body: bytes = b"<html>please log in</html>"


@dataclass(frozen=True)
class Hold:
    """Forwards only once the event is set."""

    event: threading.Event
    reached: threading.Event = field(default_factory=threading.Event)


Fault = LoseRequest | LoseAnswer | Refuse | Garbage | Hold
Choose = Callable[[str, dict[str, Any]], Fault | None]
"""(operation, request) -> what goes wrong with it."""


class Proxy:
    """`url` is in front of `upstream`. `fault` decides for each request; `calls` are those that came."""

    def __init__(self, upstream: str, *, idle_seconds: float = 1.0, serial: bool = False) -> None:
        """`serial`: one request at a time is forwarded. A moto that is asked by two at once may let both of them meet a
        condition that only one can."""
        self._turn: AbstractContextManager[object] = threading.Lock() if serial else nullcontext()
        self.upstream = urlsplit(upstream)
        self.fault: Choose = well
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.keys: set[str] = set()
        """Access key ids that the calls were signed with."""
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1
            # An idle connection's thread ends: a client's close may have to wait for its collector.
            timeout = idle_seconds

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                proxy.handle(self, body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), name="proxy")

    def handle(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        operation = handler.headers.get("X-Amz-Target", "").rpartition(".")[2]
        request = json.loads(body) if operation else {}
        self.calls.append((operation, request))
        self.keys.add(handler.headers.get("Authorization", "").partition("Credential=")[2].partition("/")[0])
        fault = self.fault(operation, request)
        if isinstance(fault, LoseRequest):
            handler.close_connection = True
            return
        if isinstance(fault, Refuse | Garbage):
            respond(handler, fault.status, fault.body)
            return
        if isinstance(fault, Hold):
            fault.reached.set()
            fault.event.wait(10)
        connection = http.client.HTTPConnection(str(self.upstream.hostname), self.upstream.port or 80)
        try:
            with self._turn:
                connection.request("POST", handler.path, body, dict(handler.headers))
                answer = connection.getresponse()
                content = answer.read()
        finally:
            connection.close()
        if isinstance(fault, LoseAnswer):
            handler.close_connection = True
            return
        respond(handler, answer.status, content)

    def operations(self) -> list[str]:
        return [operation for operation, _ in self.calls]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def respond(handler: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
    handler.send_response(status)
    handler.send_header("Content-Type", "application/x-amz-json-1.0")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def well(operation: str, request: dict[str, Any]) -> None:
    """Nothing goes wrong."""


def always(fault: Fault) -> Choose:
    def choose(operation: str, request: dict[str, Any]) -> Fault:
        return fault

    return choose


def times(number: int, fault: Fault, *operations: str) -> Choose:
    """The first so many of these operations meet the fault."""
    left = [number]

    def choose(operation: str, request: dict[str, Any]) -> Fault | None:
        if operation not in operations or not left[0]:
            return None
        left[0] -= 1
        return fault

    return choose
