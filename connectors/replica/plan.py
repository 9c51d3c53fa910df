"""What a batch comes to: one write per item, which stands for all changes of that item in the batch."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from cdc.errors import ErrorKind
from cdc.model import Batch, Change, KeyAttribute, Reject
from connectors.replica.guard import Request
from connectors.replica.keys import BrokenKeyError, canonical_key
from connectors.replica.wire import Wire


@dataclass(frozen=True, slots=True)
class Target:
    """The replica of one source table."""

    table: str
    schema: tuple[KeyAttribute, ...]
    wire: Wire


@dataclass(eq=False, repr=False, slots=True)
class ItemWrite:
    """The changes that one batch has for one item.

    The last is written; those before it are superseded. Should the last be refused, the one before is written instead,
    and so on until one succeeds: what is refused then is missing at the replica, and no more than that.
    """

    target: Target
    batch: Batch
    key: bytes
    """Canonical; with the table it names the item."""
    changes: list[Change]
    """Oldest first; what is refused is taken off its end."""
    request: Request | None = None
    """What is to be asked next for the last change; None: the change has not been begun."""
    attempts: int = 0
    """Calls made for `request`."""
    since: float = 0.0
    """Monotonic time of the first of them, in seconds."""
    rejects: list[Reject] = field(default_factory=list)

    @property
    def item(self) -> tuple[str, bytes]:
        return (self.target.table, self.key)

    def ask(self, request: Request | None) -> None:
        self.request, self.attempts = request, 0


def plan(batch: Batch, changes: Sequence[Change], target: Target) -> tuple[list[ItemWrite], list[Reject]]:
    """The writes of a batch, one per item, in the order of each item's first change; and what names no item."""
    writes: dict[bytes, ItemWrite] = {}
    rejects: list[Reject] = []
    for change in changes:
        try:
            key = canonical_key(change.dynamodb.keys, target.schema)
        except BrokenKeyError as error:
            rejects.append(batch.reject(change, ErrorKind.UNENCODABLE, str(error)))
            continue
        write = writes.get(key)
        if write is None:
            writes[key] = ItemWrite(target, batch, key, [change])
        else:
            write.changes.append(change)
    return list(writes.values()), rejects
