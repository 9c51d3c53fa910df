"""A loopback proxy in front of AWS's stand-in that writes down every call, and can answer in its place."""

import http.client
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from tests.dynamodb_streams.canned_server import Reply
from tests.iam.actions import Needed, needed
from tests.iam.calls import Call, call_of

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}
Answer = Callable[[Call], Reply | None]
"""None: the service is to answer."""
LOST = Reply(fault="lost")
"""The service does it, and the connection is cut instead of its answer."""


class Recorder:
    """`url` is in front of `upstream`; `calls` are those that came, `answer` is asked before the service."""

    def __init__(self, upstream: str) -> None:
        self._upstream = urlsplit(upstream)
        self._lock = threading.Lock()
        self.calls: list[Call] = []
        self.unknown: list[str] = []
        self.answer: Answer = lambda _: None
        self.ahead_seconds: float | None = None
        """Of `Date` in all answers; None: as the service says."""
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1
            timeout = 2.0  # an idle connection's thread ends

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                try:
                    recorder._handle(self, body)
                except ConnectionResetError:  # a test's own: no answer
                    self.close_connection = True

            do_GET = do_PUT = do_HEAD = do_DELETE = do_POST  # noqa: N815 - the base's names

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
                """Says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def needed(self) -> dict[str, set[Needed]]:
        """By access key id: what all its calls took."""
        if self.unknown:
            raise AssertionError(f"requests of unknown kinds: {self.unknown}")
        found: dict[str, set[Needed]] = defaultdict(set)
        for call in self.calls:
            found[call.key].update(needed(call))
        return found

    def count(self, key: str, operation: str) -> int:
        """How often the caller of this access key id called it."""
        return sum((call.key, call.operation) == (key, operation) for call in list(self.calls))

    def operations(self) -> set[str]:
        return {call.operation for call in self.calls}

    def _handle(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        headers = dict(handler.headers)
        given: Reply | None = None
        try:
            call = call_of(handler.command, handler.path, headers, body)
        except ValueError as error:
            self.unknown.append(str(error))
        else:
            with self._lock:
                self.calls.append(call)
                given = self.answer(call)
        status, told, content = (
            (given.status, list(given.headers.items()), given.body)
            if given is not None and given is not LOST
            else self._forward(handler.command, handler.path, body, headers)
        )
        if given is LOST:
            handler.close_connection = True
            return
        handler.send_response_only(status)
        for name, value in told:
            if name.lower() not in _HOP_BY_HOP | {"date"}:
                handler.send_header(name, value)
        date = next((value for name, value in told if name.lower() == "date"), handler.date_time_string())
        if self.ahead_seconds is not None:
            date = formatdate(time.time() + self.ahead_seconds, usegmt=True)
        handler.send_header("Date", date)
        length = str(len(content))
        if handler.command == "HEAD":  # of what GET would answer
            length = next((value for name, value in told if name.lower() == "content-length"), length)
        handler.send_header("Content-Length", length)
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(content)

    def _forward(
        self, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(str(self._upstream.hostname), self._upstream.port or 80)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.getheaders(), response.read()
        finally:
            connection.close()


@contextmanager
def recorder(upstream: str) -> Iterator[Recorder]:
    front = Recorder(upstream)
    thread = threading.Thread(target=front.server.serve_forever, args=(0.01,), name="recorder")
    thread.start()
    try:
        yield front
    finally:
        front.server.shutdown()
        front.server.server_close()
        thread.join()
