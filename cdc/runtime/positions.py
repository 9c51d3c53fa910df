"""`cdc positions`: what is saved, and the operator's decisions about it. Decisions take the lease: never beside a run."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from cdc.config import Config
from cdc.core.gap_kinds import MEANING, GapKind, is_request
from cdc.core.remembrance import Finding, Judgement
from cdc.errors import ConfigError
from cdc.model import BEGINNING, Place, Position, Shard, ShardKey, Stream, end_of_shard
from cdc.ports import Clock, Lease, Saved, SavedCursor, SavedGap, StateChange, StateStore
from cdc.process import this_process
from cdc.runtime.anew import LATEST_SLACK_SECONDS, Target, begin_anew
from cdc.runtime.assembly import judgement_of, source_of, state_of, witness_of
from cdc.runtime.witnessed import WitnessedStore


@dataclass(frozen=True, slots=True)
class ResetDone:
    sink: str
    shard: ShardKey
    to: Target
    dropped: int
    """Positions of descendants that were dropped: they come again after it."""


def load(config: Config) -> Saved:
    """What is saved, also beside a running process. Creates nothing."""
    state = state_of(config, read_only=True)
    state.open()
    try:
        return state.load()
    finally:
        state.close()


def reset(
    config: Config, *, sink: str, shard: str | None, to: Target, clock: Clock, table: str | None = None
) -> Sequence[ResetDone]:
    """Sets where a sink goes on, and records the decision about a gap there.

    `trim-horizon` is the oldest record that the stream still has: what the sink had of it comes again, and again for
    the descendants, in order. `latest` passes over everything before now. Without `shard` it is every shard of the sink
    that waits for a decision. `table` tells shards of one name apart, which emulators give.

    Raises:
        ConfigError: no such sink or shard, nothing waits for a decision, or it is another pipeline's state.
        CdcError: the pipeline runs, or the source cannot be asked for its shards.
    """
    if sink not in [configured.name for configured in config.sinks]:
        raise ConfigError(
            f"no sink {sink} in this configuration",
            remedy="one of: " + ", ".join(s.name for s in config.sinks),
        )
    judgement = judgement_of(config, saved := load(config), clock)
    if judgement.finding is Finding.ANOTHER:
        raise ConfigError(judgement.message, remedy=judgement.remedy)
    if any(pair[1] == sink and table in (None, pair[0]) for pair in judgement.lost):
        return _begin_anew(config, sink, shard, to, clock, table)
    if not saved.starts:
        raise ConfigError(
            f"the pipeline {config.pipeline} has nothing saved in {config.state.place}",
            remedy="run it first: a sink without a position begins where source.start says",
        )
    with _owned(config, clock) as (state, lease, saved, _):
        listed = _listed(config, clock)
        tables = {start.stream: start.table for start in saved.starts}
        chosen = _chosen(saved, listed, sink, shard, table, tables)
        change, done = reset_of(saved, listed, sink, chosen, to, clock.now().wall)
        state.save(lease, change)
    return done


def reset_of(
    saved: Saved,
    listed: Mapping[ShardKey, Shard],
    sink: str,
    chosen: Sequence[ShardKey],
    to: Target,
    now: float,
) -> tuple[StateChange, Sequence[ResetDone]]:
    """What a reset of these shards saves: `listed` is what the source has, `now` in epoch seconds."""
    tables = {start.stream: start.table for start in saved.starts}
    epoch = (saved.epochs or {}).get(sink, 0) + 1
    rows = {
        cursor.shard: replace(cursor, position=replace(cursor.position, epoch=epoch))
        for cursor in saved.cursors
        if cursor.sink == sink
    }
    decided: list[SavedGap] = []
    forgotten: list[ShardKey] = []
    done = []
    for key in chosen:
        dropped = (
            [child for child in _descendants(key, listed) if child in rows] if to == "trim-horizon" else []
        )
        for child in dropped:
            del rows[child]
        forgotten.extend(dropped)
        position = replace(_target(listed.get(key), to, now), epoch=epoch)
        rows[key] = SavedCursor(
            sink, key, position, tables.get(key.stream, ""), kept_by_sink=False, saved_at=now
        )
        waiting = [
            gap
            for gap in saved.gaps
            if (gap.sink, gap.shard) == (sink, key) and (not gap.decision or is_request(gap))
        ]
        by_hand = SavedGap(
            sink, key, tables.get(key.stream, ""), now, MEANING[GapKind.RESET].found, kind=GapKind.RESET.value
        )
        decided += [replace(gap, decision=f"reset to {to}", decided_at=now) for gap in waiting or [by_hand]]
        done.append(ResetDone(sink, key, to, len(dropped)))
    change = StateChange(
        cursors=list(rows.values()),
        gaps=decided,
        epochs={sink: epoch},
        forget=[(sink, key) for key in forgotten],
    )
    return change, done


def _begin_anew(
    config: Config, sink: str, shard: str | None, to: Target, clock: Clock, table: str | None
) -> Sequence[ResetDone]:
    """The decision about those tables of a sink whose positions are gone with the state; the others go on."""
    with _owned(config, clock) as (state, lease, saved, judgement):
        epoch = (saved.epochs or {}).get(sink, 0)
        gone = sorted(pair[0] for pair in judgement.lost if pair[1] == sink and table in (None, pair[0]))
        if shard is not None:
            raise ConfigError(
                f"all positions of sink {sink} on {', '.join(gone)} are gone: there is nothing to decide about one shard alone",
                remedy="leave --shard away; for a shard of another table: --table",
            )
        listed = _listed_streams(config, clock, gone)
        change = begin_anew(sink, to, listed, judgement, epoch=epoch, now=clock.now().wall)
        state.save(lease, change)
    return [ResetDone(sink, gap.shard, to, 0) for gap in change.gaps]


def _target(shard: Shard | None, to: Target, now: float) -> Position:
    if to == "trim-horizon":
        return BEGINNING
    if shard is None or shard.closed:
        return end_of_shard()
    return Position(Place.BEGINNING, not_before=now - LATEST_SLACK_SECONDS)


def _chosen(
    saved: Saved,
    listed: dict[ShardKey, Shard],
    sink: str,
    shard: str | None,
    table: str | None,
    tables: Mapping[str, str],
) -> list[ShardKey]:
    if shard is None:
        waiting = [
            gap.shard
            for gap in saved.gaps
            if gap.sink == sink and not gap.decision and table in (None, gap.table)
        ]
        if not waiting:
            raise ConfigError(f"no shard of sink {sink} waits for a decision", remedy="name one with --shard")
        return list(dict.fromkeys(waiting))
    known = {
        *listed,
        *(cursor.shard for cursor in saved.cursors),
        *(gap.shard for gap in saved.gaps if gap.shard.stream),
    }
    named = sorted(key for key in known if key.shard == shard and table in (None, tables.get(key.stream)))
    if not named:
        raise ConfigError(f"no shard {shard} is listed or saved", remedy="see `cdc positions show`")
    if len(named) > 1:
        streams = ", ".join(f"{tables.get(key.stream, '')} ({key.stream})" for key in named)
        raise ConfigError(
            f"a shard {shard} is in several streams: {streams}", remedy="say which with --table"
        )
    return named


def _listed(config: Config, clock: Clock) -> dict[ShardKey, Shard]:
    return {
        key: shard
        for shards in _listed_streams(config, clock, config.source.tables).values()
        for key, shard in shards.items()
    }


def _listed_streams(
    config: Config, clock: Clock, tables: Sequence[str]
) -> dict[Stream, dict[ShardKey, Shard]]:
    source = source_of(config, clock, lambda *_: None)
    try:
        streams = [source.stream(table) for table in tables]
        return {stream: {shard.key: shard for shard in source.shards(stream).shards} for stream in streams}
    finally:
        source.close()


def _descendants(key: ShardKey, listed: Mapping[ShardKey, Shard]) -> Iterator[ShardKey]:
    for child in listed.values():
        if child.parent == key.shard and child.key.stream == key.stream:
            yield child.key
            yield from _descendants(child.key, listed)


@contextmanager
def _owned(config: Config, clock: Clock) -> Iterator[tuple[StateStore, Lease, Saved, Judgement]]:
    """The pipeline's state as its owner; what is found is judged again, now that nobody else changes it."""
    state = WitnessedStore(state_of(config), witness_of(config), clock)
    state.open()
    try:
        lease = state.acquire(this_process(), lease_seconds=config.state.lease_seconds, now=clock.now().wall)
        try:
            saved = state.load()
            judgement = judgement_of(config, saved, clock)
            yield state, lease, state.adopt(lease, saved, lost=judgement.lost), judgement
        finally:
            state.release(lease)
    finally:
        state.close()
