"""A server on loopback that answers each API operation with what a test has put there, faults of the wire included."""

import json
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs


@dataclass(frozen=True)
class Reply:
    body: bytes = b"{}"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    fault: str = ""
    """`cut`: half of the body; `cut-chunked`: all of it, but not its end; `close`: no answer; `hang`: none until the test is over."""


def ok(answer: Any) -> Reply:
    return Reply(json.dumps(answer).encode())


def error(code: str, status: int = 400, message: str = "told by the service") -> Reply:
    body = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": message}
    return Reply(json.dumps(body).encode(), status)


def role_credentials(key: str, *, valid: timedelta) -> Reply:
    """STS's answer to `AssumeRole`: credentials with this access key, which expire after `valid`."""
    expires = datetime.now(UTC) + valid
    body = f"""<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>
      <Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>s</SecretAccessKey>
      <SessionToken>t</SessionToken><Expiration>{expires:%Y-%m-%dT%H:%M:%SZ}</Expiration></Credentials>
      <AssumedRoleUser><AssumedRoleId>A:b</AssumedRoleId><Arn>arn:aws:sts::1:assumed-role/a/b</Arn></AssumedRoleUser>
    </AssumeRoleResult></AssumeRoleResponse>"""
    return Reply(body.encode())


class CannedServer:
    """`replies[operation]` are given one after the other, the last one for ever; `calls` is what was asked."""

    def __init__(self) -> None:
        self.replies: dict[str, list[Reply | Callable[[dict[str, Any]], Reply]]] = defaultdict(list)
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.over = threading.Event()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def asked(self, operation: str) -> list[dict[str, Any]]:
        return [arguments for name, arguments in self.calls if name == operation]

    def reply(self, operation: str, arguments: dict[str, Any]) -> Reply:
        with self._lock:
            self.calls.append((operation, arguments))
            replies = self.replies[operation]
            reply = replies[0] if len(replies) == 1 else replies.pop(0)
        return reply(arguments) if callable(reply) else reply

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_: object) -> None:
                pass

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                target = self.headers.get("X-Amz-Target")
                if target is None:  # STS's query protocol
                    form = parse_qs(body.decode())
                    operation, arguments = (
                        "AssumeRole",
                        {"form": form, "authorization": self.headers["Authorization"]},
                    )
                else:
                    operation, arguments = target.partition(".")[2], json.loads(body)
                reply = server.reply(operation, arguments)
                if reply.fault == "hang":
                    server.over.wait()
                if reply.fault in ("hang", "close"):
                    self.close_connection = True
                    return
                self.send_response(reply.status)
                if reply.fault == "cut-chunked":
                    self.send_header("Transfer-Encoding", "chunked")
                else:
                    self.send_header("Content-Length", str(len(reply.body)))
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                if reply.fault == "cut-chunked":
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(reply.body), reply.body))
                    self.close_connection = True
                elif reply.fault == "cut":
                    self.wfile.write(reply.body[: len(reply.body) // 2])
                    self.close_connection = True
                else:
                    self.wfile.write(reply.body)

        return Handler

    def serve(self) -> None:
        self._server.serve_forever(poll_interval=0.01)

    def stop(self) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def canned_server() -> Iterator[CannedServer]:
    server = CannedServer()
    thread = threading.Thread(target=server.serve, name="canned-server")
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join()
