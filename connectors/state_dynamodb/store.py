"""The state of one pipeline in a table, and the lease on it: the protocol, over single conditional writes.

A save writes each page that it changes to that page's free slot, where nobody reads it, and then, with one write of the
root, makes all of them count. So a save of any size is seen whole or not at all, and costs no transaction.

- The root changes only under its epoch, and a save's number only from the one that was read: after another process has
  acquired the pipeline, no save of the earlier owner counts, whenever it arrives.
- Numbers are never used twice, and those of a later epoch are higher: a page is written only over a lower number. What
  arrives late spoils no page that counts.
- After a flip without an answer it is not known which pages count, and it may still arrive. Before any page is written
  again, a flip of nothing but the number settles it: what was on its way then finds another number, for ever.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from cdc.errors import ErrorKind, StateError
from cdc.ports import Lease, Owner, Saved, StateChange
from cdc.process import is_dead
from connectors.state_dynamodb.items import FORMAT, ConditionFailedError, Items, Root, Stored
from connectors.state_dynamodb.pages import Page, Pages, decode, encode
from connectors.state_dynamodb.table import Table

SAVES_PER_EPOCH = 10**12
"""The number of a save is its epoch times this, and counts on from there."""
_READS = 10
_TAKES = 5


class DynamoDBStateStore:
    """The `StateStore` of one pipeline.

    Args:
        table: where the items lie.
        items: those of this pipeline.
        pipeline: whose state this is.
        read_only: for `owner` and `load` beside a running process. Creates nothing: an absent table that may be created
            is a pipeline that has saved nothing.
    """

    def __init__(self, table: Table, items: Items, pipeline: str, *, read_only: bool = False) -> None:
        self._table = table
        self._items = items
        self._pipeline = pipeline
        self._read_only = read_only
        self._exists = True
        self._pages: Pages | None = None
        """As they count in the table, for the epoch `_epoch`; None: to be read."""
        self._epoch = 0
        self._last = 0
        """The number of the last save in the table."""
        self._number = 0
        """The highest number that was ever used here."""
        self._in_doubt = False
        """A flip was not answered, and may still arrive."""
        self._taking: set[int] = set()
        """The epochs of acquisitions of which it is not known whether they took place."""

    def open(self) -> None:
        self._pages = None
        self._exists = self._table.ready(create=not self._read_only)
        if self._exists:
            self._check_format(self._items.root())

    def look(self, now: float) -> Sequence[str]:
        """What a check says of the table; `now`: epoch seconds by this host's clock. Raises as `open`."""
        return self._table.look(now)

    def close(self) -> None:
        self._pages = None
        self._table.close()

    def acquire(self, owner: Owner, *, lease_seconds: float, now: float, above: int = 0) -> Lease:
        owner = replace(owner, heartbeat=now)
        for _ in range(_TAKES):
            root = self._items.root()
            self._check_format(root)
            if root is None:
                self._check_that_it_is_new(self._items.everything()[1])
            elif root.remaining(now) > 0 and not self._is_free(root, owner):
                raise self._not_owner(root, remedy=_until(root.remaining(now)))
            epoch = max(root.epoch if root is not None else 0, above) + 1
            self._taking.add(epoch)
            try:
                taken = self._items.take(owner, lease_seconds=lease_seconds, seen=root, epoch=epoch)
            except ConditionFailedError:
                continue  # somebody was quicker, or this very request, repeated on its way: who, is seen now
            self._pages, self._in_doubt = None, False
            self._taking.clear()
            return Lease(owner, taken.epoch)
        raise StateError(
            ErrorKind.UNAVAILABLE, f"several processes acquire the pipeline {self._pipeline} at the same time"
        )

    def renew(self, lease: Lease, *, now: float, admin: str = "") -> None:
        try:
            self._items.renew(lease.epoch, now=now, admin=admin)
        except ConditionFailedError:
            raise self._not_owner(self._items.root()) from None

    def owner(self) -> Owner | None:
        root = self._items.root() if self._exists else None
        return None if root is None else root.owner

    def load(self) -> Saved:
        return self._read()[1].saved() if self._exists else Saved()

    def save(self, lease: Lease, change: StateChange) -> None:
        pages = self._settled(lease)
        changed = pages.changed(change)
        number = self._next_number()
        try:
            for name, rows in changed.items():
                self._items.put_page(Stored(name, pages.free_slot(name), number, encode(rows.values())))
        except ConditionFailedError:
            raise self._overtaken(lease) from None
        self._flip(lease, number, {**pages.table, **dict.fromkeys(changed, number)})
        pages.turn(changed, number)

    def release(self, lease: Lease) -> None:
        """Nothing happens if somebody else has acquired it meanwhile."""
        try:
            self._items.release(lease.epoch)
        except ConditionFailedError:
            return

    def _settled(self, lease: Lease) -> Pages:
        """The pages as they count in the table, where nothing but the next flip of this store changes them."""
        if self._pages is not None and self._epoch == lease.epoch:
            return self._pages
        root, pages, numbers = self._read()
        if root is None or not _is_mine(root, lease):
            raise self._not_owner(root)
        self._epoch, self._last = lease.epoch, root.save
        # Never one of a later epoch, whose owner may have come since: ours are to be lower than all of his.
        mine = [number for number in numbers if number < (lease.epoch + 1) * SAVES_PER_EPOCH]
        self._number = max([self._number, root.save, lease.epoch * SAVES_PER_EPOCH, *mine])
        if self._in_doubt:
            self._flip(lease, self._next_number(), root.table)
        self._pages = pages
        return pages

    def _next_number(self) -> int:
        self._number += 1
        return self._number

    def _flip(self, lease: Lease, number: int, table: Mapping[str, int]) -> None:
        try:
            self._items.flip(lease.epoch, expected=self._last, save=number, table=table)
        except ConditionFailedError:
            self._look_whether_it_landed(lease, number)
        except StateError as error:
            if error.kind is ErrorKind.UNAVAILABLE:
                self._pages, self._in_doubt = None, True
            raise
        self._last, self._in_doubt = number, False

    def _look_whether_it_landed(self, lease: Lease, number: int) -> None:
        """A request that was repeated on its way succeeds and then fails: that is a success."""
        pages, self._pages, self._in_doubt = self._pages, None, True
        root = self._items.root()
        if root is None or not _is_mine(root, lease):
            raise self._not_owner(root)
        if root.save != number:
            raise StateError(
                ErrorKind.UNAVAILABLE,
                f"an earlier save of the pipeline {self._pipeline} arrived late: this one is to be repeated",
            )
        self._pages = pages

    def _read(self) -> tuple[Root | None, Pages, Sequence[int]]:
        """The root, the pages that it says count, and the numbers of all pages."""
        before: Root | None = None
        for _ in range(_READS):
            root, stored = self._items.everything()
            self._check_format(root)
            if root is None and stored:
                self._check_that_it_is_new(stored)
                continue
            if root is None:
                return None, Pages(), ()
            found = {(page.page, page.save): page for page in stored}
            missing = [name for name, save in root.table.items() if (name, save) not in found]
            if not missing:
                counting = [found[name, save] for name, save in root.table.items()]
                numbers = [page.save for page in stored]
                return root, Pages({page.page: self._page(page) for page in counting}), numbers
            if before is not None and before.save == root.save:
                raise self._damaged(f"lacks the page {missing[0]} of save {root.table[missing[0]]}")
            before = root  # the pages were overwritten since: saves went on between the reads
        raise StateError(
            ErrorKind.UNAVAILABLE, f"the pipeline {self._pipeline} saves faster than its state can be read"
        )

    def _page(self, stored: Stored) -> Page:
        try:
            return Page(stored.slot, stored.save, decode(stored.content))
        except ValueError as error:
            raise self._damaged(f"has a page {stored.page} that cannot be read: {error}") from None

    def _is_free(self, root: Root, owner: Owner) -> bool:
        """Its owner is dead on this host, or this store itself, by an acquisition that was not answered."""
        if root.owner is None or is_dead(root.owner):
            return True
        return root.epoch in self._taking and _who(root.owner) == _who(owner)

    def _check_format(self, root: Root | None) -> None:
        if root is not None and root.format > FORMAT:
            raise StateError(
                ErrorKind.STATE_FORMAT,
                f"the pipeline {self._pipeline} in {self._table.place} has state format {root.format}, written by a newer "
                f"version; this one reads up to {FORMAT}",
                remedy="run the newer version, or name another `state.table`",
            )

    def _check_that_it_is_new(self, stored: Sequence[Stored]) -> None:
        """Pages without a root are what somebody left who removed it: their numbers would be in the way. Looks at the root
        again: pages that appeared since have one."""
        if stored and self._items.root() is None:
            raise self._damaged("has pages, and no item `lease` that says which of them count")

    def _damaged(self, what: str) -> StateError:
        return StateError(
            ErrorKind.STATE_FORMAT,
            f"the state of the pipeline {self._pipeline} in {self._table.place} {what}",
            remedy="restore the table (point-in-time recovery), or delete all items of this pipeline: a pipeline without "
            "state begins at its `start`",
        )

    def _overtaken(self, lease: Lease) -> StateError:
        """Of a page with a higher number than ours."""
        root = self._items.root()
        if root is not None and _is_mine(root, lease):
            return self._damaged("has a page of a later save than any of this owner's")
        return self._not_owner(root)

    def _not_owner(self, root: Root | None, *, remedy: str = "") -> StateError:
        if root is None:
            message = f"the lease on the pipeline {self._pipeline} is gone from {self._table.place}"
        elif root.owner is None:
            message = f"this process has given up the pipeline {self._pipeline}"
        else:
            since = datetime.fromtimestamp(root.acquired_at, UTC).isoformat(timespec="seconds")
            owner = root.owner
            message = (
                f"the pipeline {self._pipeline} is run by process {owner.pid} on {owner.host} since {since}"
            )
        return StateError(ErrorKind.NOT_OWNER, message, remedy=remedy)


def _is_mine(root: Root, lease: Lease) -> bool:
    return root.owner is not None and root.epoch == lease.epoch


def _who(owner: Owner) -> tuple[str, int, str]:
    return owner.host, owner.pid, owner.process_started


def _until(seconds: float) -> str:
    return (
        "stop that process; if it is dead already, wait until its lease ends, "
        f"{seconds:.0f} s from now by this host's clock"
    )
