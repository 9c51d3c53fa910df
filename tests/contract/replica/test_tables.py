"""Opening and probing, at moto."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cdc.connector import Note, Seen, SinkContext
from cdc.errors import CdcError, ErrorKind
from cdc.testing.sink_run import SinkRun
from connectors.replica import CONNECTOR, ReplicaConfig
from connectors.replica.sink import ReplicaSink
from tests.replica.guard_cases import chain_text
from tests.replica.proxy import Proxy, Refuse, times
from tests.replica.tables import Replica, config, names_of

PLANTED = "planted-4711-value"


class Place:
    """A replica that may be, and a proxy in front of it."""

    def __init__(self, endpoint: str, base: Path) -> None:
        self.base = base
        self.replica = Replica(endpoint, *names_of(base))
        self.proxy = Proxy(endpoint)

    def config(self, **more: Any) -> ReplicaConfig:
        settings = {"table": self.replica.table, "tombstones": {"table": self.replica.tombstones}, **more}
        return config(settings.pop("endpoint_url", self.proxy.url), **settings)

    def open(self, **more: Any) -> None:
        def make(context: SinkContext) -> ReplicaSink:
            return ReplicaSink(self.config(**more), context)

        with SinkRun(make, self.base):
            pass

    def probe(self, **more: Any) -> list[str]:
        """The lines; raises the first error."""
        seen: list[Seen] = []

        def make(context: SinkContext) -> ReplicaSink:
            seen.extend(CONNECTOR.probe(self.config(**more), context))
            return ReplicaSink(self.config(**more), context)

        with SinkRun(make, self.base, open_sink=False):
            for error in (one for one in seen if isinstance(one, CdcError)):
                raise error
            return [one.text if isinstance(one, Note) else one for one in seen if isinstance(one, str | Note)]


@pytest.fixture
def place(moto_endpoint: str, tmp_path: Path) -> Iterator[Place]:
    made = Place(moto_endpoint, tmp_path)
    with made.proxy:
        yield made


@pytest.fixture(params=["open", "probe"])
def both(request: pytest.FixtureRequest, place: Place) -> Any:
    """What is wrong for one is wrong for the other."""
    return getattr(place, request.param)


def error_of(call: Any, **more: Any) -> CdcError:
    with pytest.raises(CdcError) as raised:
        call(**more)
    assert PLANTED not in chain_text(raised.value)
    return raised.value


def test_open_creates_the_tombstones_and_probe_does_not(place: Place) -> None:
    place.replica.create()
    assert place.probe() == [
        f"replica {place.replica.table} of orders: ACTIVE, key pk (S)",
        f"tombstones {place.replica.tombstones}: does not exist, will be created (on demand, TTL)",
    ]
    assert set(place.proxy.operations()) == {"DescribeTable"}
    place.open()
    assert place.probe()[1] == f"tombstones {place.replica.tombstones}: ACTIVE, TTL on"
    place.open(tombstones={"table": place.replica.tombstones, "create": False})


def test_a_replica_that_is_missing(both: Any) -> None:
    error = error_of(both)
    assert error.kind is ErrorKind.NOT_FOUND
    assert "key schema" in error.remedy


def test_tombstones_that_are_missing_and_not_to_be_created(both: Any, place: Place) -> None:
    place.replica.create()
    error = error_of(both, tombstones={"table": place.replica.tombstones, "create": False})
    assert error.kind is ErrorKind.NOT_FOUND
    assert "id (S)" in error.remedy


def test_a_table_of_another_kind_is_not_for_tombstones(both: Any, place: Place) -> None:
    place.replica.create()
    Replica(place.proxy.upstream.geturl(), place.replica.tombstones, "none").create()
    error = error_of(both)
    assert error.kind is ErrorKind.CONFIGURATION
    assert "id (S)" in error.message


def test_nobody_answers(both: Any) -> None:
    assert error_of(both, endpoint_url="http://127.0.0.1:1").kind is ErrorKind.UNAVAILABLE


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("AccessDeniedException", 400, ErrorKind.ACCESS_DENIED),
        ("ThrottlingException", 400, ErrorKind.THROTTLED),
        ("InternalServerError", 500, ErrorKind.UNAVAILABLE),
    ],
)
def test_the_service_refuses(both: Any, place: Place, code: str, status: int, kind: ErrorKind) -> None:
    place.proxy.fault = times(1, Refuse(code, status, message=PLANTED), "DescribeTable")
    assert error_of(both).kind is kind
    assert set(place.proxy.operations()) == {"DescribeTable"}


def test_no_credentials(both: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert error_of(both).kind is ErrorKind.ACCESS_DENIED


@pytest.mark.parametrize("wrong", [{"profile": "nobody"}, {"region": "x y"}], ids=str)
def test_what_the_configuration_names_is_wrong(both: Any, wrong: dict[str, str]) -> None:
    assert error_of(both, **wrong).kind is ErrorKind.CONFIGURATION


def test_another_worker_creates_the_tombstones_first(place: Place) -> None:
    place.replica.create()
    Replica(place.proxy.upstream.geturl(), place.replica.tombstones, "none").client.create_table(
        TableName=place.replica.tombstones,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    answers = iter([None, Refuse("ResourceNotFoundException")])

    def absent_at_first(operation: str, request: dict[str, Any]) -> Refuse | None:
        return next(answers, None) if operation == "DescribeTable" else None

    place.proxy.fault = absent_at_first
    place.open()
    assert "CreateTable" in place.proxy.operations()


def test_a_role_is_assumed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.replica.create()
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", place.proxy.upstream.geturl())
    role = "arn:aws:iam::123456789012:role/writer"
    place.open(role_arn=role, external_id="customer-7")
    assert place.proxy.keys
    assert all(key.startswith("ASIA") for key in place.proxy.keys), (
        "a temporary key, not that of the environment"
    )
