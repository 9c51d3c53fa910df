"""The cases of the sink on any store that speaks S3; its address is the fixture `s3_endpoint`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

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
from tests.s3.lakes import s3_config


class BucketCases(ContentCases):
    """Each test has a bucket of its own."""

    @pytest.fixture(autouse=True)
    def bucket(self, s3_endpoint: str) -> Iterator[None]:
        self.endpoint, self.name = s3_endpoint, f"lake-{uuid4().hex[:20]}"
        self.client: Any = boto3.client("s3", endpoint_url=s3_endpoint)
        place = {"LocationConstraint": self.client.meta.region_name}
        self.client.create_bucket(Bucket=self.name, CreateBucketConfiguration=place)
        yield
        self.client.close()

    def make_sink(self, context: SinkContext) -> Sink:
        return CONNECTOR.build(s3_config(self.endpoint, url=f"s3://{self.name}/lake"), context)

    def encode(self, batch: Batch) -> EncodedBatch:
        return encode(batch)

    def read_back(self, base: Path) -> Content:
        return content_of_files(files_of(self.client, self.name))


def files_of(client: Any, bucket: str) -> dict[str, bytes]:
    """All objects, by their keys."""
    files = {}
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for listed in page.get("Contents", ()):
            with client.get_object(Bucket=bucket, Key=listed["Key"])["Body"] as body:
                files[listed["Key"]] = body.read()
    return files
