from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from tests.s3.buckets import new_bucket
from tests.s3.lakes import set_credentials


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that the services have."""
    set_credentials(monkeypatch)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")


@pytest.fixture
def client(s3_endpoint: str) -> Iterator[Any]:
    made = boto3.client("s3", endpoint_url=s3_endpoint)
    yield made
    made.close()


@pytest.fixture
def bucket(client: Any) -> str:
    return new_bucket(client)
