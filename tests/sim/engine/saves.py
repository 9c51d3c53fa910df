"""What is saved, and when: one save at a time, every position soon after it is durable, and where a sink begins before
it is given anything."""

from cdc.core.lineage import Lane
from cdc.model import Position, ShardKey
from tests.sim.engine.destination import Violation
from tests.sim.engine.process import Process

_GRACE = 45.0
"""Saves that fail, in a row, and their backing off."""


class Saves:
    def __init__(self) -> None:
        self._saving: set[int] = set()
        """Processes that wait for the answer of one."""
        self._behind: dict[tuple[int, str, ShardKey], tuple[Position, float]] = {}
        """What was durable and not saved, and since when it has been so."""

    def asked(self, process: Process) -> None:
        if process.number in self._saving:
            raise Violation("two saves", "the older one may be the last to arrive")
        self._saving.add(process.number)

    def answered(self, process: Process) -> None:
        self._saving.discard(process.number)

    def look(self, process: Process) -> None:
        """Positions that are durable and not saved."""
        if not process.owns:
            return
        now = process.outside.time.now
        patience = process.settings.checkpoint_seconds + _GRACE
        saved = {(one.sink, one.shard): one.position for one in process.outside.state.saved.cursors}
        behind: dict[tuple[int, str, ShardKey], tuple[Position, float]] = {}
        for lane in process.engine.world.lanes():
            if not self._is_behind(lane, saved):
                continue
            key = (process.number, lane.sink, lane.shard)
            oldest, since = self._behind.get(key, (lane.tracker.durable, now))
            row = saved.get((lane.sink, lane.shard))
            if row is not None and oldest.order <= row.order:
                oldest, since = lane.tracker.durable, now
            behind[key] = (oldest, since)
            if now - max(since, process.resumed_at) > patience:
                raise Violation(
                    "not saved", f"{oldest} for {now - since:.0f} s", sink=lane.sink, shard=lane.shard
                )
        self._behind = behind

    def _is_behind(self, lane: Lane, saved: dict[tuple[str, ShardKey], Position]) -> bool:
        row = saved.get((lane.sink, lane.shard))
        return lane.began is not None and (row is None or row.order < lane.tracker.durable.order)
