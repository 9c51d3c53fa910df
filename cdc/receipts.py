"""The rules of `cdc.ports.Receipt`, kept in one place for the sinks that have batches in flight."""

from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import RLock

from cdc.errors import ErrorKind, SinkError
from cdc.model import Durability, EncodedBatch, Position, ShardKey
from cdc.ports import Receipt


@dataclass(eq=False, slots=True)
class Undurable:
    """A batch between `write` and its durability."""

    encoded: EncodedBatch
    receipt: Receipt = field(default_factory=lambda: Receipt(Future(), Future()))
    outcome: Durability | None = None
    """Set when the batch itself is durable, which it may not say before all earlier ones of its shard are."""

    @property
    def shard(self) -> ShardKey:
        return self.encoded.batch.shard


class Receipts:
    """The receipts of a sink's undurable batches, shard by shard, in order. Safe to call from several threads.

    - `durable` is cumulative: it is said in the order of the batches, whatever the order in which they became so.
    - A failure hands back the batch and all later ones of its shard, in order.
    - A batch that was already on its way when an earlier one of its shard failed follows on what was handed back. It
      fails as well, until the engine begins again at or before the place of the failure; otherwise it would overtake
      the changes that are sent again.

    Futures are set while the lock is held, so that their order is the batches'. What a callback does must be short.
    """

    def __init__(self) -> None:
        self._lock = RLock()
        self._pending: dict[ShardKey, deque[Undurable]] = {}
        self._handed_back: dict[ShardKey, tuple[Position, BaseException]] = {}

    def take(self, encoded: EncodedBatch) -> Undurable | Receipt:
        """Enters a batch; not accepted yet (`accept`). A bare `Receipt` has failed already: nothing is to be written."""
        entry = Undurable(encoded)
        with self._lock:
            handed_back = self._handed_back.get(entry.shard)
            if handed_back is not None:
                position, error = handed_back
                if position.is_before(encoded.batch.start):
                    _fail(entry, error)
                    return entry.receipt
                del self._handed_back[entry.shard]
            self._pending.setdefault(entry.shard, deque()).append(entry)
        return entry

    def accept(self, entry: Undurable) -> None:
        with self._lock:
            if not entry.receipt.accepted.done():
                entry.receipt.accepted.set_result(None)

    def durable(self, entry: Undurable, durability: Durability | None = None) -> None:
        """This batch is durable; says so once all earlier ones of its shard are. Nothing for one handed back."""
        with self._lock:
            entry.outcome = durability if durability is not None else Durability()
            pending = self._pending.get(entry.shard, deque())
            while pending and (outcome := pending[0].outcome) is not None:
                first = pending.popleft()
                self.accept(first)
                first.receipt.durable.set_result(outcome)
            if not pending:
                self._pending.pop(entry.shard, None)

    def fail(self, entry: Undurable, error: BaseException) -> None:
        """Hands back this batch and all later ones of its shard; nothing for one that is settled already.

        `error` is a `SinkError`, or what ends the process: an exception that no port knows.
        """
        with self._lock:
            pending = self._pending.get(entry.shard, deque())
            if entry not in pending:
                return
            self._handed_back[entry.shard] = (entry.encoded.batch.start, error)
            at = pending.index(entry)
            later = [pending.pop() for _ in range(len(pending) - at)]
            if not pending:
                del self._pending[entry.shard]
            for handed_back in reversed(later):
                _fail(handed_back, error)

    def undurable(self) -> list[Undurable]:
        """All that is pending, the batches of each shard in order."""
        with self._lock:
            return [entry for pending in self._pending.values() for entry in pending]

    def abandon(self) -> None:
        """Fails all that is pending: the sink is closed."""
        error = SinkError(ErrorKind.UNAVAILABLE, "the sink was closed before this batch was durable")
        for entry in self.undurable():
            self.fail(entry, error)

    def forget(self, shard: ShardKey) -> None:
        """The shard is released, or claimed anew: it may begin anywhere."""
        with self._lock:
            self._handed_back.pop(shard, None)


def _fail(entry: Undurable, error: BaseException) -> None:
    if not entry.receipt.accepted.done():
        entry.receipt.accepted.set_exception(error)
    entry.receipt.durable.set_exception(error)
