"""When cursors are saved: by time, at a shard's end and at the end of the process; never by count alone."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from cdc.core import policy
from cdc.core.lineage import Lane
from cdc.core.messages import CursorsSaved, Save, SaveFailed
from cdc.core.unwritten import failed_again
from cdc.core.world import DueKey, World
from cdc.model import Place, ShardKey
from cdc.ports import GapKey, SavedCursor, SavedGap, SavedStart, StateChange


class Saving:
    """Collects what has changed and saves it in one transaction, one save at a time."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._cursors: dict[tuple[str, ShardKey], Lane] = {}
        self._starts: list[SavedStart] = []
        self._gaps: dict[GapKey, SavedGap] = {}
        self._forget_gaps: list[GapKey] = []
        self._settings: dict[str, str] = {}
        self._forget: list[tuple[str, ShardKey]] = []
        self._saving = False
        self.tables: dict[str, str] = {}
        """Table name by stream ARN."""

    @property
    def clean(self) -> bool:
        """All that happened is saved."""
        return not (
            self._saving
            or self._cursors
            or self._starts
            or self._gaps
            or self._forget_gaps
            or self._settings
            or self._forget
        )

    def dirty(self, lane: Lane, *, at_once: bool = False) -> None:
        self._cursors[lane.sink, lane.shard] = lane
        self._schedule(at_once=at_once)

    def start(self, start: SavedStart) -> None:
        self._starts.append(start)
        self._schedule(at_once=True)

    def remember(self, settings: Mapping[str, str]) -> None:
        self._settings.update(settings)
        self._schedule(at_once=True)

    def gap(self, gap: SavedGap) -> None:
        """Whatever is saved from now on is saved together with it, or later."""
        self._gaps[gap.key] = gap
        self._schedule(at_once=True)

    def add_up(self, folded: Sequence[GapKey], sums: Sequence[SavedGap]) -> None:
        """These gaps are from now on in those."""
        for key in folded:
            self._gaps.pop(key, None)
        self._forget_gaps.extend(folded)
        self._gaps.update({gap.key: gap for gap in sums})
        self._schedule(at_once=False)

    def forget(self, cursors: Sequence[tuple[str, ShardKey]]) -> None:
        for key in cursors:
            self._cursors.pop(key, None)
        self._forget.extend(cursors)
        self._schedule(at_once=False)

    def _schedule(self, *, at_once: bool) -> None:
        if self._saving or self._world.unsaved is not None:
            return  # the answer schedules the next one
        key: DueKey = ("save", "", "")
        if at_once or self._world.stopping:
            self._world.due.at(key, self._world.now.monotonic)
        elif key not in self._world.due:
            self._world.later("save", ("", ""), self._world.settings.checkpoint_seconds)

    def save(self) -> None:
        """Saves everything that is not saved yet."""
        if self._saving or self.clean:
            return
        now = self._world.now
        cursors = [
            SavedCursor(
                lane.sink,
                lane.shard,
                replace(lane.tracker.durable, epoch=lane.epoch),
                self.tables.get(lane.shard.stream, ""),
                lane.kept_by_sink,
                # Where nothing was read yet a save makes nothing younger: what expires there, expires untold.
                now.wall
                - (
                    lane.unread(now, self._world.settings.iterator_seconds)
                    if lane.tracker.durable.place is Place.BEGINNING
                    else 0.0
                ),
                lane.through,
                lane.tracker.durable_created,
            )
            for lane in self._cursors.values()
        ]
        change = StateChange(
            cursors,
            self._starts,
            list(self._gaps.values()),
            self._settings or None,
            forget=self._forget,
            forget_gaps=self._forget_gaps,
        )
        self._cursors, self._starts, self._settings, self._forget = {}, [], {}, []
        self._gaps, self._forget_gaps = {}, []
        self._saving = True
        self._world.emit(Save(change))

    def saved(self, event: CursorsSaved) -> None:
        self._saving = False
        self._world.unsaved = None
        for cursor in event.change.cursors:
            lane = self._world.lane(cursor.sink, cursor.shard)
            if lane is not None:
                lane.saved = True
        if not self.clean:
            self._schedule(at_once=False)

    def failed(self, event: SaveFailed) -> None:
        """Nothing of it is saved: it is put back, and what has changed since is on top."""
        self._saving = False
        rule = policy.rule(policy.STATE, event.error)
        if rule.action is not policy.Action.RETRY:
            self._world.stop(1, f"state store: {event.error.message}", rule.remedy)
            return
        change = event.change
        for cursor in change.cursors:
            lane = self._world.lane(cursor.sink, cursor.shard)
            if lane is not None:
                self._cursors.setdefault((cursor.sink, cursor.shard), lane)
        self._starts = [*change.starts, *self._starts]
        forgotten = set(self._forget_gaps)
        self._gaps = {gap.key: gap for gap in change.gaps if gap.key not in forgotten} | self._gaps
        self._forget_gaps = [*change.forget_gaps, *self._forget_gaps]
        self._forget = [*change.forget, *self._forget]
        self._settings = {**(change.settings or {}), **self._settings}
        unsaved = failed_again(self._world.unsaved, event.error, self._world.now.monotonic)
        self._world.unsaved = unsaved
        self._world.notice("error", "save-failed", reason=event.error.message, remedy=rule.remedy)
        self._world.later("save", ("", ""), policy.backoff(unsaved.failures, base=0.2, most=10.0))
