"""A Docker daemon that has no containers, only their states: enough of its API to see what is asked of a real one."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.services.server import HOST

CONTAINER = "c0ffee" * 10 + "beef"
STATES = {"start": "running", "unpause": "running", "pause": "paused", "stop": "exited", "kill": "exited"}


@dataclass
class DockerStub:
    """`asked` has the changes asked for, in order (`create`, `start`, … `remove`); `created` the body of the creation."""

    host: str
    images: set[str] = field(default_factory=set)
    pulled: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    created: dict[str, Any] = field(default_factory=dict)
    state: str = "none"
    exit_code: int = 0
    ping: int = 200

    def answer(self, method: str, url: str, body: bytes) -> tuple[int, Any]:
        """Status and document for a request."""
        address = urlsplit(url)
        path = re.sub(r"^/v\d+\.\d+", "", address.path)
        if path == "/_ping":
            return self.ping, None
        if path == "/version":
            return 200, {"ApiVersion": "1.44", "Version": "stub"}
        if path == "/info":
            return 200, {"ServerVersion": "stub"}
        if image := re.fullmatch(r"/images/(.+)/json", path):
            known = image[1] in self.images
            return (200, {"Id": image[1]}) if known else (404, {"message": f"No such image: {image[1]}"})
        if path == "/images/create":
            query = parse_qs(address.query)
            image_name = f"{query['fromImage'][0]}:{query['tag'][0]}"
            self.pulled.append(image_name)
            self.images.add(image_name)
            return 200, {"status": "pulled"}
        return self._container(method, path, body)

    def _container(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        if path == "/containers/create":
            self.asked.append("create")
            self.created, self.state = json.loads(body), "created"
            return 201, {"Id": CONTAINER}
        if not path.startswith(f"/containers/{CONTAINER}") or self.state == "none":
            return 404, {"message": "No such container"}
        if method == "DELETE":
            self.asked.append("remove")
            self.state = "none"
            return 204, None
        verb = path.rpartition("/")[2]
        if verb in STATES:
            self.asked.append(verb)
            self.state = STATES[verb]
            return 204, None
        if verb == "wait":
            return 200, {"StatusCode": self.exit_code}
        return 200, {"Id": CONTAINER, "State": {"Status": self.state}, "Config": {"Tty": True}}


@contextmanager
def docker_stub() -> Iterator[DockerStub]:
    """A daemon at `host`, for DOCKER_HOST."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class has it
            pass

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, document = stub.answer(self.command, self.path, body)
            content = b"OK" if document is None else json.dumps(document).encode()
            self.send_response(status)
            if status != 204:
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if status != 204:
                self.wfile.write(content)

        do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - as the base class has it

    server = ThreadingHTTPServer((HOST, 0), Handler)
    server.daemon_threads = True
    stub = DockerStub(host=f"tcp://{HOST}:{server.server_address[1]}")
    thread = Thread(target=server.serve_forever, name="docker-stub")
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
