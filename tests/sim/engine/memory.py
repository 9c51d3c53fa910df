"""What the engine keeps, in its memory and in the state store: no more than the shards that live, and those that somebody
has not finished."""

from cdc.core.lineage import LaneState, ShardEntry
from cdc.model import ShardKey
from tests.sim.engine.destination import Violation
from tests.sim.engine.process import Process
from tests.sim.engine.truth import Truth

_LISTINGS = 8
"""After so many listings at the latest a shard that has gone is forgotten."""
_GRACE = 60.0
"""Failures of listings and of saves, and their backing off."""


class Memory:
    def __init__(self, truth: Truth) -> None:
        self._truth = truth
        self._done_with: dict[ShardKey, float] = {}
        """Shards that nothing keeps any more, and since when."""
        self._left: dict[tuple[str, ShardKey], float] = {}
        """Rows of shards that the engine has forgotten, and since when."""

    def look(self, process: Process) -> None:
        world, engine = process.engine.world, process.engine
        now = process.outside.time.now
        patience = _LISTINGS * process.settings.relist_seconds + _GRACE
        entries = {entry.key: entry for entry in world.entries()}
        done_with = {key for key, entry in entries.items() if self._is_done_with(process, entry)}
        self._done_with = {key: self._done_with.get(key, now) for key in done_with}
        for shard, since in self._done_with.items():
            if now - max(since, process.resumed_at) > patience:
                raise Violation("memory", f"{shard.shard} has gone and is not forgotten", shard=shard)
        readers = engine.reading._shards
        cursors = engine._discovery._cursors
        looks = engine._discovery._looks
        for what, kept in (
            ("readers", set(readers)),
            ("looks", set(looks)),
            ("cursors", {k for _, k in cursors}),
        ):
            for shard in kept - set(entries):
                if shard.stream in world.lineages:
                    raise Violation("memory", f"{what} of {shard.shard}, which is forgotten", shard=shard)
        if len(world.due) > 8 + 4 * (len(entries) + len(world.sinks)):
            raise Violation("memory", f"{len(world.due)} times to look at {len(entries)} shards")
        for lane in world.lanes():
            if len(lane.tracker.open) > process.settings.max_undurable_batches:
                raise Violation("memory", "batches that are not durable", sink=lane.sink, shard=lane.shard)
        self._rows(process, set(entries), now, patience)

    def _is_done_with(self, process: Process, entry: ShardEntry) -> bool:
        """It has gone, every sink has finished it, and its children are known to the state store."""
        known = self._truth.shards[entry.key]
        if known.gone_at is None or not entry.finished:
            return False
        children = (process.engine.world.entry(child) for child in known.children)
        return all(
            lane.saved or lane.state is LaneState.FINISHED
            for child in children
            if child is not None
            for lane in child.lanes.values()
        )

    def _rows(self, process: Process, known: set[ShardKey], now: float, patience: float) -> None:
        if not process.owns:
            return
        world = process.engine.world
        rows = {(cursor.sink, cursor.shard) for cursor in process.outside.state.saved.cursors}
        left = {
            row
            for row in rows
            if row[0] in world.sinks and row[1].stream in world.lineages and row[1] not in known
        }
        self._left = {row: self._left.get(row, now) for row in left}
        for (sink, shard), since in self._left.items():
            if now - max(since, process.resumed_at) > patience:
                raise Violation(
                    "memory", f"a row of {shard.shard}, which is forgotten", sink=sink, shard=shard
                )
