"""A pipeline with three sinks, of which one has nothing yet, one is down and one has a gap."""

from dataclasses import replace

from cdc.core.lineage import LaneState
from cdc.core.status import LaneStatus, SinkStatus, Status
from cdc.model import BEGINNING, RETENTION_SECONDS, ShardKey, after
from cdc.ports import Owner, SavedGap

AT = 1_767_225_660.0
"""2026-01-01T00:01:00Z"""
STREAM = "arn:aws:dynamodb:eu-west-1:111122223333:table/orders/stream/2026-01-01T00:00:00.000"

OWNER = Owner("host-a", 4711, "123", "127.0.0.1:8780", AT - 2)
GAP = SavedGap(
    "lake", ShardKey(STREAM, "shardId-2"), "orders", AT - 60, "trimmed before it was read", kind="trimmed"
)


def lane(sink: str, shard: str, state: LaneState = LaneState.FLOWING, *, lag: float = 1.0) -> LaneStatus:
    return LaneStatus(
        table="orders",
        sink=sink,
        stream=STREAM,
        shard=shard,
        state=state,
        position=after("100000000000000000001"),
        lag_seconds=lag,
        headroom_seconds=RETENTION_SECONDS - lag,
        through=float(int(AT - lag - 120)),
        batches=2,
        waits_for="",
        gap=False,
        remedy="",
    )


def sink(name: str, state: str = "up") -> SinkStatus:
    return SinkStatus(name, state, "", "", delivered=10, redelivered=0, dead_letters=0, batches=4)


HALTED = replace(
    lane("lake", "shardId-2", LaneState.HALTED, lag=40_000.0),
    gap=True,
    through=None,
    position=BEGINNING,
    waits_for=GAP.reason,
    remedy="decide with `cdc positions reset`",
)

STATUS = Status(
    sinks=(
        replace(sink("bus"), redelivered=3, dead_letters=1),
        sink("lake"),
        replace(
            sink("dr", "down"), error="table orders is not there", remedy="create it", delivered=0, batches=0
        ),
    ),
    lanes=(
        lane("bus", "shardId-1", lag=3.5),
        lane("bus", "shardId-2", lag=2.0),
        lane("bus", "shardId-3", LaneState.WAITING, lag=90_000.0),
        lane("lake", "shardId-1", LaneState.ENDING),
        HALTED,
    ),
    source_error="",
    tables=("orders",),
    finished_lanes=7,
    gaps=(GAP,),
)
