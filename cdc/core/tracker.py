"""The durable watermark of one sink on one shard.

Batches are given in order and become durable in any order; the watermark is the end of the last batch before which
nothing is open. A cursor is saved from it and from nothing else.
"""

from collections import deque
from dataclasses import dataclass, field

from cdc.model import Batch, Position


@dataclass(slots=True, eq=False)
class Given:
    """A batch that is on its way at one sink. Its records stay with the sink: only what the cursor needs is kept, and a
    single change that could become a dead letter."""

    id: int
    end: Position
    changes: int
    size: int
    """Bytes that the batch holds as long as it is not accepted."""
    first_created: float | None
    """Time of its first record; None if it is empty."""
    last_created: float | None
    given_at: float
    """Monotonic."""
    middle: str = ""
    """The sequence number of its last change in the first half."""
    alone: Batch | None = None
    """The batch itself, if it is one change that was given while nothing else was on its way."""
    opening: int = 0
    """Which opening of the sink it was given in: a late failure says nothing about a later one."""
    accepted: bool = False
    delivered: bool = False
    """Durable at the sink; its dead letters may still be open."""
    done: bool = False
    """Its dead letters are durable too."""
    failed: bool = False
    """It, or one before it, came back: whatever the sink still answers, it will be sent again."""


@dataclass(slots=True)
class Tracker:
    """Where one sink is on one shard.

    `given` is the place up to which batches were handed over, `durable` the place up to which nothing can be lost. After
    a failure nothing is given until every batch that came back with it has been answered for (`returning`): what a
    sink still has in its hands must not arrive behind what is sent again.
    """

    given: Position
    durable: Position
    open: deque[Given] = field(default_factory=deque)
    durable_created: float | None = None
    """Time of the last durable record."""

    @property
    def unaccepted(self) -> Given | None:
        """The batch that the sink has not accepted yet; there is at most one."""
        last = self.open[-1] if self.open else None
        return last if last is not None and not last.accepted else None

    @property
    def returning(self) -> bool:
        """The sink still has batches in its hands that will be sent again."""
        # They are always the tail: whatever follows a failed one failed with it, and nothing is given meanwhile.
        return bool(self.open) and self.open[-1].failed

    @property
    def clear(self) -> bool:
        """Nothing is on its way."""
        return not self.open

    def give(self, id: int, batch: Batch, now: float) -> Given:  # noqa: A002 - the commands' own word
        if self.returning or self.unaccepted is not None:
            raise AssertionError("one unaccepted batch per shard and sink, and none while batches return")
        changes = batch.changes
        given = Given(
            id,
            batch.end,
            len(changes),
            len(batch.body),
            changes[0].created if changes else None,
            changes[-1].created if changes else None,
            now,
            changes[(len(changes) - 1) // 2].sequence if changes else "",
            batch if len(changes) == 1 and self.clear else None,
        )
        self.open.append(given)
        self.given = batch.end
        return given

    def find(self, id: int) -> Given | None:  # noqa: A002
        return next((given for given in self.open if given.id == id), None)

    def finish(self, given: Given) -> bool:
        """The batch is durable, its dead letters too. True if the watermark moved."""
        given.accepted = given.done = True
        if given.failed:
            # Durable behind a hole: the watermark must not pass the hole, so this one is sent again.
            self._take_back(given)
            return False
        moved = False
        while self.open and self.open[0].done and not self.open[0].failed:
            first = self.open.popleft()
            self.durable = first.end
            self.durable_created = first.last_created or self.durable_created
            moved = True
        return moved

    def fail(self, given: Given) -> None:
        """The sink hands the batch back; it and all after it will be read and given again."""
        behind = list(self.open)[self.open.index(given) :]
        for later in behind:
            later.failed = True
            if later.done:
                # Answered for already, and behind a hole all the same: no answer will come to take it back.
                self.open.remove(later)
        self._take_back(given)

    def _take_back(self, given: Given) -> None:
        self.open.remove(given)
        if not self.returning:
            self.given = self.open[-1].end if self.open else self.durable
