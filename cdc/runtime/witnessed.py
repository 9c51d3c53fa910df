"""A state store with a witness: what it is told by the way of saves and renewals."""

import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

import structlog

from cdc.core.remembrance import FORMERLY, IDENTITY, RAN_AT, UNKNOWN, Known, Pair, Remembered
from cdc.core.status import Status
from cdc.errors import ErrorKind, StateError
from cdc.observe.figures import figures
from cdc.ports import Clock, Lease, Owner, Saved, SavedStart, StateChange, StateStore
from cdc.runtime.witness import NOTHING, WitnessFile

REFRESH_SECONDS = 60.0
_MOST_FORMER = 20
_log = structlog.stdlib.get_logger(__name__)


class WitnessedStore:
    """A `StateStore` that keeps a witness of itself.

    `acquire` takes an epoch above the witness's. `adopt` makes the state the pipeline's; after it, saves and renewals
    refresh the witness and the state's own time by the way.

    Args:
        store: the state store itself.
        file: the witness.
        clock: the present.
        runs: the (table, sink) that this process works for; empty: it does not run the pipeline, and decides about its
            positions alone.
    """

    def __init__(
        self, store: StateStore, file: WitnessFile, clock: Clock, *, runs: Collection[Pair] = ()
    ) -> None:
        self._store = store
        self._file = file
        self._clock = clock
        self._runs = frozenset(runs)
        self._present: Remembered | None = None
        self._awaited: frozenset[Pair] = frozenset()
        """Those that are still to begin; until then what the witness says of the time before has to stay."""
        self._due = 0.0
        self._seen: dict[Pair, Known] = {}

    def open(self) -> None:
        self._store.open()

    def close(self) -> None:
        self._store.close()

    def owner(self) -> Owner | None:
        return self._store.owner()

    def load(self) -> Saved:
        return self._store.load()

    def acquire(self, owner: Owner, *, lease_seconds: float, now: float, above: int = 0) -> Lease:
        known = self._file.read() or NOTHING
        return self._store.acquire(owner, lease_seconds=lease_seconds, now=now, above=max(above, known.epoch))

    def adopt(
        self, lease: Lease, saved: Saved, *, lost: Collection[Pair] = (), replaces: bool = False
    ) -> Saved:
        """Makes this the pipeline's state, and tells the witness. Returns what is saved then.

        The state keeps its identity, or gets one. Reset epochs are raised to those that were known before: sinks may hold
        positions of them, which must not count for later ones.

        Args:
            lease: of this process.
            saved: what the store holds, or what is to take its place.
            lost: what the witness knows, or a damaged one may have known, and the state does not: stays known.
            replaces: it is to take its place, as one transaction.
        """
        before = self._file.read()
        known = before or NOTHING
        own = (saved.settings or {}).get(IDENTITY) or uuid.uuid4().hex
        begun = _begun(saved.starts)
        self._awaited = frozenset(lost) if begun or lost else self._runs
        # What is known stays, also of sinks and tables that are not configured: it is as old as it is.
        unknown = dict.fromkeys(lost, UNKNOWN)
        unknown |= {pair: Known(stream, None) for pair, stream in begun.items()}
        self._seen = {}
        present = self._store.load() if replaces else saved
        self._present = Remembered(
            (own,),
            lease.epoch,
            self._ran_at(known.ran_at, counts=self._counts),
            {**unknown, **known.pairs},
            _highest(saved.epochs or {}, present.epochs or {}, known.epochs),
        )
        if before is not None and own not in before.states:
            # A crash between the two leaves either state, and both are the pipeline's.
            self._file.write(replace(self._present, states=(*before.states, own), ran_at=known.ran_at))
        settings = {IDENTITY: own}
        former = (saved.settings or {}).get(FORMERLY, "").split()
        if replaced := [name for name in known.states if name not in (own, *former)]:
            settings[FORMERLY] = " ".join([*former, *replaced][-_MOST_FORMER:])
        if self._counts or not begun:
            settings[RAN_AT] = repr(self._present.ran_at)
        change = with_epochs(saved, self._present.epochs)
        if replaces:
            change = _all_of(saved, change)
        self._store.save(lease, replace(change, settings={**(change.settings or {}), **settings}))
        if begun or before is not None:
            self._file.write(self._present)
        self._due = self._clock.now().monotonic + REFRESH_SECONDS
        return self._store.load()

    def saw(self, status: Status) -> None:
        """The newest status of the engine: how far every sink is."""
        waiting = {(gap.table, gap.sink) for gap in status.gaps if not gap.decision}
        waiting |= {(lane.table, lane.sink) for lane in status.lanes if lane.gap}
        streams: dict[Pair, set[str]] = {}
        for lane in status.lanes:
            streams.setdefault((lane.table, lane.sink), set()).add(lane.stream)
        found = figures(status.lanes)
        for pair in self._runs:
            stream, *others = streams.get(pair, {""})
            before = self._known(pair)
            if pair in waiting or others:
                # Who begins anew reads the newest stream alone.
                self._seen[pair] = Known(before.stream, None)
            elif pair in found and (through := found[pair].complete_through) is not None:
                same = before.stream == stream
                self._seen[pair] = Known(
                    stream, max(through, before.delivered_until or 0.0) if same else through
                )

    def _known(self, pair: Pair) -> Known:
        told = self._present.pairs.get(pair, UNKNOWN) if self._present is not None else UNKNOWN
        return self._seen.get(pair, told)

    def save(self, lease: Lease, change: StateChange) -> None:
        if self._present is None:
            self._store.save(lease, change)
            return
        begun = _begun(change.starts)
        awaited = self._awaited - begun.keys()
        counts = bool(self._runs) and not awaited
        begins = bool(change.starts or change.epochs)
        if not begins and not (counts and self._clock.now().monotonic >= self._due):
            self._store.save(lease, change)
            return
        before = self._present
        pairs = {**before.pairs, **(self._seen if counts else {})}
        for pair, stream in begun.items():
            if pairs.get(pair, UNKNOWN).stream != stream:
                pairs[pair] = self._seen[pair] = Known(stream, None)
        # A reset: what was durable has to come again, and counts only then.
        reset = {pair: known for pair, known in pairs.items() if pair[1] in (change.epochs or {})}
        pairs |= {pair: Known(known.stream, None) for pair, known in reset.items()}
        present = replace(
            before,
            ran_at=self._ran_at(before.ran_at, counts=counts),
            pairs=pairs,
            epochs=_highest(before.epochs, change.epochs or {}),
        )
        stamp = {RAN_AT: repr(present.ran_at)} if counts else {}
        # First the state: the witness never knows of a time that the state has not seen.
        self._store.save(lease, replace(change, settings={**(change.settings or {}), **stamp} or None))
        self._present, self._awaited = present, awaited
        self._due = self._clock.now().monotonic + REFRESH_SECONDS
        try:
            self._file.write(present)
        except StateError as error:
            if begins:
                raise
            # A witness that is late says less than it could, and nothing wrong: the run goes on.
            _log.warning("witness-not-written", reason=error.message, remedy=error.remedy)

    def renew(self, lease: Lease, *, now: float, admin: str = "") -> None:
        self._store.renew(lease, now=now, admin=admin)
        if self._present is not None and self._counts and self._clock.now().monotonic >= self._due:
            self.save(lease, StateChange())

    def release(self, lease: Lease) -> None:
        if self._present is not None and self._counts:
            self._due = 0.0
            try:
                self.save(lease, StateChange())
            except StateError as error:
                if error.kind is not ErrorKind.NOT_OWNER:  # then it is the successor's
                    _log.warning("last-run-not-saved", reason=error.message, remedy=error.remedy)
        self._store.release(lease)

    @property
    def _counts(self) -> bool:
        """The pipeline runs with this state, and all that the witness knows has begun in it."""
        return bool(self._runs) and not self._awaited

    def _ran_at(self, before: float, *, counts: bool) -> float:
        """Never goes back, whatever the clock does: it tells which of two is the newer."""
        return max(before, self._clock.now().wall) if counts else before


def _begun(starts: Iterable[SavedStart]) -> dict[Pair, str]:
    """The newest stream of each."""
    in_order = sorted(starts, key=lambda start: start.started_at)
    return {(start.table, start.sink): start.stream for start in in_order}


def with_epochs(saved: Saved, epochs: Mapping[str, int]) -> StateChange:
    """What lets these positions count under reset epochs that are higher than their own."""
    own = saved.epochs or {}
    higher = {sink: epoch for sink, epoch in epochs.items() if epoch > own.get(sink, 0)}
    cursors = [
        replace(cursor, position=replace(cursor.position, epoch=higher[cursor.sink]))
        for cursor in saved.cursors
        if cursor.sink in higher and cursor.position.epoch == own.get(cursor.sink, 0)
    ]
    return StateChange(cursors, epochs=higher or None)


def _all_of(saved: Saved, change: StateChange) -> StateChange:
    """The whole of it, with the change on top, instead of whatever there is."""
    cursors = {(cursor.sink, cursor.shard): cursor for cursor in (*saved.cursors, *change.cursors)}
    return StateChange(
        list(cursors.values()),
        saved.starts,
        saved.gaps,
        saved.settings,
        {**(saved.epochs or {}), **(change.epochs or {})} or None,
        replace_all=True,
    )


def _highest(*all_epochs: Mapping[str, int]) -> dict[str, int]:
    return {
        sink: max(epochs.get(sink, 0) for epochs in all_epochs)
        for sink in {sink for epochs in all_epochs for sink in epochs}
    }
