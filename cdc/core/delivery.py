"""From a page to the cursors: giving batches to the sinks, and taking their answers."""

from collections.abc import Collection
from dataclasses import replace

from cdc.core import policy
from cdc.core.halting import finished, halt, hold
from cdc.core.letters import Letters
from cdc.core.lineage import Lane, LaneEvent, LaneState, ShardEntry
from cdc.core.messages import (
    Accepted,
    Durable,
    LettersFailed,
    LettersWritten,
    Write,
    WriteFailed,
    WriteLetters,
)
from cdc.core.opening import Opening
from cdc.core.saving import Saving
from cdc.core.tracker import Given
from cdc.core.world import SinkEntry, SinkEvent, SinkState, World
from cdc.errors import CdcError
from cdc.model import Batch, Place, Position, ShardKey, after, end_of_shard

_EVIDENCE_SHARE = 144
"""So many times in a record's life is saved how far an idle shard is known to be read: after a restart it must not look
like one that nobody read."""


class Delivery:
    """The sinks' side of every shard."""

    def __init__(self, world: World, saving: Saving, opening: Opening) -> None:
        self._world = world
        self._saving = saving
        self._opening = opening
        self._ids = 0
        self._letters = Letters(world, opening)

    # Giving

    def offer(self, entry: ShardEntry, batch: Batch, only: Collection[str] = ()) -> None:
        """Gives a page to every lane that stands within it and can take it; to these sinks `only`, if there are any."""
        now = self._world.now
        farthest = max(lane.place.order for lane in entry.lanes.values())
        for lane in entry.lanes.values():
            place = lane.place
            if lane.state is not LaneState.FLOWING or place.order < batch.start.order:
                continue
            if only and lane.sink not in only:
                continue
            if place.order < batch.end.order:
                if self._world.ready(lane) and _joins(batch, place):
                    self._give(lane, batch)
            elif (
                place.order == batch.end.order
                and not batch.changes
                and (place.order == farthest or self._has_gone(lane, entry))
            ):
                # Farther on there is nothing: another sink would be there.
                durable = lane.tracker.clear
                lane.evidence.empty_page(
                    now, durable=durable, caught_up_seconds=self._world.settings.caught_up_seconds
                )
                often = self._world.settings.retention_seconds / _EVIDENCE_SHARE
                if lane.evidence.through is not None and now.monotonic - lane.evidence.saved_at >= often:
                    lane.evidence.saved_at = now.monotonic
                    self._saving.dirty(lane)

    def _has_gone(self, lane: Lane, entry: ShardEntry) -> bool:
        """All that others had between this lane's place and theirs: it reads from the oldest record on, and theirs, which
        may be old enough to have expired, has not come."""
        now, retention = self._world.now.wall, self._world.settings.retention_seconds
        at_oldest = lane.place.place is Place.BEGINNING or lane.goes_on_at_oldest
        return at_oldest and all(
            other.goes_on_at_oldest
            or (
                other.tracker.clear
                and other.tracker.durable_created is not None
                and now - other.tracker.durable_created > retention
            )
            for other in entry.lanes.values()
            if other.place.order > lane.place.order
        )

    def _give(self, lane: Lane, page: Batch) -> None:
        sink = self._world.sinks[lane.sink]
        batch = lane.isolation.part(page.after(lane.place)) if lane.tracker.clear else page.after(lane.place)
        if lane.epoch:
            batch = replace(batch, end=replace(batch.end, epoch=lane.epoch))
        self._ids += 1
        lane.evidence.records()
        lane.wants_latest = False
        given = lane.tracker.give(self._ids, batch, self._world.now.monotonic)
        given.opening = sink.openings
        sink.batches += 1
        sink.unaccepted_bytes += given.size
        sink.starved = sink.starved or sink.unaccepted_bytes >= self._world.settings.max_unaccepted_bytes
        self._world.emit(Write(lane.sink, given.id, batch))
        if batch.end.place is Place.END:
            lane.move(LaneEvent.END_GIVEN)

    def end_unread(self, entry: ShardEntry, lane: Lane) -> None:
        """The shard expired before this sink began, or it is told: its end is all that is left to give."""
        if self._world.ready(lane):
            lane.isolation.end()
            self._give(
                lane, Batch(entry.stream, entry.key, lane.place, end_of_shard(), (), self._world.now.wall)
            )

    # Answers

    def accepted(self, event: Accepted) -> None:
        lane, given = self._find(event.sink, event.shard, event.id)
        if lane is None or given is None or given.accepted:
            return
        lane.hold = None
        self._accept(given, self._world.sinks[event.sink])
        self._world.touch(event.shard)
        sink = self._world.sinks[event.sink]
        full = len(lane.tracker.open) >= self._world.settings.max_undurable_batches
        if sink.state is SinkState.PROBING or self._world.stopping or full or lane.isolation.ends:
            self._opening.flush(sink)

    def durable(self, event: Durable) -> None:
        lane, given = self._find(event.sink, event.shard, event.id)
        if lane is None or given is None or given.delivered:
            return
        if not given.accepted:
            lane.hold = None
        self._accept(given, self._world.sinks[event.sink])
        given.delivered = True
        entry = self._world.entry(event.shard)
        if event.rejects and not given.failed and entry is not None:
            sink = self._world.sinks[event.sink]
            self._letters.write(sink, event.id, entry.stream, event.shard, event.rejects)
        else:
            self._finish(lane, given, rejects=0)

    def letters_written(self, event: LettersWritten) -> None:
        letters = self._letters.written(event)
        lane, given = self._find(event.sink, event.shard, event.id)
        if letters is None or lane is None:
            return
        if given is not None:
            self._finish(lane, given, rejects=len(letters.rejects))
        else:  # the batch came back, as the one change that is to blame
            self._pass_over(lane, letters)

    def _pass_over(self, lane: Lane, letters: WriteLetters) -> None:
        """The change that a sink refused is a dead letter: the sink is given what is left of its batch, the place."""
        sequence, isolation = letters.rejects[0].sequence, lane.isolation
        isolation.written(sequence)
        self._world.touch(lane.shard)
        # If the lane has to wait, or begins elsewhere by now, the same comes of the page that is read there.
        there = isolation.start is not None and isolation.start.order == lane.place.order
        if there and self._world.ready(lane) and not self._world.stopping:
            now = self._world.now.wall
            self._give(lane, Batch(letters.stream, lane.shard, lane.place, after(sequence), (), now))

    def letters_failed(self, event: LettersFailed) -> None:
        self._letters.failed(event)

    def retry_letters(self, id: int) -> None:  # noqa: A002 - the commands' own word
        self._letters.again(id)

    def failed(self, event: WriteFailed) -> None:
        world = self._world
        lane, given = self._find(event.sink, event.shard, event.id)
        if lane is None or given is None:
            return
        sink = world.sinks[event.sink]
        first = not given.failed
        self._accept(given, sink)
        self._answered(lane, sink)
        sink.redelivered += given.changes
        lane.tracker.fail(given)
        lane.evidence.records()
        rule = policy.of_sink(event.error, has_worked=sink.has_worked)
        if rule.action is policy.Action.HALT_PIPELINE:
            world.stop(
                policy.exit_code(event.error), f"sink {event.sink}: {event.error.message}", rule.remedy
            )
            return
        lane.move(LaneEvent.HANDED_BACK)
        if lane.state is LaneState.HALTED and rule.action is not policy.Action.RETRY:
            return  # it has stopped, and why it did stays
        if rule.action is policy.Action.HALT_SHARD:
            if first:  # the others came back with the one that is to blame
                halt(world, lane, f"sink {event.sink}: {event.error.message}", rule.remedy)
        elif rule.action is policy.Action.ISOLATE:
            if first:
                self._refused(lane, given, event.error, rule.remedy)
        elif rule.action is policy.Action.HOLD_SHARD:
            hold(world, lane, event.error, rule.remedy)
        elif first and sink.is_open and given.opening == sink.openings:
            self._opening.lose(sink, event.error, rule.remedy)

    def _refused(self, lane: Lane, given: Given, error: CdcError, remedy: str) -> None:
        """A batch that the sink will never take as it is."""
        sink, entry = self._world.sinks[lane.sink], self._world.entry(lane.shard)
        if not given.changes or entry is None:
            halt(self._world, lane, f"sink {lane.sink}: {error.message}", remedy)
            return
        if not lane.isolation.ends:
            self._world.notice(
                "warning",
                "batch-refused",
                sink=lane.sink,
                shard=lane.shard.shard,
                count=given.changes,
                reason=error.message,
            )
        lane.isolation.refused(given)
        if given.alone is not None:
            (change,) = given.alone.changes
            reject = given.alone.reject(change, error.kind, error.message)
            if self._letters.write(sink, given.id, entry.stream, lane.shard, [reject]):
                lane.isolation.blame(given.alone, given.id)
        elif not lane.tracker.clear:
            # What was given before it has to be durable first: parts are given one at a time.
            self._opening.flush(sink)

    def _accept(self, given: Given, sink: SinkEntry) -> None:
        if not given.accepted:
            given.accepted = True
            sink.unaccepted_bytes -= given.size
            if sink.starved and sink.unaccepted_bytes <= self._world.settings.max_unaccepted_bytes // 2:
                sink.starved = False
                self._world.touch_all(sink)

    def _finish(self, lane: Lane, given: Given, *, rejects: int) -> None:
        sink = self._world.sinks[lane.sink]
        self._answered(lane, sink)
        if given.failed:
            sink.redelivered += given.changes
        else:
            sink.delivered += given.changes - rejects
            if given.changes:
                lane.isolation.taken()
        moved = lane.tracker.finish(given)
        if not given.failed and given.opening == sink.openings:
            sink.move(SinkEvent.PROVED)
        if sink.state is SinkState.UP and sink.error is not None:
            self._world.notice("info", "sink-is-back", sink=sink.name)
            sink.error, sink.failures, sink.remedy = None, 0, ""
            self._world.touch_all(sink)
        if moved:
            lane.kept_by_sink = sink.keeps_positions
            sink.progress_at = self._world.now.monotonic
            self._saving.dirty(lane)
            if lane.tracker.durable.place is Place.END:
                self._end(lane)

    def _end(self, lane: Lane) -> None:
        finished(self._world, lane)
        self._saving.dirty(lane, at_once=True)
        self._world.notice("info", "shard-finished", sink=lane.sink, shard=lane.shard.shard)

    def _answered(self, lane: Lane, sink: SinkEntry) -> None:
        sink.batches -= 1
        self._world.touch(lane.shard)
        if sink.state is SinkState.PROBING and sink.batches == 0:
            # Any lane may have the batch that proves it.
            self._world.touch_all(sink)

    def _find(self, sink: str, shard: ShardKey, id: int) -> tuple[Lane | None, Given | None]:  # noqa: A002
        lane = self._world.lane(sink, shard)
        return lane, lane.tracker.find(id) if lane is not None else None


def _joins(page: Batch, place: Position) -> bool:
    """Whether nothing can have been between this place and what the page has after it. A page that was read from the
    oldest record on begins wherever that is by now: if a place has expired, only an iterator of its own tells."""
    if page.start.place is not Place.BEGINNING or place.place is Place.BEGINNING:
        return True
    return bool(page.changes) and int(page.changes[0].sequence) <= int(place.sequence)
