"""Addresses of the real services, for tests: `kafka_bootstrap` and `dynamodb_endpoint`.

Without a service its tests are skipped, which `tests.services.plugin` reports loudly; with CDC_REQUIRE_SERVICES=1
they fail. A service that is named but does not answer always fails them: it was meant to be there.
"""

import socket
from urllib.parse import urlsplit

import pytest

from tests.services import environment
from tests.services.environment import DYNAMODB, ENV_FILE, KAFKA, ROOT, Service

SERVICES_BY_FIXTURE = {"kafka_bootstrap": KAFKA, "dynamodb_endpoint": DYNAMODB}
CONNECT_SECONDS = 5.0


@pytest.fixture(scope="session")
def kafka_bootstrap() -> str:
    """`bootstrap.servers` of a real Kafka cluster with transactions and automatic topics."""
    return _answering(KAFKA)


@pytest.fixture(scope="session")
def dynamodb_endpoint() -> str:
    """The endpoint URL of DynamoDB Local, for the `dynamodb` and the `dynamodbstreams` client."""
    return _answering(DYNAMODB)


def _answering(service: Service) -> str:
    address = environment.address(service)
    if address is None:
        reason = f"no {service.name}: run `make services`, or set {service.variable}"
        if environment.required():
            pytest.fail(f"{reason} (CDC_REQUIRE_SERVICES=1)", pytrace=False)
        pytest.skip(reason)
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
