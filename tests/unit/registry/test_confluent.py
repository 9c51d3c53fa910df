"""The registry `confluent`: who it is to the server, and what it makes of the server's answers."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cdc.errors import ErrorKind, RegistryError
from cdc.testing.registry_contract import schema
from schemas.registry.confluent import Access, ConfluentRegistry
from tests.schema_registry.certificates import Authority
from tests.schema_registry.stub import Answer, Stub, stub
from tests.services.server import free_port

SECRET = "secret-marigold-4102"


@pytest.fixture
def server() -> Iterator[Stub]:
    with stub() as running:
        yield running


@contextmanager
def registry_at(*urls: str, auto_register: bool = True, **access: Any) -> Iterator[ConfluentRegistry]:
    registry = ConfluentRegistry(
        Access(urls, **{"timeout_seconds": 5.0, **access}), auto_register=auto_register
    )
    try:
        yield registry
    finally:
        registry.close()


def refused(call: Callable[[], object], kind: ErrorKind) -> RegistryError:
    """The error, which holds no secret in any form."""
    with pytest.raises(RegistryError) as caught:
        call()
    error = caught.value
    assert error.kind is kind, error
    chain: BaseException | None = error
    while chain is not None:
        assert SECRET not in f"{chain!r}{chain}{getattr(chain, 'remedy', '')}"
        assert chain.__suppress_context__ or chain.__context__ is None, "a traceback shows the vendor's words"
        chain = chain.__cause__
    return error


# Answers


def failure(status: int, code: int | None = None, message: str = SECRET) -> Answer:
    return Answer(
        status, json.dumps({"error_code": status if code is None else code, "message": message}).encode()
    )


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (failure(401, 40101), ErrorKind.ACCESS_DENIED, "does not know these credentials"),
        (failure(403, 40301), ErrorKind.ACCESS_DENIED, "does not allow this"),
        (failure(404, 40401), ErrorKind.NOT_FOUND, "the subject does not exist"),
        (failure(404), ErrorKind.MALFORMED, "no schema registry is there"),
        (Answer(404, b"<html>" + SECRET.encode()), ErrorKind.MALFORMED, "no schema registry is there"),
        (failure(408), ErrorKind.UNAVAILABLE, "HTTP 408"),
        (failure(409), ErrorKind.UNENCODABLE, "not compatible"),
        (failure(422, 42201), ErrorKind.INVALID_REQUEST, "calls the schema invalid"),
        (failure(422, 42205), ErrorKind.ACCESS_DENIED, "read-only"),
        (failure(400), ErrorKind.MALFORMED, "HTTP 400"),
        (failure(429), ErrorKind.THROTTLED, "fewer calls"),
        (failure(500, 50001), ErrorKind.UNAVAILABLE, "HTTP 500, error code 50001"),
        (Answer(503, b"<html>" + SECRET.encode()), ErrorKind.UNAVAILABLE, "HTTP 503"),
        (Answer(302), ErrorKind.MALFORMED, "HTTP 302"),
        (Answer(200, b"<html>" + SECRET.encode()), ErrorKind.MALFORMED, "none of a schema registry"),
        (Answer(200, b"\xff\xfe"), ErrorKind.MALFORMED, "none of a schema registry"),
        (Answer(200, b""), ErrorKind.MALFORMED, "none of a schema registry"),
        (Answer(204, b""), ErrorKind.MALFORMED, "none of a schema registry"),
        (Answer(200, b"[]"), ErrorKind.MALFORMED, "none of a schema registry"),
        (Answer(200, b"null"), ErrorKind.MALFORMED, "none of a schema registry"),
        (Answer(200, b"{}"), ErrorKind.MALFORMED, "no id"),
        (Answer(200, b'{"id": "7"}'), ErrorKind.MALFORMED, "no id"),
        (Answer(200, b'{"id": true}'), ErrorKind.MALFORMED, "no id"),
        (Answer(200, b'{"id": -1}'), ErrorKind.MALFORMED, "no id"),
        (Answer(200, b'{"id": 2147483648}'), ErrorKind.MALFORMED, "no id that fits"),
        (Answer(fault="drop"), ErrorKind.UNAVAILABLE, ""),
    ],
    ids=str,
)
def test_what_a_server_answers_to_a_registration(
    server: Stub, answer: Answer, kind: ErrorKind, said: str
) -> None:
    server.answers(answer)
    with registry_at(server.url) as registry:
        error = refused(lambda: registry.register("orders-value", schema("Order")), kind)
    assert said in error.message
    assert server.url in error.message
    assert "orders-value" in error.message
    asked = [path for path in server.asked("POST") if path.endswith("/versions")]
    assert asked == ["/subjects/orders-value/versions"], "one attempt"


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, b"{}"),
        Answer(200, b'{"schema": 7}'),
        Answer(200, b'{"schema": "{"}'),
        Answer(200, b'{"schema": "{\\"type\\": \\"nothing\\"}"}'),
        Answer(200, b'{"schema": "7"}'),
        Answer(200, b'{"schema": "syntax = \\"proto3\\";", "schemaType": "PROTOBUF"}'),
    ],
    ids=str,
)
def test_an_answer_that_is_no_avro_schema(server: Stub, answer: Answer) -> None:
    server.answers(answer)
    with registry_at(server.url) as registry:
        assert "no Avro schema" in refused(lambda: registry.schema(1), ErrorKind.MALFORMED).message


def test_an_id_under_which_readers_get_another_schema(server: Stub) -> None:
    server.schemas[1] = schema("Other")
    server.handler = lambda method, _: Answer(body=b'{"id": 1}') if method == "POST" else None
    with registry_at(server.url) as registry:
        error = refused(lambda: registry.register("orders-value", schema("Order")), ErrorKind.MALFORMED)
    assert "for the id 1, which it gave this schema, the server has another one" in error.message


def test_what_a_server_drops_that_no_reader_needs(server: Stub) -> None:
    given = json.loads(schema("Order", "a"))
    server.schemas[1] = json.dumps(given)
    server.handler = lambda method, _: Answer(body=b'{"id": 1}') if method == "POST" else None
    given["fields"][0]["dynamodb.name"] = "a"
    given["doc"] = "an order"
    with registry_at(server.url) as registry:
        registered = registry.register("orders-value", json.dumps(given))
    assert registered.id == 1
    assert json.loads(registered.text) == given, "what is written goes by the own text"


def test_an_incompatible_schema_is_told_without_any_schema(server: Stub) -> None:
    given = json.loads(schema("Order", "a"))
    given["fields"].append({"name": "b", "type": "string", "doc": SECRET})
    with registry_at(server.url) as registry:
        registry.register("orders-value", schema("Order", "a"))
        error = refused(lambda: registry.register("orders-value", json.dumps(given)), ErrorKind.UNENCODABLE)
    assert "orders-value" in error.message
    assert "READER_FIELD_MISSING_DEFAULT_VALUE, BACKWARD" in error.message
    assert '"type"' not in error.message
    assert "compatibility" in error.remedy


def test_a_conflict_with_one_who_registered_the_same_at_once(server: Stub) -> None:
    with registry_at(server.url) as registry:
        there = registry.register("orders-value", schema("Order"))
        server.handler = lambda _, path: failure(409) if path.endswith("/versions") else None
        assert registry.register("orders-value", schema("Order")) == there
        server.handler = lambda _, path: failure(409 if path.endswith("/versions") else 503)
        refused(lambda: registry.register("orders-value", schema("Order")), ErrorKind.UNAVAILABLE)


def test_a_schema_that_is_not_there_and_may_not_be_registered(server: Stub) -> None:
    with registry_at(server.url, auto_register=False) as registry:
        error = refused(lambda: registry.register("orders-value", schema("Order")), ErrorKind.NOT_FOUND)
        assert "register the schema under the subject orders-value" in error.remedy
        assert not server.subjects
        server.subjects["orders-value"] = []
        refused(lambda: registry.register("orders-value", schema("Order")), ErrorKind.NOT_FOUND)
    with registry_at(server.url) as somebody:
        there = somebody.register("orders-value", schema("Order"))
    with registry_at(server.url, auto_register=False) as registry:
        assert registry.register("orders-value", schema("Order")) == there


# Reaching it


def test_a_server_that_does_not_answer_costs_its_time_once(server: Stub) -> None:
    server.answers(Answer(fault="hang"))
    began = time.monotonic()
    with registry_at(server.url, timeout_seconds=0.2) as registry:
        error = refused(lambda: registry.schema(1), ErrorKind.UNAVAILABLE)
    assert "no answer within 0.2 s" in error.message
    assert 0.2 <= time.monotonic() - began < 2


def test_a_server_that_is_not_there() -> None:
    with registry_at(f"http://127.0.0.1:{free_port()}") as registry:
        assert "Connection refused" in refused(lambda: registry.schema(1), ErrorKind.UNAVAILABLE).message


def test_a_name_that_nobody_has() -> None:
    with registry_at("http://registry.invalid") as registry:
        refused(lambda: registry.schema(1), ErrorKind.UNAVAILABLE)


def test_one_of_several_addresses_is_enough(server: Stub) -> None:
    with stub() as sick:
        sick.answers(Answer(503))
        urls = (f"http://127.0.0.1:{free_port()}", sick.url, server.url)
        with registry_at(*urls) as registry:
            assert registry.register("orders-value", schema("Order")).id == 1
        assert sick.asked("POST") == ["/subjects/orders-value/versions"]


def test_a_refusal_is_not_asked_for_elsewhere(server: Stub) -> None:
    with stub() as other:
        other.answers(failure(409))
        with registry_at(other.url, server.url) as registry:
            refused(lambda: registry.register("orders-value", schema("Order")), ErrorKind.UNENCODABLE)
    assert not server.calls


def test_a_path_before_the_api(server: Stub) -> None:
    with registry_at(f"{server.url}/apis/ccompat/v7") as registry:
        refused(lambda: registry.schema(1), ErrorKind.MALFORMED)
    assert server.asked("GET") == ["/apis/ccompat/v7/schemas/ids/1"]


# Who asks


def credentials(server: Stub) -> dict[str, Any]:
    if server.username:
        return {"username": server.username, "password": server.password}
    return {"bearer_token": server.token}


@pytest.mark.parametrize(
    "settings",
    [{"username": "cdc", "password": f"{SECRET}:%ä"}, {"token": SECRET}],
    ids=["basic", "bearer"],
)
def test_credentials(settings: dict[str, str]) -> None:
    with stub(**settings) as server:
        access = credentials(server)
        with registry_at(server.url, **access) as registry:
            assert registry.register("orders-value", schema("Order")).id == 1
        attempts: list[dict[str, Any]] = [{}, dict.fromkeys(access, f"{SECRET}x")]
        for wrong in attempts:
            with registry_at(server.url, **wrong) as registry:
                error = refused(
                    lambda asked=registry: asked.register("orders-value", schema("Order")),  # type: ignore[misc]
                    ErrorKind.ACCESS_DENIED,
                )
            assert error.remedy


def test_a_token_that_no_header_can_hold() -> None:
    with stub() as server, registry_at(server.url, bearer_token=f"{SECRET}\n") as registry:
        refused(lambda: registry.schema(1), ErrorKind.UNAVAILABLE)


def test_what_is_shown_of_the_access() -> None:
    access = Access(["http://a"], password=SECRET, bearer_token=SECRET, key_password=SECRET)
    assert SECRET not in f"{access}{access!r}"
    assert SECRET in replace(access, username="x").password


def test_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with stub(tls=authority.server()) as server:
        with registry_at(server.url, ca_file=authority.file) as registry:
            assert registry.register("orders-value", schema("Order")).id == 1
        with registry_at(server.url) as registry:
            error = refused(lambda: registry.schema(1), ErrorKind.UNAVAILABLE)
        assert "its certificate is not accepted" in error.message
        assert "ca_file" in error.remedy
        stranger = Authority(tmp_path, "stranger")
        with registry_at(server.url, ca_file=stranger.file) as registry:
            refused(lambda: registry.schema(1), ErrorKind.UNAVAILABLE)
    with stub() as plain, registry_at(plain.url.replace("http:", "https:")) as registry:
        assert "TLS fails" in refused(lambda: registry.schema(1), ErrorKind.UNAVAILABLE).message


@pytest.mark.parametrize("password", ["", SECRET])
def test_a_certificate_of_the_client(tmp_path: Path, password: str) -> None:
    authority = Authority(tmp_path)
    with stub(tls=authority.server(asks_clients=True)) as server:
        certificate, key = authority.issue("client", password)
        own: dict[str, Any] = {"certificate_file": certificate, "key_file": key, "key_password": password}
        with registry_at(server.url, ca_file=authority.file, **own) as registry:
            assert registry.register("orders-value", schema("Order")).id == 1
        with registry_at(server.url, ca_file=authority.file) as registry:
            refused(lambda: registry.schema(1), ErrorKind.UNAVAILABLE)


def test_files_that_are_no_certificates(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("client", SECRET)
    junk = tmp_path / "junk.pem"
    junk.write_text(SECRET)
    for wrong in (
        {"ca_file": tmp_path / "nowhere.pem"},
        {"ca_file": junk},
        {"certificate_file": junk},
        {"certificate_file": certificate, "key_file": key, "key_password": f"{SECRET}x"},
    ):
        error = refused(
            lambda given=wrong: ConfluentRegistry(Access(["https://a"], **given)),  # type: ignore[misc]
            ErrorKind.CONFIGURATION,
        )
        assert str(next(iter(wrong.values()))) in error.message


# The check


def test_the_check_reads_and_changes_nothing(server: Stub) -> None:
    with registry_at(server.url) as registry:
        registry.register("orders-key", schema("Key"))
        before = (dict(server.subjects), dict(server.schemas))
        server.calls.clear()
        seen = registry.probe(["orders-key", "orders-value"])
    assert seen == [
        f"schema registry {server.url}: mode READWRITE, compatibility BACKWARD",
        "subject orders-key: 1 version",
        "subject orders-value: not registered yet",
    ]
    assert (server.subjects, server.schemas) == before
    assert not server.asked("POST")


def test_the_check_finds_a_registry_that_is_read_only(server: Stub) -> None:
    server.mode = "READONLY"
    with registry_at(server.url) as registry:
        error = refused(lambda: registry.probe(["orders-key"]), ErrorKind.ACCESS_DENIED)
        assert "its mode is READONLY" in error.message
        server.mode = "READWRITE"
        registry.register("orders-key", schema("Key"))
        server.mode = "READONLY"
        assert registry.probe(["orders-key"]), "what is there need not be written"


def test_the_check_finds_what_nobody_registered(server: Stub) -> None:
    with registry_at(server.url, auto_register=False) as registry:
        error = refused(lambda: registry.probe(["orders-key"]), ErrorKind.NOT_FOUND)
    assert "orders-key" in error.message


def test_a_server_that_has_no_mode(server: Stub) -> None:
    server.handler = lambda _, path: failure(404, 0, "Operation not supported.") if path == "/mode" else None
    with registry_at(server.url) as registry:
        assert registry.probe([]) == [f"schema registry {server.url}: mode not told, compatibility BACKWARD"]


def test_the_check_of_something_else(server: Stub) -> None:
    with registry_at(f"{server.url}/elsewhere") as registry:
        refused(lambda: registry.probe([]), ErrorKind.MALFORMED)


def test_calls_are_counted(server: Stub) -> None:
    counted: list[tuple[str, str]] = []
    registry = ConfluentRegistry(
        Access([server.url]), count_call=lambda operation, outcome: counted.append((operation, outcome))
    )
    registry.register("orders-key", schema("Key"))
    server.answers(Answer(503))
    refused(lambda: registry.schema(1), ErrorKind.UNAVAILABLE)
    registry.close()
    assert counted == [
        ("registry-register", "ok"),
        ("registry-schema", "ok"),
        ("registry-schema", "unavailable"),
    ]
