"""Whether the saved positions are those with which the pipeline last ran.

A state that was deleted looks like a first start, and one that was restored from a copy like any other. What tells them
apart is kept outside of the state, by a *witness*: which state it was, when it was last used, and up to when everything
was delivered. Here is only the judgement.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Remembered:
    """What the witness says.

    Args:
        states: the identities that the state may have: two while one takes the place of the other.
        epoch: the last lease's.
        ran_at: epoch seconds; when the pipeline last ran.
        delivered_until: epoch seconds; every change from before is durable at every sink. None: unknown, or a gap waited
            for a decision.
        sinks: those that have had positions.
        epochs: the reset epochs.
        damaged: the witness cannot be understood: it says that there was one, and nothing else.
    """

    states: Sequence[str]
    epoch: int
    ran_at: float
    delivered_until: float | None
    sinks: Sequence[str]
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
    lost: Sequence[str] = ()
    """The configured sinks whose positions are gone."""
    what: str = ""
    """The message without what the next run would do: for the record, once somebody has decided."""

    @property
    def exit_code(self) -> int:
        """Of a process that may not go on; 0: it may."""
        return {Finding.LOST: 3, Finding.ANOTHER: 2}.get(self.finding, 0)


def judge(
    remembered: Remembered | None,
    saved: Saved,
    *,
    pipeline: str,
    sinks: Sequence[str],
    start: str,
    now: float,
    place: str,
    witness: str,
) -> Judgement:
    """Compares what is saved with what the witness says.

    Args:
        remembered: None: there is no witness, and this is by definition a first start, or the first with one.
        saved: all that is in the state store.
        pipeline: its name.
        sinks: as configured.
        start: `source.start`.
        now: epoch seconds.
        place: where the state is, for the message.
        witness: where the witness is.
    """
    if remembered is None:
        return Judgement(Finding.RIGHT)
    settings = saved.settings or {}
    if remembered.damaged and saved.starts:
        return Judgement(Finding.RIGHT, f"{witness}: damaged; it is written anew with the next run")
    identity = settings.get(IDENTITY)
    names = {identity, *settings.get(FORMERLY, "").split()}
    if saved.starts and identity is not None and names.isdisjoint(remembered.states):
        return Judgement(
            Finding.ANOTHER,
            f"{place}: not the state with which the pipeline {pipeline} ran until {_time(remembered.ran_at)}, says {witness}",
            "put back the right one, or name it in `state`; if this one is to be used: `cdc positions export` it, and "
            "`cdc positions import --replace` what was exported",
        )
    have = {begun.sink for begun in saved.starts}
    lost = [sink for sink in sinks if (sink in remembered.sinks or remembered.damaged) and sink not in have]
    if lost:
        return _gone(remembered, lost, pipeline=pipeline, start=start, now=now, place=place)
    ran_at = _number(settings.get(RAN_AT))
    if saved.starts and (ran_at is None or ran_at < remembered.ran_at):
        of = "an unknown time" if ran_at is None else _time(ran_at)
        return Judgement(
            Finding.OLDER,
            f"{place}: the positions are those of {of}, and the pipeline {pipeline} ran until {_time(remembered.ran_at)}: "
            "an old copy; what came in between is delivered again, and what has expired since is found to be a gap",
            "nothing, if it was restored on purpose; else put back the newest state before it runs",
        )
    return Judgement(Finding.RIGHT)


def _gone(
    remembered: Remembered, lost: Sequence[str], *, pipeline: str, start: str, now: float, place: str
) -> Judgement:
    whose = f"the positions of pipeline {pipeline} at {', '.join(lost)} are gone from {place}; it ran until {_time(remembered.ran_at)}"
    until = remembered.delivered_until
    kept = until is not None and until - MARGIN_SECONDS <= now < until + RETENTION_SECONDS - MARGIN_SECONDS
    if start == "trim-horizon" and kept:
        return Judgement(
            Finding.DELIVERS_AGAIN,
            f"{whose}: everything that the stream still has is delivered again; nothing is lost",
            "nothing; if a newer copy of the state is at hand, put it back before it runs",
            lost,
            whose,
        )
    if until is None:
        reason = "how far they were is not known, or a gap waited for a decision"
    elif kept:
        reason = f"changes since {_time(until)} are passed over with `source.start: {start}`"
    else:
        reason = f"changes since {_time(until)} may have expired"
    decide = "; ".join(
        f"`cdc positions reset CONFIG --sink {sink} --to trim-horizon` (or latest)" for sink in lost
    )
    return Judgement(
        Finding.LOST,
        f"{whose}; {reason}",
        f"put the state back, or `cdc positions import CONFIG FILE` an export of it; or decide to go on without: {decide}",
        lost,
        whose if until is None else f"{whose}; delivered until {_time(until)}",
    )


def _time(epoch_seconds: float) -> str:
    if epoch_seconds <= 0:
        return "an unknown time"
    return datetime.fromtimestamp(epoch_seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
