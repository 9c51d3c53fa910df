"""Lakes on S3 as the tests build them."""

from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import pytest

from cdc.connector import SinkContext
from cdc.ports import Clock
from cdc.testing.clock import ManualClock
from connectors.lake import LakeConfig
from connectors.lake.s3.bucket import Bucket
from connectors.lake.s3.storage import LakeBucket, open_bucket
from connectors.lake.sink import LakeSink
from connectors.lake.storage import Names, Terms
from tests.lake_batches import NoThread

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIDTEST",
    "AWS_SECRET_ACCESS_KEY": "made-up",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "AWS_EC2_METADATA_DISABLED": "true",
}

SMALL = Terms(chunk_bytes=600, least_chunk_bytes=300, memory_bytes=4_000, attempts=3, threads=0)
"""So that a few rows are an upload of several parts; on the thread that asks."""


def set_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made-up ones, and nothing of the machine's own."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)


def s3_config(endpoint: str, **keys: Any) -> LakeConfig:
    settings = {"name": "lake", "type": "lake", "url": "s3://lake/orders-lake", "endpoint_url": endpoint}
    return LakeConfig.model_validate(settings | keys)


def s3_context(
    *,
    clock: Clock | None = None,
    executor: Callable[[int], Executor] | None = None,
    count_call: Callable[[str, str], None] | None = None,
    pipeline: str = "pipeline",
) -> SinkContext:
    return SinkContext(
        pipeline=pipeline,
        base=Path("/nowhere"),
        tables=["orders"],
        clock=clock if clock is not None else ManualClock(),
        executor=executor if executor is not None else lambda _: NoThread(),
        count_call=count_call if count_call is not None else lambda _operation, _outcome: None,
    )


def s3_sink(
    config: LakeConfig,
    context: SinkContext | None = None,
    terms: Terms = SMALL,
    *,
    connect: Callable[[], Any] | None = None,
) -> LakeSink:
    """With terms that suit a test; without threads unless they say so.

    Args:
        connect: gives the client; None: as for users.
    """
    context = context if context is not None else s3_context()
    names = Names(context.pipeline, config.name)
    bucket = open_bucket(config, context) if connect is None else Bucket(config, connect, context.count_call)
    return LakeSink(config, context, LakeBucket(bucket, names, terms))
