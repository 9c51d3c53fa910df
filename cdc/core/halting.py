"""The two ends of a lane: finished, or halted until somebody decides."""

from cdc.core.lineage import Lane, LaneEvent
from cdc.core.saving import Saving
from cdc.core.world import World


def finished(world: World, lane: Lane) -> None:
    """The end of the shard is durable at this sink."""
    lane.move(LaneEvent.END_DURABLE)
    world.touch(lane.shard)


def halt(world: World, saving: Saving, lane: Lane, reason: str, remedy: str, *, gap: bool = False) -> None:
    """This shard stops at this sink; the others go on. A gap is saved, and outlives the process."""
    lane.move(LaneEvent.HALT)
    lane.halted_because, lane.remedy, lane.gap = reason, remedy, gap
    world.touch(lane.shard)
    if gap:
        saving.gap(lane.sink, lane.shard, saving.tables.get(lane.shard.stream, ""), reason)
    world.notice(
        "error",
        "gap" if gap else "shard-halted",
        sink=lane.sink,
        shard=lane.shard.shard,
        reason=reason,
        remedy=remedy,
    )
