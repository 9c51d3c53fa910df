"""When the work is done: `--until-caught-up`, and an orderly end on request."""

from cdc.core.discovery import Discovery
from cdc.core.gap_kinds import is_request, remedy
from cdc.core.lineage import Lane, LaneState, ShardEntry
from cdc.core.opening import Opening
from cdc.core.saving import Saving
from cdc.core.world import SinkEntry, SinkState, World
from cdc.ports import SavedGap

_LOOK_SECONDS = 0.2


class Finishing:
    """Watches for the end."""

    def __init__(self, world: World, saving: Saving, opening: Opening, discovery: Discovery) -> None:
        self._world = world
        self._saving = saving
        self._opening = opening
        self._discovery = discovery
        self._quiet_since: float | None = None
        self._read_since: float | None = None
        self._failing_since: float | None = None
        self._deadline = 0.0

    def watch(self) -> None:
        self._world.later("finish", ("", ""), _LOOK_SECONDS)

    def stop(self) -> None:
        """Reads no more, makes durable what was accepted, saves, and ends."""
        world = self._world
        if world.stopping:
            return
        world.stopping = True
        self._deadline = world.now.monotonic + world.settings.stop_seconds
        for sink in world.sinks.values():
            if sink.batches:
                self._opening.flush(sink)
        self.watch()

    def look(self) -> None:
        if self._world.stopping:
            self._look_for_rest()
        else:
            self._look_for_the_end()
        if not self._world.stopped:
            self.watch()

    def _look_for_rest(self) -> None:
        world = self._world
        late = world.now.monotonic >= self._deadline
        resting = all(sink.batches == 0 or not sink.is_open for sink in world.sinks.values())
        if resting or late:
            self._saving.save()
        if self._saving.clean and (resting or late):
            world.stop(0, "stopped")
        elif world.now.monotonic >= self._deadline + 1.0:
            world.stop(1, "the positions could not be saved before the end", "look at the state store")

    def _look_for_the_end(self) -> None:
        world = self._world
        now = world.now.monotonic
        behind = False
        for sink in world.sinks.values():
            settled, read = self._sink(sink)
            behind = behind or not settled
            if read and not settled and sink.batches:
                self._opening.flush(sink, seconds=world.settings.stalled_seconds)
        halted = any(lane.state is LaneState.HALTED for lane in world.lanes()) or any(
            sink.state is SinkState.HALTED for sink in world.sinks.values()
        )
        behind = behind or self._discovery.looking or bool(world.table_errors)
        if behind or not world.lineages or not all(lineage.begun for lineage in world.lineages.values()):
            self._quiet_since = None
            self._look_for_a_stall()
            return
        if self._quiet_since is None:
            self._quiet_since = now
            for arn in world.lineages:
                self._discovery.list_all(arn)
        listed = all(self._discovery.listed_at.get(arn, -1.0) >= self._quiet_since for arn in world.lineages)
        if listed and self._saving.clean:
            waiting = self._waiting_gaps()
            if halted:
                self._stop_for_halted()
            elif waiting:
                first = waiting[0]
                what = "requested snapshots" if is_request(first) else "gaps that wait for a decision"
                number = sum(is_request(gap) == is_request(first) for gap in waiting)
                world.stop(
                    3,
                    f"caught up, but for {number} {what}: sink {first.sink}, table {first.table}: {first.reason}",
                    remedy(first),
                )
            else:
                world.stop(0, "caught up")

    def _waiting_gaps(self) -> list[SavedGap]:
        """Those that somebody has to decide about (of shards that are not here any more: else they are halted), then those
        that wait for a snapshot; the newest of each table at each sink."""
        tables = {lineage.stream.table for lineage in self._world.lineages.values()}
        newest = {
            (gap.sink, gap.table, gap.decision): gap
            for gap in sorted(self._world.gaps.values(), key=lambda gap: gap.newest_at)
            if (not gap.decision or is_request(gap)) and gap.table in tables and gap.sink in self._world.sinks
        }
        return sorted(newest.values(), key=is_request)

    def _stop_for_halted(self) -> None:
        lanes = [lane for lane in self._world.lanes() if lane.state is LaneState.HALTED]
        at_gaps = [lane for lane in lanes if lane.gap]
        sinks = [sink for sink in self._world.sinks.values() if sink.state is SinkState.HALTED]
        if sinks and not at_gaps:
            reason = sinks[0].error.message if sinks[0].error else ""
            self._world.stop(
                1, f"caught up, but for sink {sinks[0].name}, which is halted: {reason}", sinks[0].remedy
            )
            return
        first = (at_gaps or lanes)[0]
        self._world.stop(
            3 if at_gaps else 1,
            f"caught up, but for {len(at_gaps or lanes)} halted: sink {first.sink}, shard {first.shard.shard}: "
            f"{first.halted_because}",
            first.remedy,
        )

    def _look_for_a_stall(self) -> None:
        """The source is read to its end for every sink that takes what it is given, and one takes nothing."""
        world = self._world
        if self._source_fails():
            return
        stuck = [sink for sink in world.sinks.values() if not self._sink(sink)[0]]
        if not stuck or any(self._waits_for_the_source(sink) for sink in stuck):
            self._read_since = None
            return
        # The time begins when nothing but sinks is waited for: until then a sink had no reason to move.
        self._read_since = self._read_since if self._read_since is not None else world.now.monotonic
        progress = max([self._read_since, *(sink.progress_at for sink in stuck)])
        if world.now.monotonic - progress < world.settings.stalled_seconds:
            return
        for sink in stuck:
            hold = next((lane.hold for lane in world.lanes(sink.name) if lane.hold is not None), None)
            error = sink.error or (hold.error if hold is not None else None)
            reason = error.message if error else "it accepts nothing, or makes nothing durable"
            remedy = sink.remedy or (hold.remedy if hold is not None else "")
            world.stop(
                1,
                f"sink {sink.name} made no progress for {world.settings.stalled_seconds:.0f} s: {reason}",
                remedy or "look at the destination and start again: nothing is lost",
            )

    def _source_fails(self) -> bool:
        """A table whose stream cannot be found out, with everything else at rest, is not waited for for ever."""
        world = self._world
        if not world.table_errors or any(not self._sink(sink)[0] for sink in world.sinks.values()):
            self._failing_since = None
            return False
        now = world.now.monotonic
        self._failing_since = self._failing_since if self._failing_since is not None else now
        if now - self._failing_since >= world.settings.stalled_seconds:
            table, error = next(iter(world.table_errors.items()))
            remedy = error.remedy or "look at the table and its stream, and start again: nothing is lost"
            world.stop(1, f"table {table} could not be read: {error.message}", remedy)
        return True

    def _waits_for_the_source(self, sink: SinkEntry) -> bool:
        """It is well, and a shard of it has more to be read."""
        return sink.state is SinkState.UP and any(
            lane.state is LaneState.FLOWING
            and lane.hold is None
            and lane.tracker.clear
            and not self._quiet(entry, lane)
            for entry in self._world.entries()
            if (lane := entry.lanes.get(sink.name)) is not None
        )

    def _quiet(self, entry: ShardEntry, lane: Lane) -> bool:
        """Read to the end of an open shard, as far as one can know."""
        lasted = lane.evidence.lasted()
        return not entry.shard.closed and lasted >= self._world.settings.caught_up_seconds

    def _sink(self, sink: SinkEntry) -> tuple[bool, bool]:
        """(settled: all that can be read is durable there, read: all that can be read was given to it)."""
        settled = read = True
        if sink.state is SinkState.HALTED:
            return settled, read
        for entry in self._world.entries():
            lane = entry.lanes.get(sink.name)
            if (
                lane is None
                or lane.state in (LaneState.FINISHED, LaneState.HALTED)
                or self._blocked(entry, lane)
            ):
                continue
            quiet = self._quiet(entry, lane)
            flowing = lane.state is LaneState.FLOWING
            settled = settled and flowing and quiet and lane.tracker.clear
            read = read and ((flowing and quiet) or lane.state is LaneState.ENDING)
            if not settled and not read:
                break
        return settled, read

    def _blocked(self, entry: ShardEntry, lane: Lane) -> bool:
        """Waits behind a shard that is halted at this sink, of its own stream or of an earlier one of the table."""
        lineage = self._world.lineages[entry.stream.arn]
        above = lineage.parent(entry)
        while lane.state is LaneState.WAITING and above is not None:
            upper = above.lanes.get(lane.sink)
            if upper is not None and upper.state is LaneState.HALTED:
                return True
            above = lineage.parent(above)
        return lane.state is LaneState.WAITING and any(
            other.lanes[lane.sink].state is LaneState.HALTED
            for earlier in self._discovery.earlier_streams(lineage)
            for other in earlier.shards.values()
        )
