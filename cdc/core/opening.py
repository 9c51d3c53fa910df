"""A sink as a whole: opening and claiming it, losing it, asking it to flush."""

from collections.abc import Iterable, Mapping

from cdc.core import policy
from cdc.core.halting import finished, halt
from cdc.core.lineage import Lane, LaneEvent, LaneState, ShardEntry
from cdc.core.messages import (
    Claim,
    Claimed,
    ClaimFailed,
    Flushed,
    FlushSink,
    OpenSink,
    SinkFailed,
    SinkOpened,
)
from cdc.core.positions import LostData, resume
from cdc.core.saving import Saving
from cdc.core.world import SinkEntry, SinkEvent, SinkState, World
from cdc.errors import CdcError
from cdc.model import Place, Position, ShardKey
from cdc.ports import SavedCursor


class Opening:
    """Brings sinks up, and takes them down."""

    def __init__(self, world: World, saving: Saving) -> None:
        self._world = world
        self._saving = saving

    def try_open(self, name: str) -> None:
        sink = self._world.sinks[name]
        if sink.state is SinkState.DOWN:
            sink.move(SinkEvent.TRY)
            self._world.emit(OpenSink(name))

    def opened(self, event: SinkOpened) -> None:
        sink = self._world.sinks[event.sink]
        sink.openings += 1
        sink.move(SinkEvent.OPENED_AGAIN if sink.failures else SinkEvent.OPENED)
        if not sink.is_open:
            return  # halted meanwhile
        self._world.notice("info", "sink-open", sink=sink.name)
        if sink.batches:
            # Lanes that still have batches here from before are claimed once those are answered for.
            self.flush(sink)
        self.claim(sink, self._world.lanes(sink.name))

    def open_failed(self, event: SinkFailed) -> None:
        sink = self._world.sinks[event.sink]
        rule = policy.of_sink(event.error, has_worked=sink.has_worked)
        if rule.action is policy.Action.RETRY:
            self.lose(sink, event.error, rule.remedy)
        else:
            self._world.stop(
                policy.exit_code(event.error), f"sink {event.sink}: {event.error.message}", rule.remedy
            )

    def claim(self, sink: SinkEntry, lanes: Iterable[Lane]) -> None:
        """Claims those lanes of the sink that may begin and have nothing on their way."""
        if not sink.is_open or self._world.stopping:
            return
        chosen = [lane for lane in lanes if lane.state is LaneState.UNCLAIMED and lane.tracker.clear]
        for lane in chosen:
            lane.move(LaneEvent.CLAIM_SENT)
        if chosen:
            self._world.emit(Claim(sink.name, [lane.shard for lane in chosen]))

    def claimed(self, event: Claimed) -> None:
        sink = self._world.sinks[event.sink]
        sink.keeps_positions = event.held is not None
        for shard in event.shards:
            lane = self._world.known_lane(event.sink, shard)
            lane.move(LaneEvent.CLAIMED if sink.is_open else LaneEvent.CLAIM_FAILED)
            if lane.state is LaneState.FLOWING:
                self._begin(lane, event)

    def _begin(self, lane: Lane, event: Claimed) -> None:
        held = event.held if event.held is not None else {}
        durable = lane.tracker.durable
        saved = (
            SavedCursor(lane.sink, lane.shard, durable, "", lane.kept_by_sink, 0.0)
            if lane.saved or lane.began
            else None
        )
        entry = self._world.entry(lane.shard)
        position = resume(
            saved=saved,
            held=held.get(lane.shard),
            sink_keeps_positions=event.held is not None,
            descendant_is_held=entry is not None and self._descendant_is_held(entry, held),
            epoch=lane.epoch,
            start=durable,
        )
        if isinstance(position, LostData):
            halt(
                self._world,
                lane,
                f"sink {lane.sink} has lost its position, and with it data that was durable there",
                "restore the destination, or decide with `cdc positions reset`",
            )
            return
        # What was never durable at the sink (an idle shard, one that `latest` passed over) it can't have lost.
        lane.kept_by_sink = lane.shard in held
        lane.began = lane.began or self._world.now
        lane.tracker.given = lane.tracker.durable = position
        if position.order == durable.order:
            lane.evidence.pause()
        else:
            lane.evidence.records()
        if not lane.saved or position.order != durable.order:
            # What is saved already stays as old as it is: the time of it says since when nobody has looked.
            self._saving.dirty(lane)
        self._world.touch(lane.shard)
        if position.place is Place.END:
            finished(self._world, lane)

    def _descendant_is_held(self, entry: ShardEntry, held: Mapping[ShardKey, Position]) -> bool:
        lineage = self._world.lineages[entry.stream.arn]
        return any(
            child.key in held or self._descendant_is_held(child, held)
            for child in lineage.children_of(entry.key)
        )

    def claim_failed(self, event: ClaimFailed) -> None:
        for shard in event.shards:
            self._world.known_lane(event.sink, shard).move(LaneEvent.CLAIM_FAILED)
        sink = self._world.sinks[event.sink]
        rule = policy.of_sink(event.error, has_worked=sink.has_worked)
        if rule.action is policy.Action.HALT_PIPELINE:
            self._world.stop(
                policy.exit_code(event.error), f"sink {event.sink}: {event.error.message}", rule.remedy
            )
        elif sink.is_open:
            self.lose(sink, event.error, rule.remedy)

    def lose(self, sink: SinkEntry, error: CdcError, remedy: str) -> None:
        """The sink is down: its lanes stop, the others' go on; it is tried again later and later."""
        if sink.state is SinkState.HALTED:
            return
        sink.move(SinkEvent.FAILED)
        sink.failures += 1
        sink.error, sink.remedy = error, remedy
        seconds = policy.backoff(sink.failures, salt=sink.name)
        self._world.notice(
            "error",
            "sink-down",
            sink=sink.name,
            reason=error.message,
            remedy=remedy,
            retry_seconds=round(seconds, 2),
        )
        for lane in self._world.lanes(sink.name):
            lane.move(LaneEvent.SINK_LOST)
        self._world.later("sink", (sink.name, ""), seconds)

    def flush(self, sink: SinkEntry, seconds: float | None = None) -> None:
        """Asks the sink to make durable what it has accepted; one request at a time."""
        if sink.flushing:
            sink.flush_again = True
        elif sink.is_open:
            sink.flushing = True
            self._world.emit(FlushSink(sink.name, seconds or self._world.settings.stop_seconds))

    def flushed(self, event: Flushed) -> None:
        sink = self._world.sinks[event.sink]
        sink.flushing = False
        again, sink.flush_again = sink.flush_again, False
        if event.error is not None:
            self._world.notice("warning", "flush-failed", sink=sink.name, reason=event.error.message)
            # Where it matters, what could not be flushed fails by its own answers.
            self._world.later("flush", (sink.name, ""), policy.backoff(1, salt=sink.name))
        elif again and sink.batches:
            self.flush(sink)

    def flush_again(self, name: str) -> None:
        """A flush failed, and nothing else may ever ask for one again."""
        sink = self._world.sinks[name]
        if sink.batches:
            self.flush(sink)
