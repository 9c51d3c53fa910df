from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
from moto.server import ThreadedMotoServer

from cdc.connector import SinkContext
from cdc.model import Batch, EncodedBatch
from cdc.ports import Sink
from cdc.testing.content import Content
from cdc.testing.encoding import encode
from cdc.testing.sink_contract import OutageCases
from connectors.lake import lanes
from connectors.lake.storage import Terms
from tests.lake_files import content_of_files
from tests.s3.contract import BucketCases
from tests.s3.lakes import SMALL, s3_config, s3_sink, set_credentials
from tests.s3.server import LoseRequest, S3Server, s3_server, well
from tests.s3.store import Store


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    set_credentials(monkeypatch)


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


class TestLakeOnS3(OutageCases):
    """On a store that is as strict as S3, with threads."""

    terms: ClassVar[Terms] = replace(SMALL, threads=3, memory_bytes=1e6, attempts=2)
    settings: ClassVar[Mapping[str, object]] = {}

    @pytest.fixture(autouse=True)
    def store(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        monkeypatch.setattr(lanes, "FIRST_RETRY_SECONDS", 0.01)
        with s3_server(Store(least_part_bytes=SMALL.least_chunk_bytes)) as self.server:
            yield

    server: S3Server

    def make_sink(self, context: SinkContext) -> Sink:
        return s3_sink(s3_config(self.server.url, **self.settings), context, self.terms)

    def encode(self, batch: Batch) -> EncodedBatch:
        return encode(batch)

    def read_back(self, base: Path) -> Content:
        return content_of_files(self.server.store.objects)

    def break_it(self, base: Path) -> None:
        self.server.fault = lambda _: LoseRequest()

    def mend_it(self, base: Path) -> None:
        self.server.fault = well


class TestLakeOnS3ThatIsAlwaysOutOfMemory(TestLakeOnS3):
    """Every batch waits until what it brought is on its way."""

    terms: ClassVar[Terms] = replace(TestLakeOnS3.terms, memory_bytes=1)
    settings: ClassVar[Mapping[str, object]] = {"codec": "null"}


class TestLakeOnMoto(BucketCases):
    """As it is built for users, on another implementation of the API."""

    @pytest.fixture
    def endpoint(self, moto: str) -> str:
        return moto
