from collections.abc import Iterator

import pytest

from connectors.lake import in_progress, lanes
from tests.s3.lakes import SMALL, set_credentials
from tests.s3.server import S3Server, s3_server
from tests.s3.store import Store


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    set_credentials(monkeypatch)
    monkeypatch.setattr(in_progress, "BLOCK_BYTES", 200)  # a few rows are an upload of several parts
    monkeypatch.setattr(lanes, "FIRST_RETRY_SECONDS", 0.02)


@pytest.fixture
def s3() -> Iterator[S3Server]:
    with s3_server(Store(least_part_bytes=SMALL.least_chunk_bytes, page=2)) as server:
        yield server
