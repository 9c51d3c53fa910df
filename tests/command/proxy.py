"""A loopback proxy in front of a DynamoDB that can answer in its place, and change what it answers."""

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from tests.dynamodb_streams.canned_server import Reply

Edit = Callable[[dict[str, Any]], None]
"""Changes a parsed answer in place."""
Answer = Callable[[dict[str, Any]], Reply | None]
"""From a request; None: the service is to answer."""


class Proxy:
    """`answers[operation]` is asked before the service, `edits[operation]` changes what that says."""

    def __init__(self, upstream: str) -> None:
        self._upstream = urlsplit(upstream)
        self.answers: dict[str, Answer] = {}
        self.edits: dict[str, Edit] = {}
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                operation = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
                reply = proxy._reply(operation, self.path, body, dict(self.headers))
                self.send_response(reply.status)
                self.send_header("Content-Type", "application/x-amz-json-1.0")
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
                """Says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def _reply(self, operation: str, path: str, body: bytes, headers: dict[str, str]) -> Reply:
        answer = self.answers.get(operation)
        given = answer(json.loads(body)) if answer is not None else None
        if given is not None:
            return given
        connection = http.client.HTTPConnection(str(self._upstream.hostname), self._upstream.port or 80)
        try:
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            status, content = response.status, response.read()
        finally:
            connection.close()
        edit = self.edits.get(operation)
        if edit is not None and status == 200:
            parsed = json.loads(content)
            edit(parsed)
            content = json.dumps(parsed).encode()
        return Reply(content, status)


@contextmanager
def proxy(upstream: str) -> Iterator[Proxy]:
    front = Proxy(upstream)
    thread = threading.Thread(target=front.server.serve_forever, args=(0.01,), name="proxy")
    thread.start()
    try:
        yield front
    finally:
        front.server.shutdown()
        front.server.server_close()
        thread.join()
