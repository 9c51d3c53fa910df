"""A state store and dead letters in memory that fail on request."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock

from cdc.errors import CdcError, DeadLetterError, ErrorKind, StateError
from cdc.model import ShardKey
from cdc.ports import (
    DeadLetter,
    GapKey,
    Lease,
    Owner,
    Saved,
    SavedCursor,
    SavedGap,
    SavedStart,
    StateChange,
)
from cdc.testing.faults import Break, FailAfterAccept, FailAfterWrite, Faults, Operation, Refuse


@dataclass
class MemoryState:
    """What outlives a `MemoryStore`: the saved state of one pipeline, and which processes are alive.

    Every save replaces `saved` as a whole, so that a reader sees all of it or nothing.
    """

    saved: Saved = field(default_factory=Saved)
    lease: Lease | None = None
    expires: float = 0.0
    epoch: int = 0
    ended: set[tuple[str, int, str]] = field(default_factory=set)
    """(host, pid, process start) of owners that are dead."""
    lock: Lock = field(default_factory=Lock)
    """Several stores may have this state, each with its thread."""

    def end(self, owner: Owner) -> None:
        """The process of this owner ends, without a release."""
        self.ended.add((owner.host, owner.pid, owner.process_started))


class MemoryStore:
    """A `StateStore` in memory; `Faults` of `acquire`, `renew`, `load` and `save` are met."""

    def __init__(self, state: MemoryState | None = None, *, faults: Faults | None = None) -> None:
        self.state = state if state is not None else MemoryState()
        self.faults = faults if faults is not None else Faults()
        self._lease_seconds: dict[int, float] = {}

    def open(self) -> None:
        _meet(self.faults, "open", StateError)

    def acquire(self, owner: Owner, *, lease_seconds: float, now: float, above: int = 0) -> Lease:
        done = _meet(self.faults, "acquire", StateError)
        with self.state.lock:
            lease = self._acquired(owner, lease_seconds, now, above)
        done()
        return lease

    def _acquired(self, owner: Owner, lease_seconds: float, now: float, above: int) -> Lease:
        state = self.state
        if state.lease is not None:
            present = state.lease.owner
            dead_here = (present.host, present.pid, present.process_started) in state.ended
            if now < state.expires and not (dead_here and present.host == owner.host):
                raise StateError(
                    ErrorKind.NOT_OWNER,
                    f"the pipeline belongs to process {present.pid} on {present.host}",
                    remedy=f"its lease lasts {state.expires - now:.0f} s more",
                )
        state.epoch = max(state.epoch, above) + 1
        state.lease = Lease(replace(owner, heartbeat=now), state.epoch)
        state.expires = now + lease_seconds
        self._lease_seconds[state.epoch] = lease_seconds
        return state.lease

    def renew(self, lease: Lease, *, now: float, admin: str = "") -> None:
        done = _meet(self.faults, "renew", StateError)
        with self.state.lock:
            owner = self._owned(lease).owner
            self.state.lease = Lease(replace(owner, heartbeat=now, admin=admin or owner.admin), lease.epoch)
            self.state.expires = now + self._lease_seconds[lease.epoch]
        done()

    def owner(self) -> Owner | None:
        return None if self.state.lease is None else self.state.lease.owner

    def load(self) -> Saved:
        _meet(self.faults, "load", StateError)
        return self.state.saved

    def save(self, lease: Lease, change: StateChange) -> None:
        done = _meet(self.faults, "save", StateError)
        with self.state.lock:
            self._owned(lease)
            self.state.saved = _changed(self.state.saved, change)
        done()

    def release(self, lease: Lease) -> None:
        done = _meet(self.faults, "release", StateError)
        with self.state.lock:
            if self.state.lease is not None and self.state.lease.epoch == lease.epoch:
                self.state.lease = None
        done()

    def close(self) -> None:
        """Nothing is held."""

    def _owned(self, lease: Lease) -> Lease:
        present = self.state.lease
        if present is None or present.epoch != lease.epoch:
            raise StateError(ErrorKind.NOT_OWNER, "another process has taken over the pipeline")
        return present


class MemoryDeadLetters:
    """`DeadLetters` in memory; give `letters` to the next instance. `Faults` of `write` are met."""

    def __init__(
        self,
        letters: dict[tuple[str, str, ShardKey, str], DeadLetter] | None = None,
        *,
        faults: Faults | None = None,
    ) -> None:
        self.letters = letters if letters is not None else {}
        self.faults = faults if faults is not None else Faults()

    def open(self) -> None:
        _meet(self.faults, "open", DeadLetterError)

    def write(self, letters: Sequence[DeadLetter]) -> None:
        done = _meet(self.faults, "write", DeadLetterError)
        for letter in letters:
            known = self.letters.get(_name(letter))
            if known is None or known.replayed_at is not None:
                self.letters[_name(letter)] = letter
        done()

    def mark_replayed(self, letters: Sequence[DeadLetter], at: float) -> None:
        done = _meet(self.faults, "write", DeadLetterError)
        for letter in letters:
            self.letters[_name(letter)] = replace(letter, replayed_at=at)
        done()

    def read(self) -> Iterator[DeadLetter]:
        return iter(list(self.letters.values()))

    def count(self) -> Mapping[str, int]:
        counts: dict[str, int] = {}
        for letter in self.letters.values():
            counts[letter.sink] = counts.get(letter.sink, 0) + (letter.replayed_at is None)
        return counts

    def close(self) -> None:
        """Nothing is held."""


def _name(letter: DeadLetter) -> tuple[str, str, ShardKey, str]:
    return letter.pipeline, letter.sink, letter.shard, letter.sequence


def _changed(saved: Saved, change: StateChange) -> Saved:
    if change.replace_all:
        saved = Saved()
    cursors: dict[tuple[str, ShardKey], SavedCursor] = {(c.sink, c.shard): c for c in saved.cursors}
    starts: dict[tuple[str, str], SavedStart] = {(s.sink, s.stream): s for s in saved.starts}
    gaps: dict[GapKey, SavedGap] = {gap.key: gap for gap in saved.gaps}
    for forgotten in change.forget:
        cursors.pop(forgotten, None)
    cursors |= {(c.sink, c.shard): c for c in change.cursors}
    starts |= {(s.sink, s.stream): s for s in change.starts}
    for folded in change.forget_gaps:
        gaps.pop(folded, None)
    gaps |= {gap.key: gap for gap in change.gaps}
    return Saved(
        tuple(cursors.values()),
        tuple(starts.values()),
        tuple(gaps.values()),
        settings={**(saved.settings or {}), **(change.settings or {})},
        epochs={**(saved.epochs or {}), **(change.epochs or {})},
    )


def _meet(faults: Faults, operation: Operation, error: type[CdcError]) -> Callable[[], None]:
    """Raises the fault that comes before the deed; what is returned is called after it, and raises the lost answer."""
    match faults.take(operation):
        case None:
            return _well
        case Break(unknown):
            raise unknown
        case Refuse(kind) | FailAfterAccept(kind):
            raise error(kind, f"{operation} was told to fail: {kind}")
        case FailAfterWrite(kind):

            def lose_the_answer() -> None:
                raise error(kind, f"the answer of {operation} was told to get lost: {kind}")

            return lose_the_answer
        case other:
            raise AssertionError(f"{operation} knows no {other!r}")


def _well() -> None:
    """Nothing goes wrong."""
