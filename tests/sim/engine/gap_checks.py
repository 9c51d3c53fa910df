"""What expired before a sink had it: every loss is told, and nothing is told that cannot have been."""

from collections import defaultdict

from cdc.core.gap_kinds import GapKind
from cdc.model import ShardKey
from cdc.ports import SavedGap
from tests.sim.engine.destination import Violation
from tests.sim.engine.plan import Plan
from tests.sim.engine.truth import Truth, Written
from tests.sim.engine.virtual_time import VirtualTime

_COMES_BACK = 45.0
"""A sink that was away is back after so many seconds at the latest: its tries back off."""
_QUIET = 10.0
"""A process that lives hears of something more often."""


class GapChecks:
    def __init__(self, plan: Plan, truth: Truth, time: VirtualTime) -> None:
        self._plan, self._truth, self._time = plan, truth, time
        self._day = plan.behaviour.retention_seconds
        self._told: dict[tuple[str, ShardKey], list[tuple[SavedGap, float]]] = defaultdict(list)
        """With the time (monotonic) when it was saved, again and again."""
        self._heard = time.now
        self._silences: list[tuple[float, float]] = []
        """When no process heard anything, longer than one does that lives."""
        self.count = 0

    def heard(self) -> None:
        """A process is alive."""
        now = self._time.now
        if now - self._heard > _QUIET:
            self._silences.append((self._heard, now))
        self._heard = now

    def saving(self, gap: SavedGap) -> None:
        """It is about to be durable, and only then excuses anything."""
        if not gap.shard.stream:
            return  # the sum of some that were told before
        if not self._plan.gaps:
            raise Violation("gap", f"where nothing expired: {gap.reason}", sink=gap.sink, shard=gap.shard)
        known = self._told[gap.sink, gap.shard]
        if not any((one.found_at, one.count) == (gap.found_at, gap.count) for one, _ in known):
            self.count += 1
            if not (self._lost(gap) or self._at_the_edge(gap) or self._was_away(gap.sink)):
                raise Violation(
                    "gap told", f"nothing can have been lost: {gap.reason}", sink=gap.sink, shard=gap.shard
                )
            known.append((gap, self._time.now))

    def excuses(self, sink: str, record: Written) -> bool:
        """Whether it has expired, and it is told that this sink may not get what was written until then."""
        if not self._told or not record.is_trimmed:
            return False
        return any(
            record.written_at <= told_at
            for shard in (record.shard, *self._truth.descendants(record.shard))
            for gap, told_at in self._told.get((sink, shard), ())
            if shard == record.shard or gap.kind == GapKind.PARENT_GONE
        )

    def _lost(self, gap: SavedGap) -> bool:
        """Something of the shard, or of those above it, had expired, which no one can tell was delivered by the place."""
        after = int(gap.after or 0)
        now = self._time.now
        return any(
            record.id.sequence > after and record.written_at + self._day <= now
            for record in self._truth.shard(gap.shard).records
        )

    def _at_the_edge(self, gap: SavedGap) -> bool:
        """The sink is a whole day behind on this shard, for whatever reason. Either its place has expired, and the next
        record, which it has not passed, is about to: the service refuses such a place, and does not say whether anything
        behind it has gone. Or it has nothing yet of a shard that is a day old, and was closed long ago; or not the end of one
        that was closed a day ago and is gone."""
        now, shard = self._time.now, self._truth.shard(gap.shard)
        if shard.gone_at is not None and shard.closed_at is not None and shard.closed_at + self._day <= now:
            return True
        if not gap.after:
            closed_long_ago = shard.closed_at is not None and shard.closed_at + _COMES_BACK <= now
            return closed_long_ago and shard.created_at + self._day <= now
        after = int(gap.after)
        expired = any(one.id.sequence == after and one.written_at + self._day <= now for one in shard.records)
        return expired and any(one.id.sequence > after for one in shard.records)

    def _was_away(self, sink: str) -> bool:
        """For about as long as a record lives."""
        outages = next(one.temper.outages for one in self._plan.sinks if one.name == sink)
        now = self._time.now
        spells: list[tuple[float, float]] = []
        for begin, end in sorted([*self._silences, *(one for one in outages if one[0] < now)]):
            if spells and begin - spells[-1][1] < _COMES_BACK:
                spells[-1] = (spells[-1][0], max(end, spells[-1][1]))
            else:
                spells.append((begin, end))
        return any(min(end, now) + _COMES_BACK - begin >= self._day * 0.9 for begin, end in spells)
