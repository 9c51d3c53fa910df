"""A `Store` over HTTP on loopback, that fails on request."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.s3.store import Answer, Refusal, Request, Store


@dataclass(frozen=True)
class LoseRequest:
    """The connection is cut before anything is done."""


@dataclass(frozen=True)
class LoseAnswer:
    """It is done, and the connection cut instead of an answer."""


@dataclass(frozen=True)
class Refuse:
    """Answers in the store's place."""

    code: str
    status: int = 400
    message: str = "told by the store"
    more: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def answer(self) -> Answer:
        text = f"<Error><Code>{self.code}</Code><Message>{self.message}</Message>{self.more}</Error>"
        return Answer(self.status, text.encode(), self.headers)


@dataclass(frozen=True)
class Damage:
    """It is done, and the answer says another checksum."""


@dataclass(frozen=True)
class Hold:
    """It is done once the event is set."""

    event: threading.Event
    reached: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))


Fault = LoseRequest | LoseAnswer | Refuse | Damage | Hold
Choose = Callable[[Request], Fault | None]


def well(request: Request) -> None:
    """Nothing goes wrong."""


def times(number: int, fault: Fault, *operations: str) -> Choose:
    """The first so many of these operations meet the fault; of all operations without names."""
    left = [number]

    def choose(request: Request) -> Fault | None:
        if (operations and request.operation not in operations) or not left[0]:
            return None
        left[0] -= 1
        return fault

    return choose


class S3Server:
    """`calls` are those that came; `fault` decides for each."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.fault: Choose = well
        self.calls: list[Request] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), name="s3")
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def operations(self) -> list[str]:
        return [call.operation for call in self.calls]

    def answer(self, request: Request) -> Answer | None:
        """None: no answer."""
        with self._lock:
            self.calls.append(request)
            fault = self.fault(request)
        if isinstance(fault, LoseRequest):
            return None
        if isinstance(fault, Refuse):
            return fault.answer
        if isinstance(fault, Hold):
            fault.reached.release()
            fault.event.wait(20)
        with self._lock:
            try:
                answer = self.store.answer(request)
            except Refusal as refusal:
                answer = Refuse(refusal.code, refusal.status).answer
        if isinstance(fault, LoseAnswer):
            return None
        if isinstance(fault, Damage):
            body = answer.body.replace(b"<ChecksumCRC32>", b"<ChecksumCRC32>AAAA")
            return Answer(answer.status, body, {**answer.headers, "x-amz-checksum-crc32": "AAAAAA=="})
        return answer

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1
            timeout = (
                1.0  # an idle connection's thread ends: a client's close may have to wait for its collector
            )

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                url = urlsplit(self.path)
                query = dict(parse_qsl(url.query, keep_blank_values=True))
                _, bucket, *key = unquote(url.path).split("/", 2)
                headers = {name.lower(): value for name, value in self.headers.items()}
                operation = operation_of(self.command, query)
                request = Request(operation, bucket, "".join(key), query, headers, body)
                answer = server.answer(request)
                if answer is None:
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                if "Content-Length" not in answer.headers:
                    self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer.body)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any  # noqa: N815 - the base's names

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
                """Says nothing."""

        return Handler


OPERATIONS = {
    ("GET", "uploads"): "ListMultipartUploads",
    ("POST", "uploads"): "CreateMultipartUpload",
    ("PUT", "partNumber"): "UploadPart",
    ("POST", "uploadId"): "CompleteMultipartUpload",
    ("DELETE", "uploadId"): "AbortMultipartUpload",
    ("PUT", ""): "PutObject",
    ("HEAD", ""): "HeadObject",
}


def operation_of(method: str, query: dict[str, str]) -> str:
    found = [OPERATIONS[method, name] for name in (*query, "") if (method, name) in OPERATIONS]
    return found[0] if found else method


@contextmanager
def s3_server(store: Store | None = None) -> Iterator[S3Server]:
    server = S3Server(store if store is not None else Store())
    server.start()
    try:
        yield server
    finally:
        server.stop()
