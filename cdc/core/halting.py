"""A lane that stops: at its end, until somebody decides, or for a while."""

from cdc.core import policy
from cdc.core.lineage import Hold, Lane, LaneEvent
from cdc.core.world import World
from cdc.errors import CdcError


def finished(world: World, lane: Lane) -> None:
    """The end of the shard is durable at this sink."""
    lane.move(LaneEvent.END_DURABLE)
    world.touch(lane.shard)


def stop(world: World, lane: Lane, reason: str, remedy: str, *, gap: bool = False) -> None:
    """This shard stops at this sink; the others go on. Who finds a gap saves it and tells of it (`Gaps`)."""
    lane.move(LaneEvent.HALT)
    lane.hold = None
    lane.halted_because, lane.remedy, lane.gap = reason, remedy, gap
    world.touch(lane.shard)


def halt(world: World, lane: Lane, reason: str, remedy: str) -> None:
    """This shard stops at this sink in this process, and is tried again by the next one."""
    stop(world, lane, reason, remedy)
    world.notice(
        "error", "shard-halted", sink=lane.sink, shard=lane.shard.shard, reason=reason, remedy=remedy
    )


def hold(world: World, lane: Lane, error: CdcError, remedy: str) -> None:
    """This shard waits at this sink, longer with every failure in a row; its sink goes on with the others."""
    failures = (lane.hold.failures if lane.hold is not None else 0) + 1
    seconds = policy.backoff(failures, salt=lane.sink + lane.shard.shard)
    lane.hold = Hold(error, remedy, world.now.monotonic + seconds, failures)
    world.touch(lane.shard)
    if failures & (failures - 1) == 0:  # the 1st, 2nd, 4th, 8th ... in a row
        world.notice(
            "error",
            "shard-waits",
            sink=lane.sink,
            shard=lane.shard.shard,
            reason=error.message,
            remedy=remedy,
            failures=failures,
            retry_seconds=round(seconds, 2),
        )
