"""The admin server over real connections on the loopback interface."""

import http.client
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator

import jsonschema
import pytest
from prometheus_client.parser import text_string_to_metric_families

from cdc.errors import CdcError, ConfigError, ErrorKind
from cdc.observe.admin import AdminServer
from cdc.observe.document import schema, to_json
from cdc.observe.health import Health
from cdc.observe.metrics import Metrics
from cdc.observe.report import report
from tests.unit.observe.faults import SECRET
from tests.unit.observe.statuses import AT, STATUS
from tests.unit.observe.test_report import FACTS


class Pipeline:
    """What the server shows, and what becomes of its threads."""

    def __init__(self) -> None:
        self.health = self.ready = Health(ok=True)
        self.metrics = Metrics("orders")
        self.metrics.publish(STATUS)
        self.status: Callable[[], bytes] = lambda: to_json(report(STATUS, FACTS, at=AT))
        self.crashes: list[BaseException] = []
        self.crashed = threading.Event()
        self.threads: list[threading.Thread] = []

    def answer(self) -> bytes:
        return self.status()

    def server(self, *, host: str = "127.0.0.1", port: int = 0, seconds: float = 5.0) -> AdminServer:
        return AdminServer(
            host,
            port,
            health=lambda: self.health,
            ready=lambda: self.ready,
            metrics=self.metrics.render,
            status=self.answer,
            deadline_seconds=seconds,
        )

    def spawn(self, target: Callable[[], None], /, *, name: str) -> threading.Thread:
        def body() -> None:
            try:
                target()
            except BaseException as error:  # noqa: BLE001 - asserted by the tests
                self.crashes.append(error)
                self.crashed.set()

        thread = threading.Thread(target=body, name=name, daemon=True)
        thread.start()
        self.threads.append(thread)
        return thread


@pytest.fixture
def pipeline() -> Iterator[Pipeline]:
    pipeline = Pipeline()
    yield pipeline
    assert pipeline.crashes == []


@pytest.fixture
def server(pipeline: Pipeline) -> Iterator[AdminServer]:
    server = pipeline.server()
    server.start(pipeline.spawn)
    yield server
    server.stop()
    assert not any(thread.is_alive() for thread in pipeline.threads)


def ask(
    server: AdminServer, path: str, method: str = "GET", body: bytes | None = None
) -> tuple[int, bytes, str]:
    connection = http.client.HTTPConnection(server.address, timeout=20)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers["Content-Type"]
    finally:
        connection.close()


def connect(server: AdminServer) -> socket.socket:
    host, _, port = server.address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=20)


def raw(server: AdminServer, request: bytes) -> bytes:
    with connect(server) as client:
        client.sendall(request)
        return b"".join(iter(lambda: client.recv(65536), b""))


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_probes(server: AdminServer, pipeline: Pipeline, path: str) -> None:
    status, body, kind = ask(server, path)
    assert (status, json.loads(body), kind) == (200, {"ok": True, "reasons": []}, "application/json")
    setattr(pipeline, path[1:], Health(ok=False, reasons=("sink bus is down",)))
    status, body, _ = ask(server, path)
    assert (status, json.loads(body)) == (503, {"ok": False, "reasons": ["sink bus is down"]})


def test_metrics(server: AdminServer) -> None:
    status, body, kind = ask(server, "/metrics?x=1")
    assert status == 200
    assert kind.startswith("text/plain; version=0.0.4")
    names = {family.name for family in text_string_to_metric_families(body.decode())}
    assert "cdc_lag_seconds" in names


def test_status(server: AdminServer) -> None:
    status, body, kind = ask(server, "/status")
    assert (status, kind) == (200, "application/json")
    jsonschema.Draft202012Validator(schema()).validate(json.loads(body))


@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics", "/status", "/nothing"])
def test_head_is_get_without_its_body(server: AdminServer, path: str) -> None:
    def headers(method: str) -> list[bytes]:
        head, _, body = raw(server, f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()).partition(
            b"\r\n\r\n"
        )
        assert bool(body) is (method == "GET")
        # The age of the status is a figure of its own length.
        return [line for line in head.split(b"\r\n") if not re.match(rb"Date|Content-Length", line)]

    assert headers("HEAD") == headers("GET")


@pytest.mark.parametrize(
    "path", ["/", "/statuss", "/status/", "//", "//[", "/%2e%2e/etc/passwd", "/" + "x" * 2000]
)
def test_what_is_not_there(server: AdminServer, path: str) -> None:
    status, body, _ = ask(server, path)
    assert (status, json.loads(body)) == (404, {"error": "Not Found"})


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
@pytest.mark.parametrize("path", ["/health", "/nothing"])
def test_other_methods(server: AdminServer, method: str, path: str) -> None:
    status, body, _ = ask(server, path, method, SECRET.encode() * 1000)
    assert status == 405
    assert SECRET not in body.decode()


def test_a_body_is_not_waited_for(server: AdminServer) -> None:
    with connect(server) as client:
        client.sendall(
            b"POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n"
        )
        assert client.recv(65536).startswith(b"HTTP/1.1 405")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /health HTTP/1.0\r\n\r\n", 200),
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET /health HTTP/9.9\r\n\r\n", 505),
        (b"planted-item-value\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431),
        (b"GET /health HTTP/1.1\r\nA: " + b"x" * 70_000 + b"\r\n\r\n", 431),
    ],
)
def test_what_the_wire_may_bring(server: AdminServer, request_: bytes, status: int) -> None:
    answer = raw(server, request_)
    assert answer.split(b" ")[1] == str(status).encode()
    assert SECRET.encode() not in answer
    assert b"python" not in answer.lower()


def test_a_client_that_goes_on_sending_after_the_answer_is_not_cut_off(server: AdminServer) -> None:
    with connect(server) as client:
        client.sendall(b"POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n")
        assert client.recv(1, socket.MSG_PEEK) == b"H"
        for _ in range(2):
            client.sendall(b"x" * 10)
        client.shutdown(socket.SHUT_WR)
        assert client.recv(65536).startswith(b"HTTP/1.1 405")


def test_a_client_that_says_nothing_or_goes_away_harms_nobody(server: AdminServer) -> None:
    for part in (b"", b"GE", b"GET /health HTTP/1.1\r\nHost"):
        with connect(server) as client:
            client.sendall(part)
    assert ask(server, "/health")[0] == 200


def drip(client: socket.socket, stop: threading.Event) -> None:
    """One header byte after the other, for ever."""
    try:
        client.sendall(b"GET /health HTTP/1.1\r\nA: ")
        while not stop.wait(0.02):
            client.sendall(b"x")
    except OSError:
        return


def test_slow_clients_cannot_hold_it(pipeline: Pipeline) -> None:
    server = pipeline.server(seconds=0.4)
    server.start(pipeline.spawn)
    stop = threading.Event()
    slow = [connect(server) for _ in range(8)]
    drips = [threading.Thread(target=drip, args=(client, stop)) for client in slow]
    for thread in drips:
        thread.start()
    began = time.monotonic()
    try:
        # All threads are taken twice over, and it is its turn all the same.
        assert ask(server, "/health")[0] == 200
        assert 0.4 <= time.monotonic() - began < 10
    finally:
        stop.set()
        for thread in drips:
            thread.join(10)
        for client in slow:
            client.close()
        server.stop()
    assert len(pipeline.threads) == 4


def test_a_client_that_does_not_read_cannot_hold_it(pipeline: Pipeline) -> None:
    server = pipeline.server(seconds=0.3)
    pipeline.status = lambda: b" " * 50_000_000
    server.start(pipeline.spawn)
    deaf = [connect(server) for _ in range(4)]
    try:
        for client in deaf:
            client.sendall(b"GET /status HTTP/1.1\r\n\r\n")
        assert ask(server, "/health")[0] == 200
    finally:
        for client in deaf:
            client.close()
        server.stop()


def test_many_at_once(server: AdminServer) -> None:
    answers: list[int] = []
    clients = [
        threading.Thread(target=lambda: answers.append(ask(server, "/status")[0]), daemon=True)
        for _ in range(20)
    ]
    for client in clients:
        client.start()
    for client in clients:
        client.join(30)
    assert answers == [200] * 20


def test_stopping_ends_open_connections(pipeline: Pipeline) -> None:
    server = pipeline.server(seconds=60)
    server.start(pipeline.spawn)
    idle = [connect(server) for _ in range(3)]
    assert ask(server, "/health")[0] == 200
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 2
    assert not any(thread.is_alive() for thread in pipeline.threads)
    for client in idle:
        client.close()
    with pytest.raises(OSError, match="refused"):
        connect(server)
    server.stop()


def test_threads_have_names_and_come_from_outside(server: AdminServer, pipeline: Pipeline) -> None:
    assert [thread.name for thread in pipeline.threads] == [f"cdc-admin-{number}" for number in (1, 2, 3, 4)]


def test_a_port_that_is_busy(server: AdminServer, pipeline: Pipeline) -> None:
    port = int(server.address.rpartition(":")[2])
    second = pipeline.server(port=port)
    with pytest.raises(CdcError, match=f"127.0.0.1:{port}.*in use") as caught:
        second.start(pipeline.spawn)
    # Not a `ConfigError`, which ends with 2: the port may be free a moment later.
    assert not isinstance(caught.value, ConfigError)
    assert caught.value.kind is ErrorKind.CONFIGURATION
    assert caught.value.remedy
    second.stop()
    assert len(pipeline.threads) == 4


def test_a_host_that_is_not_this_machine(pipeline: Pipeline) -> None:
    with pytest.raises(CdcError, match=r"192\.0\.2\.1"):
        pipeline.server(host="192.0.2.1").start(pipeline.spawn)


def test_the_same_port_again_after_a_stop(pipeline: Pipeline) -> None:
    first = pipeline.server()
    first.start(pipeline.spawn)
    assert ask(first, "/health")[0] == 200
    port = int(first.address.rpartition(":")[2])
    first.stop()
    second = pipeline.server(port=port)
    second.start(pipeline.spawn)
    assert ask(second, "/health")[0] == 200
    second.stop()


def test_by_name(pipeline: Pipeline) -> None:
    server = pipeline.server(host="localhost")
    server.start(pipeline.spawn)
    assert ask(server, "/health")[0] == 200
    server.stop()


def test_a_fault_of_ours_is_raised_and_not_told(capfd: pytest.CaptureFixture[str]) -> None:
    pipeline = Pipeline()

    def status() -> bytes:
        raise OSError(SECRET)

    pipeline.status = status
    server = pipeline.server()
    server.start(pipeline.spawn)
    code, body, _ = ask(server, "/status")
    assert (code, json.loads(body)) == (500, {"error": "Internal Server Error"})
    assert pipeline.crashed.wait(10)
    assert [str(error) for error in pipeline.crashes] == [SECRET]
    server.stop()
    assert capfd.readouterr() == ("", "")


def test_nothing_is_written_about_requests(server: AdminServer, capfd: pytest.CaptureFixture[str]) -> None:
    ask(server, f"/{SECRET}")
    raw(server, b"nonsense\r\n\r\n")
    assert capfd.readouterr() == ("", "")
