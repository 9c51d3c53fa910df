"""Known ids outlive an outage and a restart, and are believed only where they mean the same."""

import pytest

from cdc.errors import ErrorKind, RegistryError
from cdc.model import RegisteredSchema
from cdc.testing.registry_contract import schema
from schemas.registry.remembering import RememberingRegistry
from tests.registries import MemoryRegistry


class Server(MemoryRegistry):
    """One that can be out of order, and takes its time."""

    def __init__(self) -> None:
        super().__init__()
        self.failure: ErrorKind | None = None
        self.seconds = 0.0
        self.now = 0.0
        self.calls: list[str] = []

    def register(self, subject: str, schema: str) -> RegisteredSchema:
        self._call(f"register {subject}")
        return super().register(subject, schema)

    def schema(self, id: int) -> RegisteredSchema:  # noqa: A002 - the port's own word
        self._call(f"schema {id}")
        return super().schema(id)

    def _call(self, call: str) -> None:
        self.calls.append(call)
        self.now += self.seconds
        if self.failure is not None:
            raise RegistryError(self.failure, "out of order", remedy="mend it")


class Process:
    """One life of a pipeline, and what it leaves in the state."""

    def __init__(self, server: Server, saved: dict[str, str] | None = None) -> None:
        self.saved = dict(saved or {})
        self.registry = RememberingRegistry(server, self.saved.update, monotonic=lambda: server.now)
        self.registry.recall(self.saved)

    def id(self, subject: str, text: str) -> int:
        return self.registry.register(subject, text).id


@pytest.fixture
def server() -> Server:
    return Server()


ORDERS, LINES = schema("Orders", "a"), schema("Lines", "a")


def kind_of(process: Process, subject: str, text: str) -> ErrorKind:
    with pytest.raises(RegistryError) as caught:
        process.id(subject, text)
    return caught.value.kind


def test_what_is_known_is_asked_once(server: Server) -> None:
    process = Process(server)
    assert [process.id("orders", ORDERS) for _ in range(3)] == [1, 1, 1]
    assert server.calls == ["register orders"]


def test_an_outage_stops_nothing_that_is_known(server: Server) -> None:
    process = Process(server)
    process.id("orders", ORDERS)
    server.failure = ErrorKind.UNAVAILABLE
    assert process.id("orders", ORDERS) == 1
    assert kind_of(process, "lines", LINES) is ErrorKind.UNAVAILABLE
    server.failure = None
    assert process.id("lines", LINES) == 2


def test_a_restart_during_an_outage_goes_on(server: Server) -> None:
    first = Process(server)
    first.id("orders", ORDERS)
    server.failure = ErrorKind.UNAVAILABLE
    second = Process(server, first.saved)
    with pytest.raises(RegistryError):
        second.registry.verify()
    assert second.registry.register("orders", ORDERS) == RegisteredSchema(1, "orders", ORDERS)
    assert kind_of(second, "lines", LINES) is ErrorKind.UNAVAILABLE


def test_one_subject_is_not_another_and_a_property_makes_another_schema(server: Server) -> None:
    first = Process(server)
    first.id("orders", ORDERS)
    second = Process(server, first.saved)
    server.calls.clear()
    second.id("orders", ORDERS.replace(" ", "  "))
    assert not server.calls
    second.id("others", ORDERS)
    second.id("orders", schema("Orders", "a", **{"dynamodb.table": "orders"}))
    assert [call for call in server.calls if call.startswith("register")] == [
        "register others",
        "register orders",
    ]


def test_the_ids_of_before_are_verified_when_the_process_begins(server: Server) -> None:
    first = Process(server)
    first.id("orders", ORDERS)
    first.id("lines", LINES)
    second = Process(server, first.saved)
    server.calls.clear()
    second.registry.verify()
    second.registry.verify()
    assert server.calls == ["schema 1", "schema 2"]


def another() -> Server:
    """A registry that gave its ids otherwise."""
    server = Server()
    server.register("lines", LINES)
    server.register("orders", ORDERS)
    return server


@pytest.mark.parametrize(
    ("other", "kind", "said"),
    [
        # It may be loading, or lag behind: whoever needs something new waits.
        (Server(), ErrorKind.NOT_FOUND, "does not have the schema"),
        (another(), ErrorKind.CONFIGURATION, "not the schema registry"),
    ],
    ids=["empty", "another"],
)
def test_another_registry_is_refused_before_anything_is_registered_there(
    server: Server, other: Server, kind: ErrorKind, said: str
) -> None:
    first = Process(server)
    first.id("orders", ORDERS)
    second = Process(other, first.saved)
    with pytest.raises(RegistryError, match=said) as caught:
        second.registry.verify()
    assert caught.value.kind is kind
    assert "restore" in caught.value.remedy
    other.calls.clear()
    assert kind_of(second, "new", schema("New")) is kind
    assert not [call for call in other.calls if call.startswith("register")]


def test_after_an_outage_the_ids_are_verified_again(server: Server) -> None:
    process = Process(server)
    process.id("orders", ORDERS)
    server.failure = ErrorKind.UNAVAILABLE
    assert kind_of(process, "lines", LINES) is ErrorKind.UNAVAILABLE
    server.failure = None
    server._schemas.clear()  # it came back empty
    assert kind_of(process, "lines", LINES) is ErrorKind.NOT_FOUND
    assert process.id("orders", ORDERS) == 1


@pytest.mark.parametrize(
    "kind",
    [ErrorKind.UNAVAILABLE, ErrorKind.THROTTLED, ErrorKind.ACCESS_DENIED, ErrorKind.MALFORMED],
)
def test_a_server_that_hangs_is_left_alone_for_four_times_as_long(server: Server, kind: ErrorKind) -> None:
    process = Process(server)
    server.failure, server.seconds = kind, 5.0
    assert kind_of(process, "orders", ORDERS) is kind
    server.now += 19.9
    assert kind_of(process, "lines", LINES) is kind
    assert server.calls == ["register orders"]
    server.now += 0.2
    server.failure = None
    assert process.id("lines", LINES) == 1


def test_a_server_that_refuses_at_once_is_asked_at_once(server: Server) -> None:
    process = Process(server)
    server.failure, server.seconds = ErrorKind.UNAVAILABLE, 0.1
    for _ in range(3):
        kind_of(process, "orders", ORDERS)
    assert server.calls == ["register orders"] * 3


def test_a_schema_that_is_refused_holds_up_no_other(server: Server) -> None:
    process = Process(server)
    server.seconds, server.failure = 5.0, ErrorKind.UNENCODABLE
    assert kind_of(process, "orders", ORDERS) is ErrorKind.UNENCODABLE
    server.failure = None
    assert process.id("lines", LINES) == 1


def test_settings_that_are_not_as_they_were_written(server: Server) -> None:
    first = Process(server)
    first.id("orders", ORDERS)
    [key] = first.saved
    Process(server, {"sink.bus.type": "kafka"})
    for value in ("", "one x", "1", "-1 x"):
        with pytest.raises(RegistryError) as caught:
            Process(server, {key: value})
        assert caught.value.kind is ErrorKind.STATE_FORMAT
