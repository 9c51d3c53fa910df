"""One table: its settings, its items, and what they were a moment ago."""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cdc.testing.sim.change import Item, ItemChange
from cdc.testing.sim.items import KeySchema, Place
from cdc.testing.sim.values import item_size


@dataclass(slots=True)
class StreamSettings:
    """A table's newest stream; `enabled` or not, the table goes on naming it."""

    arn: str
    label: str
    view_type: str
    enabled: bool = True


@dataclass(slots=True, eq=False)
class Table:
    name: str
    arn: str
    table_id: str
    created_at: float
    """Epoch seconds."""
    key: KeySchema
    stale_seconds: float
    """How long what an item was is remembered, for reads that are not consistent."""
    billing_mode: str = "PROVISIONED"
    throughput: Mapping[str, int] = field(default_factory=dict)
    protected: bool = False
    active_at: float = 0.0
    """It is being made, or changed, until then."""
    been_active: bool = False
    """It was there before that."""
    gone_at: float | None = None
    """It is being deleted until then; None: it is not."""
    stream: StreamSettings | None = None
    ttl_attribute: str | None = None
    items: dict[Place, Item] = field(default_factory=dict)
    places: list[Place] = field(default_factory=list)
    """Of all `items`, in order."""
    _past: deque[tuple[float, Place, Item | None]] = field(default_factory=deque)
    """(until when, where, what was there), oldest first."""

    def write(self, place: Place, new: Item | None, *, now: float, by_ttl: bool = False) -> ItemChange | None:
        """Puts `new`, or takes away what is there. None: nothing changed."""
        old = self.items.get(place)
        if old == new:
            return None
        if new is None:
            del self.items[place]
            del self.places[bisect_left(self.places, place)]
        else:
            self.items[place] = new
            if old is None:
                insort(self.places, place)
        if self.stale_seconds:
            self._past.append((now, place, old))
            self._forget(now)
        return ItemChange(self.key.key_of(new or old or {}), old, new, by_ttl)

    def _forget(self, now: float) -> None:
        while self._past and self._past[0][0] <= now - self.stale_seconds:
            self._past.popleft()

    def as_of(self, then: float) -> "View":
        """The items as they were at `then`, no longer ago than `stale_seconds`."""
        changed: dict[Place, Item | None] = {}
        for until, place, old in self._past:
            if until > then and place not in changed:
                changed[place] = old
        return View(self, changed)

    def measured(self) -> int:
        return sum(map(item_size, self.items.values()))


class View:
    """A table's items at one moment, to read.

    Args:
        before: what differed then from what the table has now; None: there was no such item.
    """

    def __init__(self, table: Table, before: Mapping[Place, Item | None]) -> None:
        self._table, self._before = table, before

    def get(self, place: Place) -> Item | None:
        if place in self._before:
            return self._before[place]
        return self._table.items.get(place)

    def walk(
        self, lowest: tuple[Any, ...], highest: tuple[Any, ...], *, backward: bool = False
    ) -> Iterator[tuple[Place, Item]]:
        """Items from `lowest` (inclusive) to `highest` (exclusive) in order of place.

        The bounds are places, or tuples that compare with places.
        """
        places = self._table.places
        found = places[bisect_left(places, lowest) : bisect_left(places, highest)]
        gone = [
            place for place in self._before if place not in self._table.items and lowest <= place < highest
        ]
        if gone:
            found = sorted([*found, *gone])
        for place in reversed(found) if backward else found:
            item = self.get(place)
            if item is not None:
                yield place, item
