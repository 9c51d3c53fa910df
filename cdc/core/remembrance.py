"""Whether the saved positions are those with which the pipeline last ran.

A state that was deleted looks like a first start, and one that was restored from a copy like any other. What tells them
apart is kept outside of the state, by a *witness*: which state it was, when it was last used, and for each table at each
sink from which stream everything was delivered, and up to when. Here is only the judgement.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum, auto

from cdc.model import RETENTION_SECONDS
from cdc.ports import Saved

IDENTITY = "state.identity"
"""The setting with the random name of a state."""
FORMERLY = "state.formerly"
"""The setting with the identities of the states whose place it took, between blanks: another host's witness may know only
those."""
RAN_AT = "state.ran_at"
"""The setting with the time (epoch seconds) at which the pipeline last ran with this state."""

MARGIN_SECONDS = 3600.0
"""The stream's retention has to last for so long beyond the present: for clocks that differ, and until the oldest records
are read."""

Pair = tuple[str, str]
"""A table at a sink: (table, sink)."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the witness knows of one table at one sink."""

    stream: str
    """The ARN of the stream that it was read from; empty: unknown."""
    delivered_until: float | None
    """Epoch seconds: every change from before is durable there, or was decided about, and no later one is in an older
    stream. None: unknown, or a gap waited for a decision."""


UNKNOWN = Known("", None)


@dataclass(frozen=True, slots=True)
class Remembered:
    """What the witness says.

    Args:
        states: the identities that the state may have: two while one takes the place of the other.
        epoch: the last lease's.
        ran_at: epoch seconds; when the pipeline last ran.
        pairs: those that have had positions.
        epochs: the reset epochs.
        damaged: the witness cannot be understood: it says that there was one, and nothing else.
    """

    states: Sequence[str]
    epoch: int
    ran_at: float
    pairs: Mapping[Pair, Known]
    epochs: Mapping[str, int]
    damaged: bool = False


class Finding(Enum):
    RIGHT = auto()
    """It is the state with which the pipeline last ran, or it never ran."""
    OLDER = auto()
    """It is the same, but as it was at an earlier time."""
    DELIVERS_AGAIN = auto()
    """Positions are gone, and everything since is still in the stream."""
    LOST = auto()
    """Positions are gone, and changes may be lost: somebody has to decide."""
    ANOTHER = auto()
    """It is another pipeline's, or another life's of this one."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was found; `message` and `remedy` are empty where all is right."""

    finding: Finding
    message: str = ""
    remedy: str = ""
    lost: Mapping[Pair, str] = field(default_factory=dict)
    """The configured pairs whose positions are gone, with what is known of each: for the record, once somebody has
    decided."""

    @property
    def exit_code(self) -> int:
        """Of a process that may not go on; 0: it may."""
        return {Finding.LOST: 3, Finding.ANOTHER: 2}.get(self.finding, 0)


@dataclass(frozen=True, slots=True)
class Names:
    """What messages call it."""

    pipeline: str
    place: str
    """Where the state is."""
    witness: str
    """Where the witness is."""


def judge(
    remembered: Remembered | None,
    saved: Saved,
    *,
    pairs: Sequence[Pair],
    start: str,
    now: float,
    names: Names,
    streams: Mapping[str, str] | None = None,
) -> Judgement:
    """Compares what is saved with what the witness says.

    Args:
        remembered: None: there is no witness, and this is by definition a first start, or the first with one.
        saved: all that is in the state store.
        pairs: as configured.
        start: `source.start`.
        now: epoch seconds.
        names: for the messages.
        streams: the ARN of the present stream of each table with pairs whose positions are gone. None: nobody has looked;
            then `DELIVERS_AGAIN` holds only if they are still the same.
    """
    if remembered is None:
        return Judgement(Finding.RIGHT)
    settings = saved.settings or {}
    identity = settings.get(IDENTITY)
    identities = {identity, *settings.get(FORMERLY, "").split()}
    if (
        saved.starts
        and identity is not None
        and not remembered.damaged
        and identities.isdisjoint(remembered.states)
    ):
        return Judgement(
            Finding.ANOTHER,
            f"{names.place}: not the state with which the pipeline {names.pipeline} ran until "
            f"{_time(remembered.ran_at)}, says {names.witness}",
            "put back the right one, or name it in `state`; if this one is to be used: `cdc positions export` it, and "
            "`cdc positions import --replace` what was exported",
        )
    lost = lost_pairs(remembered, saved, pairs)
    if lost:
        return _Loss(remembered, lost, start, now, names, streams).judgement()
    if remembered.damaged:
        return Judgement(Finding.RIGHT, f"{names.witness}: damaged; it is written anew with the next run")
    ran_at = _number(settings.get(RAN_AT))
    if saved.starts and (ran_at is None or ran_at < remembered.ran_at):
        of = "an unknown time" if ran_at is None else _time(ran_at)
        return Judgement(
            Finding.OLDER,
            f"{names.place}: the positions are those of {of}, and the pipeline {names.pipeline} ran until "
            f"{_time(remembered.ran_at)}: an old copy; what came in between is delivered again, and what has expired since is found to be a gap",
            "nothing, if it was restored on purpose; else put back the newest state before it runs",
        )
    return Judgement(Finding.RIGHT)


def lost_pairs(remembered: Remembered | None, saved: Saved, pairs: Sequence[Pair]) -> Sequence[Pair]:
    """Those that have had positions and have none. A damaged witness may have known each of them."""
    if remembered is None:
        return []
    have = {(begun.table, begun.sink) for begun in saved.starts}
    return [pair for pair in pairs if pair not in have and (remembered.damaged or pair in remembered.pairs)]


@dataclass(frozen=True, slots=True)
class _Loss:
    """Positions that are gone: each pair is judged by its own time and stream."""

    remembered: Remembered
    lost: Sequence[Pair]
    start: str
    now: float
    names: Names
    streams: Mapping[str, str] | None

    def judgement(self) -> Judgement:
        record = {pair: self._what(pair) for pair in self.lost}
        reasons = {pair: reason for pair in self.lost if (reason := self._reason(pair))}
        if not reasons:
            same = "" if self.streams is not None else ", as long as the stream is still the same"
            return Judgement(
                Finding.DELIVERS_AGAIN,
                f"{self._whose(self.lost)}: everything that the stream still has is delivered again; "
                f"nothing is lost{same}",
                "nothing; if a newer copy of the state is at hand, put it back before it runs",
                record,
            )
        grouped: dict[str, list[Pair]] = {}
        for pair, reason in reasons.items():
            grouped.setdefault(reason, []).append(pair)
        said = "; ".join(f"{_list(of)}: {reason}" for reason, of in grouped.items())
        return Judgement(
            Finding.LOST,
            f"{self._whose(self.lost)}; {said}",
            "put the state back, or `cdc positions import CONFIG FILE` an export of it; or decide to go on without: "
            + self._decisions(list(reasons)),
            record,
        )

    def _reason(self, pair: Pair) -> str:
        """Why changes may be lost; empty: none is."""
        known = self.remembered.pairs.get(pair, UNKNOWN)
        until = known.delivered_until
        if until is None:
            return "how far they were is not known, or a gap waited for a decision"
        if self.streams is not None and self.streams.get(pair[0]) != known.stream:
            return f"the table has a new stream, and changes since {_time(until)} may be in none"
        if not until - MARGIN_SECONDS <= self.now < until + RETENTION_SECONDS - MARGIN_SECONDS:
            return f"changes since {_time(until)} may have expired"
        if self.start != "trim-horizon":
            return f"changes since {_time(until)} are passed over with `source.start: {self.start}`"
        return ""

    def _whose(self, pairs: Sequence[Pair]) -> str:
        return (
            f"the positions of pipeline {self.names.pipeline} at {_list(pairs)} are gone from {self.names.place}; "
            f"it ran until {_time(self.remembered.ran_at)}"
        )

    def _what(self, pair: Pair) -> str:
        until = self.remembered.pairs.get(pair, UNKNOWN).delivered_until
        whose = self._whose([pair])
        return whose if until is None else f"{whose}; delivered until {_time(until)}"

    def _decisions(self, undecided: Sequence[Pair]) -> str:
        """For each sink; for each table alone where others of the sink need no decision."""
        commands: dict[str, None] = {}
        for table, sink in undecided:
            free = any(pair[1] == sink and pair not in undecided for pair in self.lost)
            which = f"--sink {sink} --table {table}" if free else f"--sink {sink}"
            commands[f"`cdc positions reset CONFIG {which} --to trim-horizon` (or latest)"] = None
        return "; ".join(commands)


def _list(pairs: Sequence[Pair]) -> str:
    by_sink: dict[str, list[str]] = {}
    for table, sink in pairs:
        by_sink.setdefault(sink, []).append(table)
    return ", ".join(f"{sink} ({', '.join(tables)})" for sink, tables in by_sink.items())


def _time(epoch_seconds: float) -> str:
    if epoch_seconds <= 0:
        return "an unknown time"
    return datetime.fromtimestamp(epoch_seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
