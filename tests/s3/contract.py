"""The cases of the sink on any store that speaks S3; its address is the fixture `endpoint`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from cdc.connector import SinkContext
from cdc.model import Batch, EncodedBatch
from cdc.ports import Sink
from cdc.testing.content import Content
from cdc.testing.encoding import encode
from cdc.testing.sink_contract import ContentCases
from connectors.lake import CONNECTOR
from tests.lake_files import content_of_files
from tests.s3.buckets import files_of, new_bucket
from tests.s3.lakes import s3_config


class BucketCases(ContentCases):
    """Each test has a bucket of its own."""

    @pytest.fixture(autouse=True)
    def bucket(self, endpoint: str) -> Iterator[None]:
        self.endpoint_url = endpoint
        self.client: Any = boto3.client("s3", endpoint_url=endpoint)
        self.name = new_bucket(self.client)
        yield
        self.client.close()

    def make_sink(self, context: SinkContext) -> Sink:
        return CONNECTOR.build(s3_config(self.endpoint_url, url=f"s3://{self.name}/lake"), context)

    def encode(self, batch: Batch) -> EncodedBatch:
        return encode(batch)

    def read_back(self, base: Path) -> Content:
        return content_of_files(files_of(self.client, self.name))
