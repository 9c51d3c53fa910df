"""Gaps: changes that no stream has any more, or may have had, before a sink was given them.

Everywhere else a gap is only suspected. Here it is judged, recorded, and what follows is decided (`Settings.on_gap`): the
shard halts at this sink until somebody decides, or it goes on behind the gap. It goes on only once the record is saved:
no position, neither ours nor one that the sink keeps, is ever behind a gap of which a crash could lose the record. So a
lane that is to go on is given nothing until then (`Lane.unrecorded`), and stands where it stood.

Behind a gap nothing has to be done by kind. The lane asks once more for what follows its place; what has gone by the
time of the record is told (`Lane.passed`), and the same answer of the service is then no gap: if the place expired, the
oldest record comes next; if the shard has gone, its end does, and after it its children.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from cdc.core.gap_kinds import (
    MEANING,
    SKIPPED,
    SNAPSHOT_REQUESTED,
    GapKind,
    goes_on,
    is_request,
    reason_of,
    remedy,
)
from cdc.core.halting import stop
from cdc.core.lineage import Lane, LaneState, ShardEntry
from cdc.core.saving import Saving
from cdc.core.world import World
from cdc.errors import CdcError, ErrorKind
from cdc.model import BEGINNING, Place, Position, ShardKey, after
from cdc.ports import GapKey, Instant, SavedGap


def _place(gap: SavedGap) -> Position:
    """From where what has gone is told. The sink may hold a farther place than the one that is saved, so it is not the
    lane's; and a reset begins anew."""
    on_its_way = gap.decision in (SKIPPED, SNAPSHOT_REQUESTED) and gap.after
    return after(gap.after) if on_its_way else BEGINNING


_DECISIONS = {"halt": "", "snapshot": SNAPSHOT_REQUESTED, "skip": SKIPPED}


class Gaps:
    """Finds out whether there is a gap, records it, and says what follows."""

    def __init__(self, world: World, saving: Saving) -> None:
        self._world = world
        self._saving = saving
        self._unrecorded: set[tuple[str, ShardKey]] = set()
        """(sink, shard) that are to go on once the record is saved."""
        self._at: dict[tuple[str, ShardKey], set[GapKey]] = {}
        for gap in world.gaps.values():
            self._at.setdefault((gap.sink, gap.shard), set()).add(gap.key)

    # Judging

    def is_untold(self, lane: Lane) -> bool:
        """Whether something that this lane owes may have expired from its place without anybody being told.

        Of a place after a record only a long run of empty pages says that nothing followed it, and only if that record
        itself is so old that it may expire: where the service drops what is younger, no evidence holds.
        """
        now, long_ago = self._world.now, self._world.settings.long_ago_seconds
        passed = lane.passed_here
        if passed is not None and now.monotonic - passed.monotonic <= long_ago:
            return False
        created, through = lane.tracker.durable_created, lane.through
        idle = created is not None and now.wall - created > long_ago
        return not (idle and through is not None and now.wall - through <= long_ago)

    def owes_nothing(self, lane: Lane) -> bool:
        """Whether a shard that is gone had nothing for this sink: it began too late, or what had gone is told."""
        now, long_ago = self._world.now.monotonic, self._world.settings.long_ago_seconds
        passed = lane.passed_here
        if passed is not None and now - passed.monotonic <= long_ago:
            return True
        began = lane.started if lane.started is not None else now
        return lane.place.place is Place.BEGINNING and now - began <= long_ago

    def reopened(self, lanes: Sequence[Lane], error: CdcError) -> None:
        """An iterator is to be had anew. If that is so because the oldest record expired while the iterator stood before it:
        whoever has been there for a day, and was not seen to have had everything until lately, owed that record; whoever
        began since owes what is left."""
        if error.kind is not ErrorKind.TRIMMED:
            return
        now, long_ago = self._world.now, self._world.settings.long_ago_seconds
        for lane in lanes:
            watched = lane.through is not None and now.wall - lane.through <= long_ago
            if not (lane.wants_latest or watched or self.owes_nothing(lane)):
                self.found(lane, GapKind.TRIMMED, error.message)

    def look_at_age(self, lane: Lane) -> None:
        """At the oldest record no call tells that older ones have gone. Where nobody looked for longer than a record
        lives, some may have. (After a record the service tells, whatever the time.)"""
        if (
            lane.state is LaneState.FLOWING
            and not lane.unrecorded
            and lane.place.place is Place.BEGINNING
            and self._unread(lane) > self._world.settings.retention_seconds
        ):
            self.found(lane, GapKind.UNREAD)

    def _unread(self, lane: Lane) -> float:
        return lane.unread(self._world.now, self._world.settings.iterator_seconds)

    def look_for_vanished(self, entry: ShardEntry) -> None:
        """On resume: a saved shard that is in no complete listing, and that nobody read for longer than a record lives.
        Where the sink may know better, since it keeps positions too, or nobody has seen yet whether it does, it is asked
        first."""
        if entry.listed:
            return
        for lane in entry.lanes.values():
            waits = lane.state is LaneState.WAITING and not lane.unrecorded
            old = self._unread(lane) > self._world.settings.retention_seconds
            if waits and old and lane.place.place is Place.AFTER and not lane.kept_by_sink:
                self.found(lane, GapKind.VANISHED)

    # Recording

    def found(self, lane: Lane, kind: GapKind, detail: str = "") -> None:
        """A gap at this lane: it halts, or goes on once this is saved."""
        gap = self._record(lane, kind, detail)
        if gap.decision:
            self._wait(lane)
        else:
            stop(self._world, lane, gap.reason, remedy(gap), gap=True)
        self._tell(gap)

    def left(self, sink: str, shard: ShardKey, table: str, last: str) -> None:
        """A shard of a stream that the table has no more. Told once."""
        if not self._of_left(sink, shard):
            self._tell(self._add(sink, shard, table, GapKind.STREAM_LEFT, last=last))

    def _record(self, lane: Lane, kind: GapKind, detail: str) -> SavedGap:
        table = self._saving.tables.get(lane.shard.stream, "")
        certain = kind is GapKind.NEW_TABLE or self._is_ahead(lane, kind)
        return self._add(
            lane.sink,
            lane.shard,
            table,
            kind,
            last=lane.place.sequence,
            certain=certain,
            detail=detail,
            since=self._read_until(lane),
        )

    def _is_ahead(self, lane: Lane, kind: GapKind) -> bool:
        """Another sink had a change of this shard, all of which has gone, that this one did not have."""
        entry = self._world.entry(lane.shard)
        if entry is None or kind is not GapKind.VANISHED or lane.place.place is not Place.AFTER:
            return False
        mine = int(lane.place.sequence)
        return any(int(other.tracker.durable.sequence or 0) > mine for other in entry.lanes.values())

    def _read_until(self, lane: Lane) -> float | None:
        """Epoch seconds: up to when everything is delivered, as far as anybody knows."""
        return lane.since.wall if lane.place.place is Place.BEGINNING else lane.through

    def _add(
        self,
        sink: str,
        shard: ShardKey,
        table: str,
        kind: GapKind,
        *,
        last: str = "",
        certain: bool = False,
        detail: str = "",
        since: float | None = None,
    ) -> SavedGap:
        now = self._world.now.wall
        decision = _DECISIONS[self._world.settings.on_gap]
        gap = SavedGap(
            sink,
            shard,
            table,
            now,
            reason_of(kind, certain=certain, detail=detail, since=since, now=now),
            decision,
            kind.value,
            certain,
            last,
            now if decision else None,
        )
        before = self._newest(sink, shard)
        if before is not None and decision and (before.kind, before.decision) == (kind, decision):
            gap = replace(
                gap,
                found_at=before.found_at,
                certain=certain or before.certain,
                count=before.count + 1,
                last_found_at=now,
            )
        while gap.key in self._world.gaps and gap.count == 1:  # another kind, in the same instant
            gap = replace(gap, found_at=gap.found_at + 0.001)
        self._put(gap)
        return gap

    def _newest(self, sink: str, shard: ShardKey) -> SavedGap | None:
        return max(self._here(sink, shard), key=lambda gap: gap.newest_at, default=None)

    def _here(self, sink: str, shard: ShardKey) -> list[SavedGap]:
        return [self._world.gaps[key] for key in self._at.get((sink, shard), ())]

    def _put(self, gap: SavedGap) -> None:
        self._keep(gap)
        self._saving.gap(gap)

    def _keep(self, gap: SavedGap) -> None:
        self._world.gaps[gap.key] = gap
        self._at.setdefault((gap.sink, gap.shard), set()).add(gap.key)

    def _wait(self, lane: Lane) -> None:
        lane.unrecorded = True
        self._unrecorded.add((lane.sink, lane.shard))
        lane.evidence.records()
        self._world.touch(lane.shard)

    def _tell(self, gap: SavedGap) -> None:
        fields = {"decision": gap.decision, "goes_on": goes_on(gap)} if gap.decision else {}
        self._world.notice(
            "error",
            "gap",
            sink=gap.sink,
            table=gap.table,
            shard=gap.shard.shard,
            kind=gap.kind,
            reason=gap.reason,
            **fields,
            remedy=remedy(gap),
        )

    # Going on

    def recorded(self, saved: Sequence[SavedGap]) -> Iterator[Lane]:
        """These are saved: the lanes that waited for it go on. Those that have not begun are given back."""
        now = self._world.now
        for gap in saved:
            lane = self._world.lane(gap.sink, gap.shard)
            self._unrecorded.discard((gap.sink, gap.shard))
            if lane is None or not lane.unrecorded:
                continue
            lane.unrecorded = False
            lane.passed = (_place(gap), now)
            oldest = now.wall - self._world.settings.retention_seconds
            if lane.since.wall < oldest:
                # All that it owes is what the stream still has.
                lane.since = Instant(now.monotonic - self._world.settings.retention_seconds, oldest)
            self._world.touch(lane.shard)
            if lane.state is LaneState.WAITING:
                yield lane

    def restore(self, lane: Lane) -> None:
        """What was decided at this lane, or waits for it, from an earlier process."""
        here = self._here(lane.sink, lane.shard)
        # By what waits, and only then by time: an earlier one may have been found by a clock that was wrong.
        gap = max(here, key=lambda gap: (not gap.decision, gap.newest_at), default=None)
        if gap is None:
            return
        if not gap.decision:
            stop(self._world, lane, gap.reason, remedy(gap), gap=True)
        elif (lane.sink, lane.shard) in self._unrecorded:
            if not gap.kind:
                # An earlier version did not say where.
                self._put(replace(gap, after=lane.place.sequence))
            self._wait(lane)
        else:
            at = gap.decided_at if gap.decided_at is not None else gap.newest_at
            now = self._world.now
            lane.passed = (_place(gap), Instant(now.monotonic - max(0.0, now.wall - at), at))

    def decide_waiting(self, table: str) -> None:
        """`on_gap` may be another one than when a gap of this table was found. It holds for what still waits; and
        `skip` withdraws requests for snapshots."""
        on_gap = self._world.settings.on_gap
        if on_gap == "halt":
            return
        for gap in list(self._world.gaps.values()):
            if gap.table != table or gap.sink not in self._world.sinks:
                continue
            if not gap.decision or (is_request(gap) and on_gap == "skip"):
                decided = replace(gap, decision=_DECISIONS[on_gap])
                if not gap.decision:
                    decided = replace(decided, decided_at=self._world.now.wall)
                    self._unrecorded.add((gap.sink, gap.shard))
                self._put(decided)
                self._tell(decided)

    # Keeping few

    def is_left(self, sink: str, shard: ShardKey) -> bool:
        """It was told that the shard's stream is gone, and nobody has to decide about it any more."""
        return any(gap.decision for gap in self._of_left(sink, shard))

    def _of_left(self, sink: str, shard: ShardKey) -> list[SavedGap]:
        said = MEANING[
            GapKind.STREAM_LEFT
        ].found  # by an earlier version, which had no kinds, in the same words
        return [
            gap
            for gap in self._here(sink, shard)
            if gap.kind == GapKind.STREAM_LEFT or (not gap.kind and gap.reason == said)
        ]

    def add_up(self, gone: Collection[ShardKey]) -> None:
        """Decided gaps on these shards, which will not be heard of again, are kept as sums: for each sink, table, kind and
        decision one. So there are no more rows than live shards with gaps, and a few."""
        folded: list[GapKey] = []
        sums: dict[GapKey, SavedGap] = {}
        for gap in [gap for gap in self._world.gaps.values() if gap.shard in gone and gap.decision]:
            name = ShardKey("", f"{gap.table} {gap.kind} {gap.decision}")
            alike = [
                one for one in self._here(gap.sink, name) if one.decision == gap.decision
            ]  # `skip` changes sums, too
            before = alike[0] if alike else None
            del self._world.gaps[gap.key]
            self._at[gap.sink, gap.shard].discard(gap.key)
            folded.append(gap.key)
            total = replace(
                gap,
                shard=name,
                reason=MEANING[gap.kind].found if gap.kind in MEANING else gap.reason,
                after="",
                last_found_at=gap.newest_at,
            )
            if before is not None:
                total = replace(
                    total,
                    found_at=before.found_at,
                    certain=before.certain or gap.certain,
                    count=before.count + gap.count,
                    last_found_at=max(before.newest_at, gap.newest_at),
                )
            self._keep(total)
            sums[total.key] = total
        if folded:
            self._saving.add_up(folded, list(sums.values()))
