"""A schema registry on loopback, for what a real one cannot be asked for: faults, credentials, another server's answers.

It is strict where a real one is, and knows the part of Confluent's API that readers and writers use (Confluent
documentation, "Schema Registry API Reference"): ids by content, subjects with versions, BACKWARD and FULL
compatibility as far as added fields and changed types go, a mode, and the error codes.
"""

import base64
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

import fastavro
from fastavro.schema import SchemaParseException, UnknownType

HOST = "127.0.0.1"
_MEDIA = ("application/vnd.schemaregistry.v1+json", "application/vnd.schemaregistry+json", "application/json")
_PARTS = ("schemas", "subjects", "mode", "config")
_PARAMETERS = {"normalize", "deleted", "deleted_only", "offset", "limit", "subject", "format"}


@dataclass(frozen=True, slots=True)
class Answer:
    """`fault`: `hang` answers when the test is over, `drop` closes the connection without an answer."""

    status: int = 200
    body: bytes = b"{}"
    fault: str = ""


Handler = Callable[[str, str], Answer | None]
"""(method, path) to an answer that goes before the stub's own."""


class RefusedError(Exception):
    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


@dataclass
class Stub:
    """`url` is the same after `stop` and `start`; what is registered stays."""

    username: str = ""
    password: str = ""
    token: str = ""
    tls: ssl.SSLContext | None = None
    mode: str = "READWRITE"
    compatibility: str = "BACKWARD"
    levels: dict[str, str] = field(default_factory=dict)
    """Compatibility by subject, where it has one of its own."""
    first_id: int = 1
    subjects: dict[str, list[int]] = field(default_factory=dict)
    schemas: dict[int, str] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)
    handler: Handler | None = None
    over: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _server: ThreadingHTTPServer | None = None
    _port: int = 0

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{HOST}:{self._port}"

    def start(self) -> Self:
        server = ThreadingHTTPServer((HOST, self._port), _request_handler(self))
        server.daemon_threads = True
        if self.tls is not None:
            # The handshake belongs to the connection's own thread: a client that makes none holds nobody up.
            server.socket = self.tls.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._port = server.server_port
        self._server = server
        threading.Thread(
            target=server.serve_forever, args=(0.01,), name="schema-registry", daemon=True
        ).start()
        return self

    def stop(self) -> None:
        """From now on a connection is refused."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def answers(self, answer: Answer | None) -> None:
        """To everything; None: its own again."""
        self.handler = None if answer is None else lambda _method, _path: answer

    def asked(self, method: str) -> list[str]:
        return [path for called, path in self.calls if called == method]

    # The API

    def reply(self, method: str, path: str, body: bytes) -> Any:  # noqa: C901, PLR0911 - one for each call there is
        parts = [unquote(part) for part in path.strip("/").split("/")]
        match method, parts:
            case "GET", ["schemas", "ids", id_]:
                return {"schema": self._schema(id_)}
            case "POST", ["subjects", subject, "versions"]:
                return {"id": self._register(subject, _posted(body))}
            case "POST", ["subjects", subject]:
                return self._lookup(subject, _posted(body))
            case "GET", ["subjects"]:
                return list(self.subjects)
            case "GET", ["subjects", subject, "versions"]:
                return list(range(1, len(self._subject(subject)) + 1))
            case "GET", ["mode"]:
                return {"mode": self.mode}
            case "GET", ["config"]:
                return {"compatibilityLevel": self.compatibility}
            case "PUT", ["config", subject]:
                self.levels[subject] = json.loads(body)["compatibility"]
                return {"compatibility": self.levels[subject]}
            case "GET", ["config", subject] if subject in self.levels:
                return {"compatibilityLevel": self.levels[subject]}
            case "GET", ["config", subject]:
                raise RefusedError(
                    404, 40408, f"Subject '{subject}' does not have subject-level compatibility"
                )
            case _:
                raise RefusedError(404, 404, "HTTP 404 Not Found")

    def _schema(self, id_: str) -> str:
        if not id_.isdecimal() or int(id_) not in self.schemas:
            raise RefusedError(404, 40403, f"Schema {id_} not found")
        return self.schemas[int(id_)]

    def _subject(self, subject: str) -> list[int]:
        if subject not in self.subjects:
            raise RefusedError(404, 40401, f"Subject '{subject}' not found.")
        return self.subjects[subject]

    def _register(self, subject: str, schema: str) -> int:
        ids = self.subjects.get(subject, [])
        if (known := self._id_of(schema)) in ids:
            return known
        if self.mode != "READWRITE":
            raise RefusedError(422, 42205, f"Subject {subject} is in read-only mode")
        if ids and self.levels.get(subject, self.compatibility) != "NONE":
            self._check_compatible(subject, schema, self.schemas[ids[-1]])
        id_ = known or self.first_id + len(self.schemas)
        self.schemas[id_] = schema
        self.subjects.setdefault(subject, []).append(id_)
        return id_

    def _id_of(self, schema: str) -> int:
        return next((id_ for id_, known in self.schemas.items() if known == schema), 0)

    def _check_compatible(self, subject: str, schema: str, old: str) -> None:
        before, now = json.loads(old), json.loads(schema)
        had = {each["name"]: each["type"] for each in before.get("fields", ())}
        bad = [f for f in now.get("fields", ()) if f["name"] not in had and "default" not in f]
        if before.get("name") != now.get("name"):
            kind = "NAME_MISMATCH"
        elif bad:
            kind = "READER_FIELD_MISSING_DEFAULT_VALUE"
        elif any(had.get(f["name"], f["type"]) != f["type"] for f in now.get("fields", ())):
            kind = "TYPE_MISMATCH"  # no promotions: nobody here asks for one
        else:
            return
        raise RefusedError(
            409,
            409,
            "Schema being registered is incompatible with an earlier schema for subject "
            f"\"{subject}\", details: [{{errorType:'{kind}', description:'...'}}, {{oldSchema: '{old}'}}, "
            f"{{validateFields: 'false', compatibility: '{self.compatibility}'}}]",
        )

    def _lookup(self, subject: str, schema: str) -> dict[str, Any]:
        ids = self._subject(subject)
        id_ = self._id_of(schema)
        if id_ not in ids:
            raise RefusedError(404, 40403, "Schema not found")
        return {"subject": subject, "id": id_, "version": ids.index(id_) + 1, "schema": schema}

    # HTTP

    def checked(self, method: str, target: str, headers: Any, body: bytes) -> Answer:
        path, query = urlsplit(target).path, parse_qs(urlsplit(target).query)
        with self._lock:
            self.calls.append((method, path))
            if self.handler is not None and (answer := self.handler(method, path)) is not None:
                return answer
            try:
                self._check(method, path, headers, query)
                return Answer(200, json.dumps(self.reply(method, path, body)).encode())
            except RefusedError as error:
                said = {"error_code": error.code, "message": error.message}
                return Answer(error.status, json.dumps(said).encode())

    def _check(self, method: str, path: str, headers: Any, query: dict[str, list[str]]) -> None:
        authorization = headers.get("Authorization", "")
        expected = ""
        if self.username:
            expected = "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        elif self.token:
            expected = f"Bearer {self.token}"
        if authorization != expected:
            # As bad as a server can be: it quotes what it was given.
            raise RefusedError(401, 40101, f"Unauthorized: {authorization}")
        if method == "POST" and headers.get("Content-Type") not in _MEDIA:
            raise RefusedError(415, 415, "HTTP 415 Unsupported Media Type")
        if path.split("/")[1] in _PARTS and query.keys() - _PARAMETERS:
            raise AssertionError(f"no such parameter: {path} {query}")


def _posted(body: bytes) -> str:
    """The schema of a request, kept as it came: white space makes another one, as it does at Apicurio."""
    request = json.loads(body)
    if request.get("schemaType", "AVRO") != "AVRO" or request.get("references"):
        raise AssertionError(f"no such request: {request}")
    text: str = request["schema"]
    try:
        fastavro.parse_schema(json.loads(text))
    except (ValueError, SchemaParseException, UnknownType):
        raise RefusedError(422, 42201, f"Invalid schema {text}") from None
    return text


def _request_handler(stub: Stub) -> type[BaseHTTPRequestHandler]:
    class RequestHandler(BaseHTTPRequestHandler):
        timeout = 10

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer = stub.checked(self.command, self.path, self.headers, body)
            if answer.fault == "hang":
                stub.over.wait()
            if answer.fault:
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.send_response(answer.status)
            self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815 - the base class's names

        def handle(self) -> None:
            with suppress(OSError):  # a client that does not wait, or makes no handshake
                super().handle()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            pass

    return RequestHandler


@contextmanager
def stub(**settings: Any) -> Iterator[Stub]:
    """A running one; `settings` are the fields of `Stub`."""
    registry = Stub(**settings).start()
    try:
        yield registry
    finally:
        registry.over.set()
        registry.stop()
