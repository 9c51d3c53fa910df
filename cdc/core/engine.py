"""The engine: one event in, the commands that follow from it out."""

from collections.abc import Mapping, Sequence
from typing import assert_never

from cdc.core import messages as m
from cdc.core.delivery import Delivery
from cdc.core.discovery import Discovery
from cdc.core.finishing import Finishing
from cdc.core.gap_kinds import GapKind
from cdc.core.gaps import Gaps
from cdc.core.halting import halt
from cdc.core.lineage import Lane, LaneState, ShardEntry
from cdc.core.opening import Opening
from cdc.core.policy import Action
from cdc.core.reading import Reading
from cdc.core.saving import Saving
from cdc.core.schedule import Budget
from cdc.core.world import DueKey, Settings, SinkEntry, World
from cdc.errors import CdcError, ErrorKind
from cdc.model import Place, ShardKey
from cdc.ports import Instant, Saved


class Engine:
    """Decides what is read, given and saved, and when.

    Args:
        settings: see `Settings`.
        sinks: the names of the configured sinks.
        saved: what the state store holds; positions of sinks that are not configured any more are left alone.
        remember: settings that the pipeline began with, saved once.
    """

    def __init__(
        self,
        settings: Settings,
        sinks: Sequence[str],
        saved: Saved,
        remember: Mapping[str, str] | None = None,
    ) -> None:
        self.world = World(settings, {name: SinkEntry(name) for name in sinks})
        self.world.gaps.update({gap.key: gap for gap in saved.gaps})
        self.world.listings = Budget(settings.listings_per_second)
        self._saving = Saving(self.world)
        self._gaps = Gaps(self.world, self._saving)
        self.reading = Reading(self.world)
        self._opening = Opening(self.world, self._saving)
        self._delivery = Delivery(self.world, self._saving, self._opening)
        self._discovery = Discovery(self.world, saved, self._saving, self._gaps, self.reading)
        self._finishing = Finishing(self.world, self._saving, self._opening, self._discovery)
        self._remember = remember or {}

    def next_due(self) -> float | None:
        """The monotonic time of the next `Tick` that would do something."""
        return self.world.due.next_due()

    def handle(self, event: m.Event, now: Instant) -> list[m.Command]:
        """The commands that follow from this event, in order. After a `Stop` there are none."""
        if self.world.stopped:
            return []
        self.world.now = now
        self._dispatch(event)
        for key in list(self.world.due.pop_due(now.monotonic)):
            self._due(key)
        self._settle()
        commands, self.world.out = self.world.out, []
        return commands

    def _dispatch(self, event: m.Event) -> None:  # noqa: C901, PLR0912 - one line for each event there is
        match event:
            case m.Started():
                self._start()
            case m.Tick():
                pass
            case m.StreamsResolved():
                self._discovery.resolved(event)
            case m.ShardsListed():
                self._discovery.listed(event)
            case m.ListingFailed():
                self._discovery.listing_failed(event)
            case m.IteratorOpened():
                self.reading.opened(event)
                self.world.touch(event.reader.shard)
            case m.PageRead():
                self._page(event)
            case m.ReadFailed():
                self._read_failed(event)
            case m.SinkOpened():
                self._opening.opened(event)
            case m.SinkFailed():
                self._opening.open_failed(event)
            case m.Claimed():
                self._opening.claimed(event)
            case m.ClaimFailed():
                self._opening.claim_failed(event)
            case m.Accepted():
                self._delivery.accepted(event)
            case m.Durable():
                self._delivery.durable(event)
            case m.WriteFailed():
                self._delivery.failed(event)
            case m.Learnt():
                self._saving.remember(event.settings)
            case m.Flushed():
                self._opening.flushed(event)
            case m.LettersWritten():
                self._delivery.letters_written(event)
            case m.LettersFailed():
                self._delivery.letters_failed(event)
            case m.CursorsSaved():
                self._saving.saved(event)
                for lane in self._gaps.recorded(event.change.gaps):
                    self._discovery.begin_lane(lane)
                self._discovery.started(event.change.starts)
            case m.SaveFailed():
                self._saving.failed(event)
            case m.StopRequested():
                self._finishing.stop()
            case _:
                assert_never(event)

    def _due(self, key: DueKey) -> None:  # noqa: C901 - as above
        kind, first, second = key
        if self.world.stopping and kind not in ("save", "finish", "flush", "letters"):
            return
        match kind:
            case "shard":
                self.world.touch(ShardKey(first, second))
            case "sink":
                self._opening.try_open(first)
            case "streams":
                self._discovery.resolve()
            case "listing":
                self._discovery.list_all(first)
            case "children":
                self._discovery.look_for_children(ShardKey(first, second))
            case "save":
                self._saving.save()
            case "letters":
                self._delivery.retry_letters(int(second))
            case "flush":
                self._opening.flush_again(first)
            case "finish":
                self._finishing.look()
            case _:
                assert_never(kind)

    def _start(self) -> None:
        if self._remember:
            self._saving.remember(self._remember)
        self._discovery.resolve()
        for name in self.world.sinks:
            self._opening.try_open(name)
            self.world.sinks[name].progress_at = self.world.now.monotonic
        if self.world.settings.until_caught_up:
            self._finishing.watch()

    def _page(self, event: m.PageRead) -> None:
        entry = self.world.entry(event.reader.shard)
        if entry is None or (read := self.reading.page(event, entry)) is None:
            return  # forgotten while the call was on its way
        batch, only = read
        self.world.source_error = entry.denied_since = None
        self.world.touch(entry.key)
        if batch.end.place is Place.END:
            self._discovery.look_for_children(entry.key)
        if not self.world.stopping:
            self._delivery.offer(entry, batch, only)

    def _read_failed(self, event: m.ReadFailed) -> None:
        entry = self.world.entry(event.reader.shard)
        unknown = event.error.kind is ErrorKind.NOT_FOUND
        passing = unknown and entry is not None and self._discovery.is_there(entry)
        failed = self.reading.failed(event, passing=passing)
        if failed is None or entry is None:
            return
        rule, lanes = failed
        self.world.touch(entry.key)
        match rule.action:
            case Action.REOPEN:
                reason = event.error.kind.value
                self.world.notice("info", "iterator-reopened", shard=entry.key.shard, reason=reason)
                self._gaps.reopened(lanes, event.error)
            case Action.RETRY:
                self._read_again_later(entry.key, event.error, rule.remedy)
            case Action.GAP:
                for lane in lanes:
                    self._gone(entry, lane, event.error)
            case Action.HALT_SHARD:
                for lane in lanes:
                    halt(self.world, lane, event.error.message, rule.remedy)
            case Action.HALT_PIPELINE:
                self.world.stop(1, event.error.message, rule.remedy)
            case Action.HOLD_SHARD | Action.ISOLATE:
                raise AssertionError(
                    "a source has no batches to halve, and no shard that waits alone at one sink"
                )
            case _:
                assert_never(rule.action)

    def _read_again_later(self, shard: ShardKey, error: CdcError, remedy: str) -> None:
        self.world.source_error = error
        failures = self.reading.failures(shard)
        if failures & (failures - 1) == 0:  # the 1st, 2nd, 4th, 8th ... in a row
            self.world.notice(
                "warning",
                "read-failed",
                shard=shard.shard,
                reason=error.message,
                failures=failures,
                remedy=remedy,
            )

    def _gone(self, entry: ShardEntry, lane: Lane, error: CdcError) -> None:
        """What was to be read is gone: a gap, unless the lane owes nothing of it."""
        vanished = error.kind is ErrorKind.NOT_FOUND
        if vanished and self._gaps.owes_nothing(lane):
            self._delivery.end_unread(entry, lane)
        elif vanished or self._gaps.is_untold(lane):
            kind = GapKind.VANISHED if vanished else GapKind.TRIMMED
            self._gaps.found(lane, kind, error.message)
        else:
            lane.oldest, lane.oldest_at = lane.place, self.world.now.monotonic
            lane.isolation.end()
            self.world.notice("info", "goes-on-at-oldest", sink=lane.sink, shard=entry.key.shard)

    def _settle(self) -> None:
        """What follows on every shard where something moved: claims, children, the next reads."""
        while moved := self.world.take_moved():
            claims: dict[str, list[Lane]] = {}
            for key in moved:
                entry = self.world.entry(key)
                if entry is None:
                    continue
                lineage = self.world.lineages[key.stream]
                if any(lane.state is LaneState.FINISHED for lane in entry.lanes.values()):
                    for child in lineage.children_of(key):
                        self._discovery.begin_shard(lineage, child)
                    if len(self.world.lineages) > 1:
                        self._discovery.begin_later_streams(entry.stream)
                for lane in entry.lanes.values():
                    self._gaps.look_at_age(lane)
                    if lane.state is LaneState.UNCLAIMED:
                        claims.setdefault(lane.sink, []).append(lane)
                self.reading.plan(entry)
            for name, lanes in claims.items():
                self._opening.claim(self.world.sinks[name], lanes)
