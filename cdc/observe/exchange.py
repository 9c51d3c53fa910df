"""One HTTP request and its answer, within a deadline: however slowly a client sends or takes, it is over in time."""

import io
import json
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from time import monotonic
from typing import TYPE_CHECKING, Any

from cdc.errors import CdcError

if TYPE_CHECKING:
    from typing_extensions import Buffer  # `collections.abc.Buffer` is of Python 3.12

_MOST_LINE_BYTES = 8192
_LINGER_SECONDS = 1.0
_LINGER_READS = 8


@dataclass(frozen=True, slots=True)
class Answer:
    status: HTTPStatus
    body: bytes
    content_type: str = "application/json"


Routes = Mapping[str, Callable[[], Answer]]
"""By path."""


def exchange(client: socket.socket, routes: Routes, *, seconds: float) -> None:
    """Reads one request, answers it and closes the connection. What a client does wrong raises nothing.

    GET and HEAD are answered, and a request's body is thrown away. There is no keep-alive: an idle connection would
    hold a thread.

    Raises:
        Exception: whatever a route raised, which is a fault of this program; the client got a 500 without a word of it.
    """
    with client:
        wire = _Wire(client, monotonic() + seconds)
        handler = _Handler(wire, routes)
        try:
            handler.handle()
            wire.linger()
        except OSError:
            # The client is gone, or it took too long: it hears nothing more.
            client.close()
    if handler.fault is not None:
        raise handler.fault


def as_json(status: HTTPStatus, content: Mapping[str, object]) -> Answer:
    return Answer(status, json.dumps(content).encode() + b"\n")


class _Handler(BaseHTTPRequestHandler):
    """Python's parser of requests, without its connections, its threads and its log."""

    protocol_version = "HTTP/1.1"
    default_request_version = "HTTP/1.0"  # of a request that names none: answers have headers all the same

    def __init__(self, wire: "_Wire", routes: Routes) -> None:
        # The base class would do all of its work in its own constructor.
        self.rfile = io.BufferedReader(wire)
        self.wfile = wire  # type: ignore[assignment]  # raw: each write is sent at once, as socketserver has it
        self.routes = routes
        self.fault: Exception | None = None
        self.command = self.requestline = ""
        self.request_version = "HTTP/1.0"

    def handle(self) -> None:
        self.raw_requestline = self.rfile.readline(_MOST_LINE_BYTES + 1)
        if not self.raw_requestline:
            return
        if len(self.raw_requestline) > _MOST_LINE_BYTES:
            self.send_error(HTTPStatus.REQUEST_URI_TOO_LONG)
        elif self.parse_request():
            self._send(self._answer())

    def _answer(self) -> Answer:
        if self.command not in ("GET", "HEAD"):
            return _error(HTTPStatus.METHOD_NOT_ALLOWED)
        route = self.routes.get(self.path.partition("?")[0])
        if route is None:
            return _error(HTTPStatus.NOT_FOUND)
        try:
            return route()
        except CdcError as error:
            # Something outside, such as a file that cannot be read: no fault of the server, which goes on.
            return as_json(HTTPStatus.SERVICE_UNAVAILABLE, {"error": error.message})
        except Exception as fault:  # noqa: BLE001 - raised by `exchange`, when the client has its answer
            self.fault = fault
            return _error(HTTPStatus.INTERNAL_SERVER_ERROR)

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        if answer.status == HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the parser refuses; nothing of the request is repeated in the answer."""
        self._send(_error(HTTPStatus(code)))

    def handle_expect_100(self) -> bool:
        """The body is not wanted."""
        return True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - overrides
        """Requests are not logged."""

    def version_string(self) -> str:
        return "cdc"


def _error(status: HTTPStatus) -> Answer:
    return as_json(status, {"error": status.phrase})


class _Wire(io.RawIOBase):
    """A socket of which every read and write ends by the deadline."""

    def __init__(self, client: socket.socket, deadline: float) -> None:
        self._socket = client
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def readinto(self, buffer: "Buffer") -> int:
        self._allow(self._deadline)
        return self._socket.recv_into(buffer)

    def write(self, data: "Buffer") -> int:
        self._allow(self._deadline)
        # The timeout of `sendall` is that of the whole call, not of each part (library reference, socket.sendall).
        self._socket.sendall(data)
        return memoryview(data).nbytes

    def linger(self) -> None:
        """Closing with unread bytes resets the connection, and the client may lose the answer."""
        end = min(self._deadline, monotonic() + _LINGER_SECONDS)
        self._socket.shutdown(socket.SHUT_WR)
        for _ in range(_LINGER_READS):
            self._allow(end)
            if not self._socket.recv(8192):
                return

    def _allow(self, deadline: float) -> None:
        left = deadline - monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)
