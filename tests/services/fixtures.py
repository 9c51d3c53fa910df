"""The real services, for tests.

`kafka_bootstrap`, `dynamodb_endpoint`, `schema_registry_url` and `s3_endpoint` are the addresses of the ones that all
tests share: name topics, tables, subjects and buckets uniquely (`s3_bucket` is a new one). `kafka_broker`,
`dynamodb_local`, `schema_registry` and `s3_server` are a test's own, for it to stop, kill, pause and start again.

Without a service its tests are skipped, which `tests.services.plugin` reports loudly; with CDC_REQUIRE_SERVICES=1
they fail. A service that is named but does not answer always fails them: it was meant to be there.
"""

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn
from urllib.parse import urlsplit

import pytest

from tests.services import environment
from tests.services.dynamodb_local import DynamoDB
from tests.services.environment import DYNAMODB, ENV_FILE, KAFKA, ROOT, S3, SCHEMA_REGISTRY, Service
from tests.services.kafka import Kafka
from tests.services.s3 import S3Server, make_bucket
from tests.services.schema_registry import SchemaRegistry
from tests.services.unavailable import UnavailableError
from tests.services.way import decision

CONNECT_SECONDS = 5.0
MEMORY = Path("/dev/shm")  # noqa: S108 - Linux; in containers often a few MB only
MEMORY_BYTES = 300_000_000


@pytest.fixture(scope="session")
def kafka_bootstrap() -> str:
    """`bootstrap.servers` of a real Kafka cluster with transactions and automatic topics."""
    return _answering(KAFKA)


@pytest.fixture(scope="session")
def dynamodb_endpoint() -> str:
    """The endpoint URL of DynamoDB Local, for the `dynamodb` and the `dynamodbstreams` client."""
    return _answering(DYNAMODB)


@pytest.fixture(scope="session")
def schema_registry_url() -> str:
    """The URL of a schema registry that speaks Confluent's API."""
    return _answering(SCHEMA_REGISTRY)


@pytest.fixture(scope="session")
def s3_endpoint() -> str:
    """The endpoint URL of an S3 with conditional writes; `tests.services.s3.s3_client` has the credentials."""
    return _answering(S3)


@pytest.fixture
def s3_bucket(s3_endpoint: str) -> str:
    """A new bucket at `s3_endpoint`. It goes with the server's data; more are had by `tests.services.s3.make_bucket`."""
    return make_bucket(s3_endpoint)


@pytest.fixture
def schema_registry(tmp_path: Path) -> Iterator[SchemaRegistry]:
    """A started schema registry of this test alone; killed at its end."""
    yield from _own(SCHEMA_REGISTRY, tmp_path)


@pytest.fixture
def s3_server(tmp_path: Path) -> Iterator[S3Server]:
    """A started S3 of this test alone; killed at its end."""
    yield from _own(S3, tmp_path)


@pytest.fixture
def kafka_broker(tmp_path: Path) -> Iterator[Kafka]:
    """A started broker of this test alone; killed at its end."""
    yield from _own(KAFKA, tmp_path)


@pytest.fixture
def dynamodb_local(tmp_path: Path) -> Iterator[DynamoDB]:
    """A started DynamoDB Local of this test alone; killed at its end.

    Its data lie in memory where that can be had: it waits for the disk at every write, which makes thousands of writes
    five times as slow, and ten times where others use the disk too.
    """
    yield from _own_in_memory(DYNAMODB, tmp_path)


@pytest.fixture(scope="module")
def dynamodb_of_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DynamoDB]:
    """As `dynamodb_local`, for all tests of a file that makes thousands of calls."""
    yield from _own_in_memory(DYNAMODB, tmp_path_factory.mktemp("dynamodb"))


def _own_in_memory(service: Service, tmp_path: Path) -> Iterator[Any]:
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > MEMORY_BYTES:
        with TemporaryDirectory(dir=MEMORY) as folder:
            yield from _own(service, Path(folder))
    else:
        yield from _own(service, tmp_path)


def _own(service: Service, tmp_path: Path) -> Iterator[Any]:
    _address(service)  # a run without services starts none, and downloads nothing
    try:
        kind = decision().server(service)
        kind.prepare()
    except UnavailableError as reason:
        _absent(f"no {service.name} of this test's own: {reason}")
    directory = tmp_path / kind.__name__
    directory.mkdir()
    server = kind(directory)
    try:
        yield server.start()
    finally:
        server.discard()


def _address(service: Service) -> str:
    address = environment.address(service)
    if address is None:
        _absent(f"no {service.name}: run `make services`, or set {service.variable}")
    return address


def _absent(reason: str) -> NoReturn:
    if environment.required():
        pytest.fail(f"{reason} (CDC_REQUIRE_SERVICES=1)", pytrace=False)
    pytest.skip(reason)


def _answering(service: Service) -> str:
    address = _address(service)
    for server in address.split(","):
        parts = urlsplit(server if "://" in server else f"//{server}")
        try:
            with socket.create_connection((parts.hostname, parts.port or 443), timeout=CONNECT_SECONDS):
                return address
        except OSError:
            continue
    pytest.fail(
        f"{service.name} does not answer at {address}: set {service.variable} right, or run `make services` to renew "
        f"{ENV_FILE.relative_to(ROOT)}",
        pytrace=False,
    )
