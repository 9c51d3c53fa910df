"""What the integration tests rely on in the real schema registry: Confluent's API, and a memory that outlives it."""

import json
import urllib.error
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.services.schema_registry import SchemaRegistry

pytestmark = pytest.mark.integration

MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"


def record(*fields: str | tuple[str, Any]) -> str:
    """An Avro record of strings; a field with a default is (name, default)."""
    described = [
        {"name": field, "type": "string"}
        if isinstance(field, str)
        else {"name": field[0], "type": "string", "default": field[1]}
        for field in fields
    ]
    return json.dumps({"type": "record", "name": "Order", "fields": described})


def ask(method: str, url: str, content: dict[str, str] | None = None) -> tuple[int, Any]:
    """Status and document."""
    data = None if content is None else json.dumps(content).encode()
    request = urllib.request.Request(url, data=data, method=method, headers={"Content-Type": MEDIA_TYPE})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.load(refused)


def register(registry: str, subject: str, schema: str) -> tuple[int, Any]:
    return ask("POST", f"{registry}/subjects/{subject}/versions", {"schema": schema})


@pytest.fixture
def subject() -> str:
    return f"services-{uuid.uuid4().hex[:12]}-value"


def test_a_schema_registered_twice_has_one_id(schema_registry_url: str, subject: str) -> None:
    status, first = register(schema_registry_url, subject, record("a"))
    assert status == 200
    assert register(schema_registry_url, subject, record("a")) == (200, first)
    assert ask("GET", f"{schema_registry_url}/subjects/{subject}/versions") == (200, [1])
    assert register(schema_registry_url, f"other-{subject}", record("a")) == (200, first), "in any subject"


def test_a_schema_is_had_by_its_id(schema_registry_url: str, subject: str) -> None:
    _, registered = register(schema_registry_url, subject, record("a"))
    status, found = ask("GET", f"{schema_registry_url}/schemas/ids/{registered['id']}")
    assert status == 200
    assert json.loads(found["schema"]) == json.loads(record("a"))
    status, unknown = ask("GET", f"{schema_registry_url}/schemas/ids/999999999")
    assert (status, unknown["error_code"]) == (404, 40403)


def test_compatibility_is_backward_and_an_incompatible_schema_is_refused(
    schema_registry_url: str, subject: str
) -> None:
    assert ask("GET", f"{schema_registry_url}/config") == (200, {"compatibilityLevel": "BACKWARD"})
    _, first = register(schema_registry_url, subject, record("a"))
    status, _ = register(schema_registry_url, subject, record("a", "b"))
    assert status == 409
    status, second = register(schema_registry_url, subject, record("a", ("b", "")))
    assert status == 200
    assert second["id"] != first["id"]
    assert ask("GET", f"{schema_registry_url}/subjects/{subject}/versions") == (200, [1, 2])


def test_a_subject_may_have_a_compatibility_of_its_own(schema_registry_url: str, subject: str) -> None:
    register(schema_registry_url, subject, record("a"))
    status, _ = ask("PUT", f"{schema_registry_url}/config/{subject}", {"compatibility": "FORWARD"})
    assert status == 200
    status, _ = register(schema_registry_url, subject, record("a", "b"))
    assert status == 200


def test_a_registry_killed_stopped_and_paused_keeps_its_address_and_its_ids(
    schema_registry: SchemaRegistry,
) -> None:
    url = schema_registry.endpoint
    for subject, end in (("before", schema_registry.kill), ("after", schema_registry.stop)):
        _, registered = register(url, subject, record(subject))
        end()
        assert not schema_registry.running
        schema_registry.start()
        assert schema_registry.endpoint == url
        assert register(url, subject, record(subject)) == (200, registered)
        status, found = ask("GET", f"{url}/schemas/ids/{registered['id']}")
        assert (status, json.loads(found["schema"])) == (200, json.loads(record(subject)))

    schema_registry.pause()
    with ThreadPoolExecutor(1) as threads:
        asking = threads.submit(ask, "GET", f"{url}/subjects")
        with pytest.raises(TimeoutError):
            asking.result(timeout=0.2)
        schema_registry.resume()
        assert asking.result(timeout=30) == (200, ["before", "after"])
