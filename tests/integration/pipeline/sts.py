"""Roles whose credentials expire: a stub of STS that grants them, and a gateway that enforces it.

Facts: STS API reference, AssumeRole; an expired token is answered with `ExpiredTokenException` (400) by DynamoDB, and
with `ExpiredToken` (400) by S3. No signature is checked: that AWS itself does.
"""

import http.client
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from tests.services.server import HOST

_KEY_ID = re.compile(r"Credential=([^/]+)/")
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}


@dataclass(frozen=True, slots=True)
class Grant:
    role: str
    external_id: str
    token: str
    until: float
    """Monotonic seconds: when the credentials really expire."""


@dataclass
class Sts:
    """Grants any role.

    Args:
        lives: seconds for which credentials are good.
        says: seconds for which they are said to be good. More than `lives`: the client learns only from the service.
    """

    lives: float
    says: float
    grants: dict[str, Grant] = field(default_factory=dict)
    """By access key id."""
    url: str = ""

    def grant(self, form: dict[str, list[str]]) -> str:
        """The answer to AssumeRole."""
        assert form["Action"] == ["AssumeRole"], form["Action"]
        role, external_id = form["RoleArn"][0], form.get("ExternalId", [""])[0]
        key_id, token = f"ASIA{uuid4().hex[:16].upper()}", uuid4().hex
        expiration = datetime.fromtimestamp(time.time() + self.says, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.grants[key_id] = Grant(role, external_id, token, time.monotonic() + self.lives)
        return (
            '<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>'
            f"<AccessKeyId>{key_id}</AccessKeyId><SecretAccessKey>made-up</SecretAccessKey>"
            f"<SessionToken>{token}</SessionToken><Expiration>{expiration}</Expiration></Credentials>"
            f"<AssumedRoleUser><Arn>{role}</Arn><AssumedRoleId>AROA:cdc</AssumedRoleId></AssumedRoleUser>"
            "</AssumeRoleResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></AssumeRoleResponse>"
        )

    def times(self, role: str) -> int:
        """How often this role was assumed."""
        return sum(grant.role == role for grant in self.grants.values())


@dataclass
class Gateway:
    """In front of a service: lets through what carries unexpired credentials of one role."""

    sts: Sts
    upstream: str
    role: str
    service: str
    """`dynamodb` or `s3`: how a refusal looks."""
    answers: Counter[str] = field(default_factory=Counter)
    """`passed`, `expired`, `denied`."""
    url: str = ""

    def judge(self, authorization: str, token: str) -> str:
        found = _KEY_ID.search(authorization)
        grant = self.sts.grants.get(found[1]) if found else None
        if grant is None or grant.role != self.role or grant.token != token:
            return "denied"
        return "expired" if time.monotonic() >= grant.until else "passed"

    def refusal(self, verdict: str) -> tuple[int, str, bytes]:
        """Status, content type, body."""
        if self.service == "s3":
            code, status = ("ExpiredToken", 400) if verdict == "expired" else ("AccessDenied", 403)
            body = f"<Error><Code>{code}</Code><Message>The provided token has expired.</Message></Error>"
            return status, "application/xml", body.encode()
        code = "ExpiredTokenException" if verdict == "expired" else "AccessDeniedException"
        body = f'{{"__type":"com.amazon.coral.service#{code}","message":"The security token included in the request is expired"}}'
        return 400, "application/x-amz-json-1.0", body.encode()


@contextmanager
def serving(stub: Sts | Gateway) -> Iterator[None]:
    """Sets its `url`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if isinstance(stub, Sts):
                text = stub.grant(parse_qs(body.decode()))
                self.send(200, [("Content-Type", "text/xml")], text.encode())
                return
            token = self.headers.get("X-Amz-Security-Token", "")
            verdict = stub.judge(self.headers.get("Authorization", ""), token)
            stub.answers[verdict] += 1
            if verdict == "passed":
                self.send(*_forward(stub.upstream, self.command, self.path, self.headers, body))
            else:
                status, kind, refusal = stub.refusal(verdict)
                self.send(status, [("Content-Type", kind), ("x-amzn-RequestId", uuid4().hex)], refusal)

        do_POST = do_PUT = do_GET = do_HEAD = do_DELETE = answer  # noqa: N815 - names that http.server calls

        def send(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
            self.send_response_only(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as it is declared
            return

    server = ThreadingHTTPServer((HOST, 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="stub", daemon=True)
    thread.start()
    stub.url = f"http://{HOST}:{server.server_port}"
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _forward(
    upstream: str, method: str, path: str, headers: Any, body: bytes
) -> tuple[int, list[tuple[str, str]], bytes]:
    parts = urlsplit(upstream)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=30)
    try:
        kept = {name: value for name, value in headers.items() if name.lower() not in _HOP_BY_HOP}
        connection.request(method, path, body, kept)
        answer = connection.getresponse()
        content = answer.read()
        passed = [(name, value) for name, value in answer.getheaders() if name.lower() not in _HOP_BY_HOP]
        return answer.status, passed, content
    finally:
        connection.close()
