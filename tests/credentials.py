"""Who gives credentials on AWS, on loopback: STS, an instance's metadata service (IMDSv2), a container's agent."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

WEB_TOKEN = "token-of-the-cluster"
CONTAINER_TOKEN = "token-of-the-container"
SESSION_TOKEN = "token-of-the-metadata-service"
METADATA = "/latest/meta-data/iam/security-credentials/"


class CredentialsServer:
    """`keys[way]` are the access keys that it gives, one after the other, the last one for ever; `asked` is who asked.

    Each is valid for `valid`, from its clock, which is `ahead` of this machine's.
    """

    def __init__(self) -> None:
        self.keys = {way: [way.upper()] for way in ("role", "web", "instance", "container")}
        self.valid = timedelta(hours=6)
        self.ahead = timedelta()
        self.asked: list[tuple[str, dict[str, list[str]]]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), name="credentials")
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def ways(self) -> list[str]:
        return [way for way, _ in self.asked]

    def give(self, way: str, arguments: dict[str, list[str]]) -> dict[str, str]:
        self.asked.append((way, arguments))
        keys = self.keys[way]
        return {
            "AccessKeyId": keys[0] if len(keys) == 1 else keys.pop(0),
            "SecretAccessKey": "made-up",
            "Expiration": f"{datetime.now(UTC) + self.ahead + self.valid:%Y-%m-%dT%H:%M:%SZ}",
        }

    def _handler(self) -> type[BaseHTTPRequestHandler]:  # noqa: C901 - a branch for each address
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                self._answer(200 if self.path == "/latest/api/token" else 404, SESSION_TOKEN)

            def do_GET(self) -> None:
                if self.path == "/container":
                    allowed = self.headers.get("Authorization") == CONTAINER_TOKEN
                    self._give("container", {}, "Token", allowed=allowed)
                elif self.path == METADATA:
                    self._answer(200, "role-of-the-instance")
                elif self.path == f"{METADATA}role-of-the-instance":
                    allowed = self.headers.get("X-aws-ec2-metadata-token") == SESSION_TOKEN
                    self._give("instance", {}, "Token", allowed=allowed)
                else:
                    self._answer(404, "")

            def do_POST(self) -> None:
                form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                action = form["Action"][0]
                way = {"AssumeRole": "role", "AssumeRoleWithWebIdentity": "web"}[action]
                if way == "web" and form["WebIdentityToken"] != [WEB_TOKEN]:
                    self._answer(403, "")
                    return
                given = {**server.give(way, form), "SessionToken": "made-up"}
                inner = "".join(f"<{name}>{value}</{name}>" for name, value in given.items())
                self._answer(
                    200,
                    f'<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result>'
                    f"<Credentials>{inner}</Credentials></{action}Result></{action}Response>",
                )

            def _give(self, way: str, arguments: dict[str, list[str]], token: str, *, allowed: bool) -> None:
                if not allowed:
                    self._answer(401, "")
                    return
                given = {**server.give(way, arguments), token: "made-up", "Code": "Success"}
                self._answer(200, json.dumps(given))

            def _answer(self, status: int, text: str) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
                """Says nothing."""

        return Handler


@contextmanager
def credentials_server() -> Iterator[CredentialsServer]:
    server = CredentialsServer()
    server.start()
    try:
        yield server
    finally:
        server.stop()
