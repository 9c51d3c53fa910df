import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from tests.command.process import eventually
from tests.s3.buckets import new_bucket
from tests.s3.lakes import set_credentials
from tests.services.server import free_port


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The URL of a store that speaks S3: S3_ENDPOINT_URL, else moto's server in a process of its own."""
    named = os.environ.get("S3_ENDPOINT_URL")
    if named:
        yield named
        return
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            eventually(lambda: _answers(url), f"moto's server at {url}")
            yield url
        finally:
            process.kill()


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


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/moto-api/", timeout=1):
            return True
    except urllib.error.URLError:
        return False
