"""`cdc dead-letters`: what was put aside, and sending it again, through the same encoders and sinks as a run.

Sending takes the pipeline's lease: nothing else writes to its sinks and its dead letters meanwhile.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import wait
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from cdc.config import Config
from cdc.core import policy
from cdc.errors import CdcError, ConfigError, StateError
from cdc.model import Stream
from cdc.ports import Clock, DeadLetter, StateChange
from cdc.runtime.assembly import dead_letters_of, outlets_of, source_of, uncounted
from cdc.runtime.checks import remedy
from cdc.runtime.dispatch import Outlet
from cdc.runtime.ownership import owned
from cdc.runtime.registry import registry_of, remembered_registry
from cdc.runtime.resend import Heartbeat, Replayed, Sender
from cdc.runtime.workers import Workers

_CLOSE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Selection:
    """Which letters: those of these ids, or all that are open; of this sink and table only, where they are given."""

    ids: Collection[str] = ()
    sink: str | None = None
    table: str | None = None

    def has(self, letter: DeadLetter) -> bool:
        return (
            (letter.id in self.ids if self.ids else True)
            and self.sink in (None, letter.sink)
            and self.table in (None, letter.table)
        )


def kept(config: Config, selection: Selection) -> Iterator[DeadLetter]:
    """The letters, those that were replayed too; also beside a running process.

    Raises:
        ConfigError: an id is no letter's.
    """
    letters = dead_letters_of(config, read_only=True)
    letters.open()
    missing = set(selection.ids)
    try:
        for letter in letters.read():
            if selection.has(letter):
                missing.discard(letter.id)
                yield letter
    finally:
        letters.close()
    if missing:
        raise ConfigError(
            f"no dead letter {', '.join(sorted(missing))}", remedy="see the ids with `cdc dead-letters list`"
        )


def replay(
    config: Config, selection: Selection, *, force: bool, clock: Clock, tell: Callable[[Replayed], None]
) -> list[str]:
    """Sends dead letters to their sinks again, and marks those that are durable there. `tell` hears of each in turn.

    Without `force` nothing is sent that could bring an older state back: to a sink that versions do not guard nothing
    at all, since a later change of the key may have been delivered; to one that they do no put that is older than a
    delete is remembered there. Nor is what was replayed before sent again.

    Returns the names of threads that hang in a call to the outside.

    Raises:
        ConfigError: nothing was sent: a letter's sink or table is not configured, or it needs `force`.
        CdcError: the pipeline runs, or a sink or the source does not answer. What was told of before holds.
    """
    chosen = [letter for letter in kept(config, selection) if selection.ids or letter.replayed_at is None]
    guarded = _may_be_sent(config, chosen, force=force)
    left_behind: list[str] = []
    unreleased: list[StateError] = []
    if not chosen:
        return left_behind
    with ExitStack() as stack:
        workers = Workers()
        state, lease, saved = stack.enter_context(owned(config, clock, unreleased))
        learnt: dict[str, str] = {}
        registry = registry_of(config, learnt.update, uncounted)
        remembered_registry(config, registry, saved.settings or {}, create=False)
        stack.callback(lambda: left_behind.extend(workers.close(_CLOSE_SECONDS)))
        letters = dead_letters_of(config)
        letters.open()
        stack.callback(letters.close)
        streams = _streams(config, {letter.table for letter in chosen}, clock)
        outlets = outlets_of(
            config, registry, workers, clock, uncounted, only={letter.sink for letter in chosen}
        )
        heart = Heartbeat(state, lease, config.state.lease_seconds, clock)
        for sink, of_sink in groupby(sorted(chosen, key=_order), key=lambda letter: letter.sink):
            outlet = outlets[sink]
            sender = Sender(outlet, streams, letters, heart, clock, None if force else guarded[sink], tell)
            try:
                sender.send(list(of_sink))
            except CdcError as error:
                error.remedy = remedy(policy.SINK, error)
                raise
            finally:
                _close(outlet)
        if learnt:
            state.save(lease, StateChange(settings=learnt))
    if unreleased:
        raise unreleased[0]
    return left_behind


def _close(outlet: Outlet) -> None:
    """What was told of is durable already: a sink that cannot close well takes nothing back. A bug stays one."""
    closing = outlet.thread.submit(outlet.sink.close, deadline=_CLOSE_SECONDS)
    done, _ = wait([closing], _CLOSE_SECONDS)
    error = closing.exception() if done else None
    if error is not None and not isinstance(error, CdcError):
        raise error


def _order(letter: DeadLetter) -> tuple[Any, ...]:
    """By sink; each item's changes in their order, also across shards, where its numbers go on."""
    return (letter.sink, letter.table, letter.created_ms, int(letter.sequence), letter.shard)


def _may_be_sent(config: Config, letters: Sequence[DeadLetter], *, force: bool) -> Mapping[str, float | None]:
    """For each sink how long versions guard it."""
    guarded = {sink.name: its.guarded_seconds(sink) for sink, its in config.sinks_with_connectors()}
    for letter in letters:
        if letter.sink not in guarded:
            raise ConfigError(
                f"dead letter {letter.id} is of the sink {letter.sink}, which is not in this configuration",
                remedy="put the sink back, or choose others with --sink",
            )
        if letter.table not in config.source.tables:
            raise ConfigError(
                f"dead letter {letter.id} is of the table {letter.table}, which is not in this configuration",
                remedy="put the table back under source.tables, or choose others with --table",
            )
        if force:
            continue
        if guarded[letter.sink] is None:
            raise ConfigError(
                f"dead letter {letter.id}: sink {letter.sink} takes changes in the order in which they come, and whether "
                "a later change of the same item was delivered there is not known",
                remedy="send it with --force if its readers go by versions, or choose others with --sink; it is "
                "marked as replayed",
            )
        if letter.replayed_at is not None:
            raise ConfigError(
                f"dead letter {letter.id} was replayed before", remedy="send it once more with --force"
            )
    return guarded


def _streams(config: Config, tables: Collection[str], clock: Clock) -> dict[str, Stream]:
    """The tables' present streams: they know the tables' keys."""
    source = source_of(config, clock, uncounted)
    try:
        return {table: source.stream(table) for table in sorted(tables)}
    except CdcError as error:
        error.remedy = remedy(policy.SOURCE, error)
        raise
    finally:
        source.close()
