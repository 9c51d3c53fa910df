"""The items of one pipeline, and what is done to them: each a single write of a single item, under a condition.

This is all that the protocol (`store`) needs of DynamoDB; `dynamodb_items` has it from the service.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from cdc.ports import Owner
from connectors.state_dynamodb.pages import Slot

FORMAT = 2
"""The version of these items. Raised with every change that an older version cannot read."""


class ConditionFailedError(Exception):
    """The condition of a write did not hold: nothing was written."""


@dataclass(frozen=True, slots=True)
class Root:
    """The item `lease`: who owns the pipeline, and which pages count."""

    format: int
    epoch: int
    save: int
    """The number of the last save; higher than that of any before it."""
    table: Mapping[str, int]
    """Which save wrote the page that counts, by page."""
    owner: Owner | None
    """None after a release."""
    lease_seconds: float
    acquired_at: float
    """Epoch seconds."""

    def remaining(self, now: float) -> float:
        """Seconds that the lease still lasts; its holder's word counts, not that of who asks."""
        return 0.0 if self.owner is None else self.owner.heartbeat + self.lease_seconds - now


@dataclass(frozen=True, slots=True)
class Stored:
    """One of the two items of a page."""

    page: str
    slot: Slot
    save: int
    content: bytes


class Items(Protocol):
    """Every method raises `StateError` for what can happen outside. With `UNAVAILABLE` it is not known whether a write
    was carried out, or still will be; with every other kind it was not."""

    def root(self) -> Root | None:
        """As it is after every write that was answered."""
        ...

    def everything(self) -> tuple[Root | None, Sequence[Stored]]:
        """The root first, then the pages, not all of them at one moment."""
        ...

    def take(self, owner: Owner, *, lease_seconds: float, seen: Root | None, epoch: int) -> Root:
        """Makes `owner` the owner, under a higher epoch than was seen, if the root is as it was seen. The root after it.

        Raises:
            ConditionFailedError: another owner, or a renewal, came in between.
        """
        ...

    def renew(self, epoch: int, *, now: float, admin: str) -> None:
        """
        Raises:
            ConditionFailedError: the epoch is another one, or was released.
        """
        ...

    def flip(self, epoch: int, *, expected: int, save: int, table: Mapping[str, int]) -> None:
        """From here on `table` says which pages count.

        Raises:
            ConditionFailedError: the epoch is another one or was released, or `expected` is not the last save.
        """
        ...

    def release(self, epoch: int) -> None:
        """
        Raises:
            ConditionFailedError: the epoch is another one.
        """
        ...

    def put_page(self, stored: Stored) -> None:
        """
        Raises:
            ConditionFailedError: a later save is there already.
        """
        ...
