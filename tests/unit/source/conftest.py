from collections.abc import Iterator
from functools import cache

import botocore.loaders
import botocore.session
import pytest

from tests.dynamodb_streams.canned_server import CannedServer, canned_server
from tests.dynamodb_streams.sources import ENVIRONMENT

# A session reads the API's description anew: most of what these tests would take.
_shared_loader = cache(botocore.loaders.create_loader)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(botocore.session, "create_loader", _shared_loader)


@pytest.fixture
def server() -> Iterator[CannedServer]:
    with canned_server() as running:
        yield running
