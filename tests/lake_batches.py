"""Batches whose changes lie in chosen hours, and a sink to write them to."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from cdc.connector import SinkContext
from cdc.model import Batch
from cdc.ports import Clock
from cdc.testing.batches import CREATED_MS
from cdc.testing.clock import ManualClock
from connectors.lake import LakeConfig
from connectors.lake.disk import Disk
from connectors.lake.folder import LakeFolder
from connectors.lake.sink import LakeSink


def at_hours(batch: Batch, hours: Sequence[float]) -> Batch:
    """The batch with its changes made so many hours after the stream was."""
    changes = [
        msgspec.structs.replace(
            change,
            dynamodb=msgspec.structs.replace(
                change.dynamodb, approximate_creation_date_time=CREATED_MS / 1000 + hour * 3600
            ),
        )
        for change, hour in zip(batch.changes, hours, strict=True)
    ]
    return replace(batch, changes=changes)


class NoThread(Executor):
    """Runs nothing: files appear by size, at shard ends and on request alone."""

    def submit(self, *_args: Any, **_more: Any) -> "Future[Any]":
        done: Future[Any] = Future()
        done.set_result(None)
        return done


def lake_sink(
    base: Path,
    *,
    disk: Disk | None = None,
    clock: Clock | None = None,
    executor: Executor | None = None,
    settings: Mapping[str, object] | None = None,
) -> LakeSink:
    """A sink on `base/lake`, without a thread of its own unless it is given an executor."""
    config = LakeConfig.model_validate(
        {"name": "lake", "type": "lake", "url": "file:lake", **(settings or {})}
    )
    context = SinkContext(
        pipeline="pipeline",
        base=base,
        tables=["orders"],
        clock=clock if clock is not None else ManualClock(),
        executor=lambda _: executor if executor is not None else NoThread(),
        count_call=lambda _operation, _outcome: None,
    )
    return LakeSink(config, context, LakeFolder.of(config, context, disk))
