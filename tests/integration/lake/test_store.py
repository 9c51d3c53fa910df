"""A store that speaks S3 (`s3_endpoint`), as a user has one."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest

from cdc.errors import ErrorKind, SinkError
from cdc.ports import Sink
from cdc.testing.content import content_of, once
from cdc.testing.encoding import encode
from cdc.testing.sink_run import SystemClock
from connectors.lake import CONNECTOR
from tests.integration.lake.rows import many
from tests.lake_files import content_of_files
from tests.s3.buckets import files_of, uploads_of
from tests.s3.contract import BucketCases
from tests.s3.lakes import s3_config, s3_context

pytestmark = pytest.mark.integration


class TestLake(BucketCases):
    @pytest.fixture
    def endpoint(self, s3_endpoint: str) -> str:
        return s3_endpoint


@contextmanager
def opened(endpoint: str, bucket: str, **keys: Any) -> Iterator[Sink]:
    pools: list[ThreadPoolExecutor] = []

    def executor(threads: int) -> Executor:
        pools.append(ThreadPoolExecutor(threads))
        return pools[-1]

    config = s3_config(endpoint, url=f"s3://{bucket}/lake", codec="null", **keys)
    sink = CONNECTOR.build(config, s3_context(clock=SystemClock(), executor=executor))
    try:
        sink.open()
        sink.claim([])
        yield sink
    finally:
        sink.close(deadline=30)
        for pool in pools:
            pool.shutdown()


@pytest.mark.parametrize("keys", [{}, {"checksum": "none"}], ids=["crc32", "signature-alone"])
def test_a_file_of_several_parts(s3_endpoint: str, client: Any, bucket: str, keys: Mapping[str, Any]) -> None:
    batches = many(20_000_000)
    with opened(s3_endpoint, bucket, **keys) as sink:
        for batch in batches:
            sink.write(encode(batch)).accepted.result(60)
        assert not files_of(client, bucket), "visible before it is whole"
        sink.flush(deadline=60).result(60)
        files = files_of(client, bucket)
    assert len(files) == 1
    assert once(content_of_files(files)) == once(content_of(batches))
    assert not uploads_of(client, bucket)


def test_what_a_killed_process_left_goes_with_the_next_claim(
    s3_endpoint: str, client: Any, bucket: str
) -> None:
    foreign = f"lake/orders/dt=2026-01-01/hour=00/other.lake.0123456789ab-{uuid4()}.avro"
    client.create_multipart_upload(Bucket=bucket, Key=foreign)
    command = [sys.executable, "-m", "tests.integration.lake.writer", s3_endpoint, bucket]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "uploading\n"
        process.kill()
    assert len(uploads_of(client, bucket)) == 2
    with opened(s3_endpoint, bucket):
        assert uploads_of(client, bucket) == {foreign}
    assert not files_of(client, bucket)


def test_a_bucket_that_is_not_there(s3_endpoint: str) -> None:
    with pytest.raises(SinkError) as refused:
        CONNECTOR.probe(s3_config(s3_endpoint, url=f"s3://nobody-{uuid4()}"), s3_context())
    assert refused.value.kind is ErrorKind.NOT_FOUND


def test_the_probe_changes_nothing(s3_endpoint: str, client: Any, bucket: str) -> None:
    lines = CONNECTOR.probe(s3_config(s3_endpoint, url=f"s3://{bucket}/lake"), s3_context())
    assert bucket in str(lines[0])
    assert not files_of(client, bucket)
    assert not uploads_of(client, bucket)
