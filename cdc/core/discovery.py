"""Streams and shards: what there is, where each sink begins on it, and what has gone."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from cdc.core import policy
from cdc.core.gap_kinds import GapKind
from cdc.core.gaps import Gaps
from cdc.core.lineage import Lane, LaneEvent, LaneState, Lineage, ShardEntry, created_at
from cdc.core.messages import (
    ListingFailed,
    ListShards,
    ResolveStreams,
    ShardsListed,
    StreamsResolved,
)
from cdc.core.reading import Reading
from cdc.core.saving import Saving
from cdc.core.tracker import Tracker
from cdc.core.world import DueKey, DueKind, World
from cdc.errors import ErrorKind
from cdc.model import BEGINNING, Place, Position, Shard, ShardKey, Stream, end_of_shard
from cdc.ports import Instant, Saved, SavedCursor, SavedStart

_CHILDREN_ATTEMPTS = 6
"""Children can be listed later than their parent closes; after so many looks the periodic listing has to find them."""

_MANY_LOOKS = 20
_MISSING_LISTINGS = 3
"""Listings are not consistent: a shard has gone when it has been missing for as long as so many of them take."""


class Discovery:
    """Keeps the lineages true to what the source lists and the state store remembers."""

    def __init__(self, world: World, saved: Saved, saving: Saving, gaps: Gaps, reading: Reading) -> None:
        self._world = world
        self._saving = saving
        self._gaps = gaps
        self._reading = reading
        self._cursors: dict[tuple[str, ShardKey], SavedCursor] = {(c.sink, c.shard): c for c in saved.cursors}
        self._starts: dict[tuple[str, str], SavedStart] = {(s.sink, s.stream): s for s in saved.starts}
        self._unsaved_starts: set[tuple[str, str]] = set()
        self._alive: dict[tuple[str, str], float] = {}
        """(sink, stream): when a process last saved something for it, epoch seconds."""
        for cursor in saved.cursors:
            key = (cursor.sink, cursor.shard.stream)
            self._alive[key] = max(self._alive.get(key, 0.0), cursor.saved_at)
        self._epochs: Mapping[str, int] = saved.epochs or {}
        self._first_start = not saved.starts
        self._replaced: dict[tuple[str, str], GapKind] = {}
        """(sink, stream) where the stream is not the one that the sink began the table with, and what that means."""
        self._looks: dict[ShardKey, int] = {}
        self._failures: dict[str, int] = {}
        self.listing: set[str] = set()
        """Streams whose full listing is on its way."""
        self._asked_at: dict[str, float] = {}
        self.listed_at: dict[str, float] = {}
        """Monotonic: when the last full listing of each stream that was answered was asked for."""

    # Streams

    def resolve(self) -> None:
        self._world.emit(ResolveStreams())

    def resolved(self, event: StreamsResolved) -> None:
        world = self._world
        first = not world.lineages
        if first and self._wrong_from_the_start(event):
            return
        world.table_errors = dict(event.failed)
        new = [stream for stream in event.streams if stream.arn not in world.lineages]
        known = {lineage.stream.table for lineage in world.lineages.values()}
        for stream in sorted(new, key=lambda stream: stream.created_ms):
            self._adopt(stream)
        # Not of all tables at once: one may have failed at first. What is replaced later is read to its end.
        self._tell_of_left_streams([stream for stream in new if stream.table not in known])
        for table, error in event.failed.items():
            rule = policy.rule(policy.SOURCE, error)
            world.notice("error", "table-failed", table=table, reason=error.message, remedy=rule.remedy)
        failures = self._failures.get("", 0) + 1 if event.failed else 0
        self._failures[""] = failures
        relist = world.settings.relist_seconds
        world.later("streams", ("", ""), min(relist, policy.backoff(failures)) if failures else relist)

    def _wrong_from_the_start(self, event: StreamsResolved) -> bool:
        """On the first start of a pipeline every table has to be there. Later a table that fails keeps none of the
        others, and is asked for again; but where there is nothing else, what only the operator can mend ends it."""
        errors = list(event.failed.values())
        wrong = [
            error
            for error in errors
            if policy.rule(policy.SOURCE, error).action is not policy.Action.RETRY
            and error.kind is not ErrorKind.NOT_FOUND
        ]
        if self._first_start and errors:
            self._world.stop(2, errors[0].message, policy.rule(policy.SOURCE, errors[0]).remedy)
            return True
        if wrong and not event.streams:
            self._world.stop(
                policy.exit_code(wrong[0]), wrong[0].message, policy.rule(policy.SOURCE, wrong[0]).remedy
            )
            return True
        return False

    def _retry(self, what: DueKind, stream: str, reason: str, remedy: str) -> None:
        failures = self._failures.get(stream, 0) + 1
        self._failures[stream] = failures
        self._world.notice("warning", f"{what}-failed", stream=stream, reason=reason, remedy=remedy)
        self._world.later(what, (stream, ""), policy.backoff(failures, salt=stream))

    def _adopt(self, stream: Stream) -> None:
        world = self._world
        self._saving.tables[stream.arn] = stream.table
        lineage = Lineage(stream)
        for sink in world.sinks:
            self._look_at_former_streams(sink, stream)
        world.lineages[stream.arn] = lineage
        self._gaps.decide_waiting(stream.table)
        for sink, key in self._cursors:
            if key.stream == stream.arn and sink in world.sinks and key not in lineage.shards:
                self._add(lineage, Shard(key, None))
        world.notice("info", "stream", table=stream.table, stream=stream.arn, view_type=stream.view_type)
        self.list_all(stream.arn)

    def _look_at_former_streams(self, sink: str, stream: Stream) -> None:
        """Whether this sink began the table with another stream, or with another table of that name."""
        start = self._starts.get((sink, stream.arn))
        if start is not None:
            if not start.table_id and stream.table_id:
                # Saved by a version that did not know it.
                self._save_start(replace(start, table_id=stream.table_id))
            return
        saved = [one for one in self._starts.values() if one.sink == sink and one.table == stream.table]
        ids = [one.table_id for one in sorted(saved, key=lambda one: one.started_at)]
        ids += [
            other.stream.table_id
            for other in self._world.lineages.values()
            if other.stream.table == stream.table
        ]
        if ids:
            same = not stream.table_id or ids[-1] in ("", stream.table_id)
            self._replaced[sink, stream.arn] = GapKind.NEW_STREAM if same else GapKind.NEW_TABLE

    def _save_start(self, start: SavedStart) -> None:
        self._starts[start.sink, start.stream] = start
        self._unsaved_starts.add((start.sink, start.stream))
        self._saving.start(start)

    def _tell_of_left_streams(self, streams: Sequence[Stream]) -> None:
        """Streams that a sink has not read to their end and that the source does not name any more: the table has
        another one by now. What they still held is a gap, told once."""
        tables = {stream.table for stream in streams}
        named = {stream.arn for stream in streams}
        done: list[tuple[str, ShardKey]] = []
        for (sink, key), cursor in self._cursors.items():
            if key.stream in named or cursor.table not in tables or sink not in self._world.sinks:
                continue
            if cursor.position.place is Place.END or self._gaps.is_left(sink, key):
                done.append((sink, key))
            else:
                self._gaps.left(sink, key, cursor.table, cursor.position.sequence)
        if done:
            self._gaps.add_up({key for _, key in done})
            self._saving.forget(done)

    # Shards

    def list_all(self, arn: str) -> None:
        """A full listing, as soon as the budget allows it; one at a time for each stream."""
        if arn in self.listing:
            return
        self._list(arn, None, ("listing", arn, ""))

    def look_for_children(self, key: ShardKey) -> None:
        lineage = self._world.lineages[key.stream]
        if lineage.children.get(key):
            self._looks.pop(key, None)
            return
        self._looks.setdefault(key, 0)
        if len(self._looks) > _MANY_LOOKS:
            # Shards end together, too: one listing of all is less to ask for.
            self.list_all(key.stream)
        elif key.stream not in self.listing:
            self._list(key.stream, key, ("children", *key))

    @property
    def looking(self) -> bool:
        """Whether children of shards that ended are still expected."""
        return bool(self._looks)

    def _list(self, arn: str, parent: ShardKey | None, due: DueKey) -> None:
        world = self._world
        now = world.now.monotonic
        wait = world.listings.wait(now)
        if wait > 0:
            world.due.at(due, now + wait)
            return
        world.listings.spend(now)
        if parent is None:
            self.listing.add(arn)
            self._asked_at[arn] = now
        world.emit(ListShards(world.lineages[arn].stream, parent))

    def listed(self, event: ShardsListed) -> None:
        world = self._world
        world.source_error = None
        lineage = world.lineages[event.stream]
        if event.parent is None:
            self.listing.discard(event.stream)
            self._failures.pop(event.stream, None)
            world.later("listing", (event.stream, ""), world.settings.relist_seconds)
        first = not lineage.complete
        if first and not event.listing.complete:
            return
        for shard in lineage.merge(event.listing, world.now.monotonic):
            self._add(lineage, shard)
        if first:
            self._save_starts(lineage)
            for entry in lineage.shards.values():
                self._gaps.look_for_vanished(entry)
        if event.listing.complete:
            self.listed_at[event.stream] = self._asked_at.get(event.stream, 0.0)
            self.begin(lineage)
            self.begin_later_streams(lineage.stream)
            self._forget(lineage)
            self._after_listing(lineage)
        if event.parent is not None:
            # A source that can't filter answers with a whole listing.
            self._children_listed(lineage, event.parent)

    def _after_listing(self, lineage: Lineage) -> None:
        """Children that were found with it, and those that it may have missed: it can be older than the shard's end."""
        for key in [key for key in self._looks if key.stream == lineage.stream.arn]:
            if lineage.children.get(key):
                del self._looks[key]
            elif ("children", *key) not in self._world.due:
                self._look_again(key)

    def _children_listed(self, lineage: Lineage, parent: ShardKey) -> None:
        for child in lineage.children_of(parent):
            self.begin_shard(lineage, child)
        if lineage.children.get(parent):
            self._looks.pop(parent, None)
        else:
            self._look_again(parent)

    def is_there(self, entry: ShardEntry) -> bool:
        """Whether a shard that the service calls unknown is there, by what else is known: it is listed, and is still open
        or too young to have expired. The service is consistent at last, and asked again for a while; and for a listing,
        which may lack it."""
        world = self._world
        born = created_at(entry.key)
        if not entry.listed or (
            entry.shard.closed and world.now.wall - born > world.settings.long_ago_seconds
        ):
            return False
        if entry.denied_since is None:
            entry.denied_since = world.now.monotonic
        if world.now.monotonic - entry.denied_since >= _MISSING_LISTINGS * world.settings.relist_seconds:
            return False
        self.list_all(entry.stream.arn)
        return True

    def listing_failed(self, event: ListingFailed) -> None:
        rule = policy.rule(policy.SOURCE, event.error)
        if event.parent is not None:
            self._look_again(event.parent)
            return
        if event.error.kind is ErrorKind.NOT_FOUND:
            for entry in self._world.lineages[event.stream].shards.values():
                entry.listed = False
        self.listing.discard(event.stream)
        self._world.source_error = event.error
        self._retry("listing", event.stream, event.error.message, rule.remedy)

    def _look_again(self, key: ShardKey) -> None:
        looks = self._looks.get(key, 0) + 1
        if looks < _CHILDREN_ATTEMPTS:
            self._looks[key] = looks
            self._world.later("children", key, policy.backoff(looks, base=0.25, salt=key.shard))
        else:
            self._looks.pop(key, None)

    def _add(self, lineage: Lineage, shard: Shard) -> None:
        lanes = {sink: self._lane(sink, shard, lineage) for sink in self._world.sinks}
        lineage.add(shard, lanes)

    def _lane(self, sink: str, shard: Shard, lineage: Lineage) -> Lane:
        """A lane at its saved cursor, or at the start."""
        epoch = self._epochs.get(sink, 0)
        cursor = self._cursors.get((sink, shard.key))
        start = self._starts.get((sink, lineage.stream.arn))
        position = cursor.position if cursor is not None and cursor.position.epoch == epoch else None
        tracker = Tracker(position or BEGINNING, position or BEGINNING)
        lane = Lane(sink, shard.key, tracker, epoch=epoch)
        now = self._world.now
        since = now.wall  # at its start a sink owes nothing of what has expired
        if start is not None:
            lane.started = now.monotonic - max(0.0, now.wall - start.started_at)
            since = self._never_read_since(sink, shard.key, lineage)
        if position is not None and cursor is not None:
            lane.saved = True
            lane.kept_by_sink = cursor.kept_by_sink
            lane.evidence.through = cursor.through
            tracker.durable_created = cursor.last_created
            since = cursor.through or cursor.saved_at
        since = min(max(since, created_at(shard.key)), now.wall)
        lane.since = Instant(now.monotonic - (now.wall - since), since)
        self._gaps.restore(lane)
        return lane

    def _never_read_since(self, sink: str, shard: ShardKey, lineage: Lineage) -> float:
        """Epoch seconds: how old the first change may be that this sink owes of a shard without a position."""
        now, arn = self._world.now, lineage.stream.arn
        if lineage.begun:  # it was not there in the last listing; the wall clock may have jumped since
            return now.wall - (now.monotonic - self.listed_at.get(arn, now.monotonic))
        return created_at(shard) or self._alive.get((sink, arn), now.wall)

    def _save_starts(self, lineage: Lineage) -> None:
        """Saves where the new sinks begin, all shards of it at once, before anything is read."""
        world, arn = self._world, lineage.stream.arn
        new = [sink for sink in world.sinks if (sink, arn) not in self._starts]
        for entry in lineage.shards.values():
            for sink in new:
                lane = entry.lanes[sink]
                lane.at_start = True
                lane.started = world.now.monotonic
                kind = self._replaced.get((sink, arn))
                if world.settings.start == "latest" and kind is None:
                    self._begin_at_latest(lane, entry, lineage)
                self._saving.dirty(lane)
                if kind is not None and lane.state is not LaneState.HALTED:
                    self._gaps.found(lane, kind)
        for sink in new:
            stream = lineage.stream
            # All that another stream of a table has comes after what the sink had of it.
            start = world.settings.start if (sink, arn) not in self._replaced else "trim-horizon"
            self._save_start(SavedStart(sink, arn, stream.table, start, world.now.wall, stream.table_id))
        lineage.begun = not new

    def _begin_at_latest(self, lane: Lane, entry: ShardEntry, lineage: Lineage) -> None:
        """At the newest record of an open shard. The child of an open one is its descendant: at its oldest record."""
        parent = lineage.parent(entry)
        if entry.shard.closed:
            position = end_of_shard()
        elif parent is not None and not parent.shard.closed:
            return
        else:
            slack = self._world.settings.latest_slack_seconds
            position = Position(Place.BEGINNING, not_before=self._world.now.wall - slack)
            lane.wants_latest = True
        lane.tracker.given = lane.tracker.durable = position

    def started(self, starts: Sequence[SavedStart]) -> None:
        """These are saved: the lanes of a stream may begin once all of its starts are."""
        if not starts:
            return
        self._unsaved_starts -= {(start.sink, start.stream) for start in starts}
        waiting = {stream for _, stream in self._unsaved_starts}
        for lineage in self._world.lineages.values():
            if lineage.complete and not lineage.begun and lineage.stream.arn not in waiting:
                lineage.begun = True
                self.begin(lineage)

    def begin(self, lineage: Lineage) -> None:
        """Lets every waiting lane of the stream begin whose parent is finished."""
        for entry in lineage.shards.values():
            self.begin_shard(lineage, entry)

    def begin_shard(self, lineage: Lineage, entry: ShardEntry) -> None:
        for lane in entry.lanes.values():
            begins = lane.state is LaneState.WAITING and not lane.unrecorded
            if begins and lineage.may_begin(entry, lane.sink) and self._drained_before(lineage, lane.sink):
                orphan = entry.shard.parent is not None and lineage.parent(entry) is None
                if orphan and not (lane.saved or lane.at_start or lane.passed):
                    self._gaps.found(lane, GapKind.PARENT_GONE)
                    continue
                lane.move(LaneEvent.PARENT_FINISHED)
                self._world.touch(lane.shard)

    def begin_lane(self, lane: Lane) -> None:
        """A gap at a lane that had not begun is recorded: it begins, if nothing else is in its way."""
        lineage = self._world.lineages[lane.shard.stream]
        self.begin_shard(lineage, lineage.shards[lane.shard])

    def _drained_before(self, lineage: Lineage, sink: str) -> bool:
        """Whether this sink has finished every earlier stream of the table: an item's changes go on in the new one."""
        return all(
            other.begun
            and all(entry.lanes[sink].state is LaneState.FINISHED for entry in other.shards.values())
            for other in self.earlier_streams(lineage)
        )

    def earlier_streams(self, lineage: Lineage) -> Iterator[Lineage]:
        """Those that the same table had before."""
        for other in self._world.lineages.values():
            same = other.stream.table == lineage.stream.table
            if same and other.stream.created_ms < lineage.stream.created_ms:
                yield other

    def begin_later_streams(self, stream: Stream) -> None:
        """A shard of this stream was finished: it may have been what a newer stream of the table waited for."""
        for other in self._world.lineages.values():
            if other.stream.table == stream.table and other.stream.created_ms > stream.created_ms:
                self.begin(other)

    def _forget(self, lineage: Lineage) -> None:
        patience = _MISSING_LISTINGS * self._world.settings.relist_seconds
        gone = list(lineage.forgettable(self._world.now.monotonic - patience))
        self._gaps.add_up({entry.key for entry in gone})
        for entry in gone:
            lineage.remove(entry)
            for sink in entry.lanes:
                self._cursors.pop((sink, entry.key), None)
            self._reading.forget(entry.key)
            self._looks.pop(entry.key, None)
            self._saving.forget([(sink, entry.key) for sink in entry.lanes])
