"""What has to be true of the destinations, by the service's own log."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import StrEnum

from cdc.core.gap_kinds import GapKind
from tests.conformance.subject import Subject
from tests.conformance.world import Arrival, Destination, World, Written


class Kind(StrEnum):
    LOST = "lost"
    """A change that the stream had is passed over: later ones of its line of shards arrived, or nobody will look again."""
    HUNG = "hung"
    """A shard and all that comes after it never arrives, although it can be read."""
    REORDERED = "reordered"
    """An item's changes arrived first in another order than they were made."""
    DUPLICATED = "duplicated"
    """A change arrived twice where it must not."""
    SILENT_GAP = "silent gap"
    """Changes are gone from the service, and nothing tells that this destination misses them."""
    FALSE_ALARM = "false alarm"
    """A loss is told where there is none."""
    STOPPED = "stopped"
    """The process ended by itself, or not as it should."""
    ALTERED = "altered"
    """A value arrived as another one, or as one of another type."""
    HELD_UP = "held up"
    """A destination that was up waited for another one that was not."""
    UNBOUNDED = "unbounded"
    """What is kept grows with the shards that ever were, not with those that there are."""
    TOO_MANY_READERS = "too many readers"
    """More than two at one time on one shard, which throttles every other reader of the table."""


class Violation(AssertionError):  # noqa: N818 - a promise that was broken, not an error of this program's
    """All that is wrong, kind by kind."""

    def __init__(self, found: Mapping[Kind, Sequence[str]]) -> None:
        self.kinds = frozenset(found)
        super().__init__(
            "; ".join(
                f"{kind}: {len(found[kind])}: {', '.join(found[kind][:3])}" for kind in Kind if kind in found
            )
        )


Change = tuple[str, str, int]
"""Stream, shard, sequence number: one change."""


def changes(logged: Iterable[Written]) -> set[Change]:
    return {(one.stream, one.shard, one.sequence) for one in logged}


class Oracle:
    """Collects what is wrong; `done` raises it all at once, so that a subject fails by everything it does.

    Args:
        subject: its destinations are looked at.
        tables: whose changes are owed.
    """

    def __init__(self, subject: Subject, *, tables: Sequence[str] = (World.TABLE,)) -> None:
        self.subject = subject
        self.world = subject.world
        self._tables = tables
        self._found: dict[Kind, list[str]] = {}
        self.look_again()

    def look_again(self) -> None:
        """At the service's log as it is now; what was found wrong before stays."""
        self.log = [one for table in self._tables for one in self.world.log(table)]

    def wrong(self, kind: Kind, what: str) -> None:
        self._found.setdefault(kind, []).append(what)

    def done(self) -> None:
        """
        Raises:
            Violation: if anything was wrong.
        """
        if self._found:
            raise Violation(self._found)

    # Each check can be called for itself

    def complete(self, *, but_for: Mapping[str, set[Change]] | None = None) -> None:
        """Every change is at every destination, but those named for it; none of those that nobody wrote."""
        for destination in self.world.destinations.values():
            arrived = {_change(one) for one in destination.arrived}
            excused = (but_for or {}).get(destination.name, set())
            missing = [one for one in self.log if _of(one) not in arrived and _of(one) not in excused]
            for one in missing:
                kind = self._missing(one, arrived)
                self.wrong(kind, f"{destination.name} {one.shard[-8:]} {one.sequence}")
            for change in arrived - changes(self.log):
                self.wrong(Kind.DUPLICATED, f"{destination.name} has {change}, which nobody wrote")

    def _missing(self, one: Written, arrived: set[Change]) -> Kind:
        if one.trimmed:
            return Kind.SILENT_GAP
        item = one.item
        later = any(
            other.item == item and _of(other) in arrived for other in self.log[self.log.index(one) + 1 :]
        )
        same_shard = any(
            stream == one.stream and shard == one.shard and sequence > one.sequence
            for stream, shard, sequence in arrived
        )
        return Kind.LOST if later or same_shard else Kind.HUNG

    def none_of(self, unwanted: set[Change]) -> None:
        """What was passed over on purpose is nowhere."""
        for destination in self.world.destinations.values():
            for change in unwanted & {_change(one) for one in destination.arrived}:
                self.wrong(Kind.DUPLICATED, f"{destination.name} has {change}, which was passed over")

    def in_order(self) -> None:
        """The changes of one item arrived first in the order in which they were made, at each destination."""
        place = {_of(one): (index, one.item) for index, one in enumerate(self.log)}
        for destination in self.world.destinations.values():
            newest: dict[str, int] = {}
            seen: set[Change] = set()
            for arrival in destination.arrived:
                change = _change(arrival)
                if change in seen or change not in place:
                    continue
                seen.add(change)
                index, item = place[change]
                if index < newest.get(item, -1):
                    self.wrong(Kind.REORDERED, f"{destination.name} {item} {arrival.sequence}")
                newest[item] = max(newest.get(item, -1), index)

    def once(self, destinations: Collection[str] | None = None) -> None:
        """Nothing is twice at these destinations; None: at those that promise exactly once."""
        for destination in self.world.destinations.values():
            if destination.name in destinations if destinations is not None else destination.exactly_once:
                for change, times in repeated(destination).items():
                    self.wrong(
                        Kind.DUPLICATED, f"{destination.name} {change[1][-8:]} {change[2]} {times} times"
                    )

    def told(self, sinks: Collection[str]) -> None:
        """A loss is told for each of these sinks, and for no other."""
        self.told_at_all(sinks)
        for report in self.subject.reports():
            if report.sink not in sinks:
                self.wrong(Kind.FALSE_ALARM, f"{report.sink} {report.shard[-8:]}: {report.kind}")

    def told_at_all(self, sinks: Collection[str], *, stream: str | None = None) -> None:
        """A loss is told for each of these sinks, of this stream."""
        for sink in sorted(set(sinks) - self.told_of(stream)):
            self.wrong(Kind.SILENT_GAP, f"{sink}: nothing is told")

    def told_as(self, kind: GapKind, *, stream: str) -> None:
        """What is told of this stream is of this kind, and of no other."""
        for report in self.subject.reports():
            if report.stream == stream and report.kind != kind:
                self.wrong(Kind.FALSE_ALARM, f"{report.sink}: {report.kind} instead of {kind}")

    def told_of(self, stream: str | None = None) -> set[str]:
        """The sinks for which a loss is told, of this stream."""
        return {one.sink for one in self.subject.reports() if stream in (None, one.stream)}

    def of_stream(self, stream: str) -> set[Change]:
        return changes(one for one in self.log if one.stream == stream)


def repeated(destination: Destination) -> dict[Change, int]:
    counts = Counter(map(_change, destination.arrived))
    return {change: times for change, times in counts.items() if times > 1}


def verify(
    subject: Subject, *, once: Collection[str] | None = None, tables: Sequence[str] = (World.TABLE,)
) -> None:
    """Nothing is lost, nothing reordered, nothing twice at `once` (None: at those that promise it), no loss told.

    Raises:
        Violation: what is wrong.
    """
    oracle = Oracle(subject, tables=tables)
    oracle.complete()
    oracle.in_order()
    oracle.once(once)
    oracle.told(())
    oracle.done()


def _of(one: Written) -> Change:
    return (one.stream, one.shard, one.sequence)


def _change(arrival: Arrival) -> Change:
    return (arrival.stream, arrival.shard, arrival.sequence)
