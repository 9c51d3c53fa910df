"""`cdc dead-letters`: what was put aside, and sending it again, through the same encoders and sinks as a run.

Sending takes the pipeline's lease: nothing else writes to its sinks and its dead letters meanwhile.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, TypeVar

import msgspec

from cdc.config import Config
from cdc.core import policy
from cdc.errors import CdcError, ConfigError, ErrorKind, SinkError, StateError
from cdc.model import BEGINNING, Batch, Change, EncodedBatch, Stream, after
from cdc.ports import Clock, DeadLetter, DeadLetters, Lease, StateStore
from cdc.runtime.assembly import dead_letters_of, outlets_of, remembered_registry, source_of
from cdc.runtime.checks import remedy
from cdc.runtime.dispatch import Outlet
from cdc.runtime.ownership import owned
from cdc.runtime.workers import Workers

T = TypeVar("T")

PATIENCE_SECONDS = 60.0
"""How long a sink may take for one step."""
_MOST_LETTERS = 100
_MOST_BYTES = 4 << 20
"""Of one batch."""
_CLOSE_SECONDS = 5.0
_ARN = re.compile(r"arn:[^:]*:dynamodb:(?P<region>[^:]*):(?P<account>[^:]*):")


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


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of one letter. `problem` is empty if it is durable at its sink now; else it stays open."""

    letter: DeadLetter
    problem: str = ""


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
        remembered_registry(config, saved.settings or {}, create=False)
        stack.callback(lambda: left_behind.extend(workers.close(_CLOSE_SECONDS)))
        letters = dead_letters_of(config)
        letters.open()
        stack.callback(letters.close)
        streams = _streams(config, {letter.table for letter in chosen}, clock)
        outlets = outlets_of(config, workers, clock, _uncounted, only={letter.sink for letter in chosen})
        heart = _Heart(state, lease, config.state.lease_seconds, clock)
        for sink, of_sink in groupby(sorted(chosen, key=_order), key=lambda letter: letter.sink):
            outlet = outlets[sink]
            sender = _Sender(outlet, streams, letters, heart, clock, None if force else guarded[sink], tell)
            try:
                sender.send(list(of_sink))
            except CdcError as error:
                error.remedy = remedy(policy.SINK, error)
                raise
            finally:
                wait([outlet.thread.submit(outlet.sink.close, deadline=_CLOSE_SECONDS)], _CLOSE_SECONDS)
    if unreleased:
        raise unreleased[0]
    return left_behind


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
    source = source_of(config, clock, _uncounted)
    try:
        return {table: source.stream(table) for table in sorted(tables)}
    except CdcError as error:
        error.remedy = remedy(policy.SOURCE, error)
        raise
    finally:
        source.close()


class _Heart:
    """Keeps the lease while others are waited for."""

    def __init__(self, state: StateStore, lease: Lease, lease_seconds: float, clock: Clock) -> None:
        self._state = state
        self._lease = lease
        self._clock = clock
        self._every = lease_seconds / 3
        self._due = clock.now().monotonic + self._every

    def beat(self) -> None:
        now = self._clock.now()
        if now.monotonic >= self._due:
            self._state.renew(self._lease, now=now.wall)
            self._due = now.monotonic + self._every

    def await_(self, future: "Future[T]", what: str) -> T:
        """
        Raises:
            SinkError: `UNAVAILABLE` after a minute; else what the future raises.
        """
        deadline = self._clock.now().monotonic + PATIENCE_SECONDS
        while not future.done():
            wait([future], timeout=min(1.0, self._every))
            self.beat()
            if not future.done() and self._clock.now().monotonic >= deadline:
                raise SinkError(ErrorKind.UNAVAILABLE, f"{what}: no answer for {PATIENCE_SECONDS:.0f} s")
        return future.result()


class _Sender:
    """Sends the letters of one sink."""

    def __init__(
        self,
        outlet: Outlet,
        streams: Mapping[str, Stream],
        letters: DeadLetters,
        heart: _Heart,
        clock: Clock,
        guarded: float | None,
        tell: Callable[[Replayed], None],
    ) -> None:
        self._outlet = outlet
        self._streams = streams
        self._letters = letters
        self._heart = heart
        self._clock = clock
        self._guarded = guarded
        self._tell = tell

    def send(self, letters: Sequence[DeadLetter]) -> None:
        """In order; what follows another shard or stream only when everything before it is durable."""
        self._call("open", self._outlet.sink.open)
        self._call("claim", lambda: self._outlet.sink.claim(list({letter.shard for letter in letters})))
        for shard_letters in _runs(letters):
            for part in _parts(shard_letters):
                self._part(part)

    def _part(self, letters: Sequence[DeadLetter]) -> None:
        """Of one shard. Marks are durable before the next part is sent: a crash sends this one twice at most."""
        changes: dict[str, Change] = {}
        sendable = []
        for letter in letters:
            read = self._read(letter)
            if isinstance(read, Change):
                changes[letter.sequence] = read
                sendable.append(letter)
            else:
                self._tell(Replayed(letter, read))
        if sendable:
            self._deliver(sendable, changes)

    def _deliver(self, letters: Sequence[DeadLetter], changes: Mapping[str, Change]) -> None:
        try:
            refused = self._write(self._batch(letters, changes))
        except CdcError as error:
            if policy.rule(policy.SINK, error).action is not policy.Action.ISOLATE:
                raise
            if len(letters) > 1:
                for letter in letters:
                    self._deliver([letter], changes)
                return
            refused = {letters[0].sequence: error.message}
        done = [letter for letter in letters if letter.sequence not in refused]
        self._letters.mark_replayed(done, self._clock.now().wall)
        for letter in letters:
            self._tell(Replayed(letter, refused.get(letter.sequence, "")))
        self._heart.beat()

    def _write(self, batch: Batch) -> dict[str, str]:
        """The reasons of those that are refused, by sequence number; all others are durable."""
        sink, encoder = self._outlet.sink, self._outlet.encoder
        encoded = EncodedBatch(batch) if encoder is None else encoder.encode(batch)
        receipt = self._call("write", lambda: sink.write(encoded))
        self._await(receipt.accepted, "write")
        if not receipt.durable.done():
            # A flush that fails says so by the receipt, where it matters.
            self._call("flush", lambda: sink.flush(deadline=PATIENCE_SECONDS))
        durability = self._await(receipt.durable, "write")
        return {reject.sequence: reject.reason for reject in (*encoded.rejects, *durability.rejects)}

    def _read(self, letter: DeadLetter) -> Change | str:
        """The change of a letter, or why it cannot be sent."""
        try:
            change = msgspec.json.decode(letter.record, type=Change)
            keys = msgspec.json.decode(change.dynamodb.keys or b"{}", type=dict[str, msgspec.Raw])
        except (msgspec.DecodeError, UnicodeDecodeError):
            return "its record cannot be read"
        if change.sequence != letter.sequence:
            return "its record is that of another change"
        names = {attribute.name for attribute in self._streams[letter.table].key}
        if keys and keys.keys() != names:
            return f"the table {letter.table} has another key than it had then"
        age = self._clock.now().wall - change.created
        if self._guarded is not None and change.event_name != "REMOVE" and age >= self._guarded:
            return (
                "it is older than deletes are remembered at this sink: it could bring back an item that was deleted "
                "since; send it with --force if it was not"
            )
        return change

    def _batch(self, letters: Sequence[DeadLetter], changes: Mapping[str, Change]) -> Batch:
        first = letters[0]
        present = self._streams[first.table]
        arn = _ARN.match(first.shard.stream)
        stream = replace(
            present,
            arn=first.shard.stream,
            created_ms=first.created_ms,
            region=arn["region"] if arn else present.region,
            account=arn["account"] if arn else present.account,
        )
        return Batch(
            stream,
            first.shard,
            BEGINNING,
            after(letters[-1].sequence),
            [changes[letter.sequence] for letter in letters],
            self._clock.now().wall,
            b'{"Records":[%b]}' % b",".join(letter.record for letter in letters),
            replayed=True,
        )

    def _call(self, what: str, call: Callable[[], T]) -> T:
        """On the sink's own thread, which makes all its calls."""
        return self._await(self._outlet.thread.submit(call), what)

    def _await(self, future: "Future[T]", what: str) -> T:
        return self._heart.await_(future, f"sink {self._outlet.sink.name}: {what}")


def _runs(letters: Sequence[DeadLetter]) -> Iterator[list[DeadLetter]]:
    """By shard, a parent before its children: their numbers begin where its end."""
    shards: dict[object, list[DeadLetter]] = {}
    for letter in letters:
        shards.setdefault((letter.table, letter.shard), []).append(letter)
    yield from shards.values()


def _parts(letters: Sequence[DeadLetter]) -> Iterator[list[DeadLetter]]:
    part: list[DeadLetter] = []
    size = 0
    for letter in letters:
        if part and (len(part) >= _MOST_LETTERS or size + len(letter.record) > _MOST_BYTES):
            yield part
            part, size = [], 0
        part.append(letter)
        size += len(letter.record)
    if part:
        yield part


def _uncounted(operation: str, outcome: str) -> None:
    """There is nobody to ask for metrics."""
