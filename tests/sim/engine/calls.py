"""What the service is asked: how often, and with how many iterators at once. Counted at the service's side of the line, by
the iterators that travel, and not by what the engine thinks it has."""

from collections import Counter
from dataclasses import dataclass, field

from cdc.core import messages as m
from cdc.core.world import Settings
from cdc.model import ShardKey
from tests.sim.engine.destination import Violation
from tests.sim.engine.process import Process

_REMEMBERED = 8


@dataclass(slots=True)
class Allowance:
    """So many calls a second, and as many at once after a rest."""

    per_second: float
    left: float
    as_of: float

    def spend(self, now: float) -> bool:
        self.left = min(max(1.0, self.per_second), self.left + (now - self.as_of) * self.per_second)
        self.as_of = now
        self.left -= 1.0
        return self.left > -0.01


@dataclass(slots=True, eq=False)
class Use:
    """One iterator and those that it led to: in use from when it was given until it was last read with."""

    since: float
    until: float


@dataclass(slots=True)
class _Shard:
    allowance: Allowance
    uses: list[Use] = field(default_factory=list)


class Calls:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._busy: Counter[tuple[int, m.ReaderKey]] = Counter()
        self._shards: dict[tuple[int, ShardKey], _Shard] = {}
        self._listings: dict[int, Allowance] = {}
        self._iterators: dict[str, Use] = {}
        """By the text that the next read will have."""
        self._reading: dict[tuple[int, m.ReaderKey], Use] = {}
        self.most_iterators = 0
        """In use at once on one shard, by one process."""

    def listed(self, process: int, now: float) -> None:
        rate = self._settings.listings_per_second
        allowance = self._listings.setdefault(process, Allowance(rate, max(1.0, rate), now))
        if not allowance.spend(now):
            raise Violation("call budget", f"more than {rate} listings a second")

    def asked(self, process: Process, command: m.OpenIterator | m.Read, now: float) -> None:
        reader = command.reader
        key = (process.number, reader.shard)
        rate, most = self._settings.calls_per_shard, self._settings.readers_per_shard
        self._busy[process.number, reader] += 1
        if self._busy[process.number, reader] > 1:
            raise Violation("iterators", f"two calls at once with {reader}", shard=reader.shard)
        shard = self._shards.get(key)
        if shard is None:
            shard = self._shards[key] = _Shard(Allowance(rate, max(1.0, rate), now))
        if not shard.allowance.spend(now):
            raise Violation("call budget", f"more than {rate} calls a second", shard=reader.shard)
        if process.engine.reading.count(reader.shard) > most:
            raise Violation("iterators", f"more than {most}", shard=reader.shard)
        if isinstance(command, m.Read):
            use = self._iterators.pop(command.iterator, None) or Use(now, now)
            self._reading[process.number, reader] = use
            self._use(shard, use, reader.shard, now)

    def _use(self, shard: _Shard, use: Use, key: ShardKey, now: float) -> None:
        if use not in shard.uses:
            shard.uses = [*shard.uses[-_REMEMBERED:], use]
        before, use.until = use.until, now
        # Whoever else was in use while this one waited for its turn.
        others = [one for one in shard.uses if one is not use and one.until > before]
        moments = [max(one.since, before) for one in others]
        at_once = 1 + max((sum(one.since <= at <= one.until for one in others) for at in moments), default=0)
        self.most_iterators = max(self.most_iterators, at_once)
        # The only reader of a global table goes back and forth between two, one call after the other.
        if at_once > max(2, self._settings.readers_per_shard):
            raise Violation("iterators", f"{at_once} in use at once at the service", shard=key)

    def answered(self, process: int, event: m.IteratorOpened | m.PageRead | m.ReadFailed, now: float) -> None:
        reader = (process, event.reader)
        self._busy[reader] -= 1
        if isinstance(event, m.IteratorOpened):
            self._iterators[event.iterator] = Use(now, now)
        use = self._reading.pop(reader, None)
        if isinstance(event, m.PageRead) and use is not None and event.page.next_iterator is not None:
            self._iterators[event.page.next_iterator] = use
