"""The guard `versioned`: which request a change makes, and what its outcome means. Pure: no request is made here.

A replica that is written conditionally, item by item, has three ways to end wrong: a late write that overwrites a newer
state, a late write that brings a deleted item back, and a delete that finds nothing and so leaves nothing that would
stop the late write that it overtook. Hence:

- an update is one conditional `PutItem`, which an item that is there and not newer admits;
- a put of an item that is not there is a transaction that also checks the item's tombstone;
- a delete is a transaction that also writes the tombstone, whether or not there was an item to delete.

"Older" includes what has no version: a missing tombstone, an item that was restored from a backup or written by hand.
Every request may be made again without harm: the second time it meets its own version, which is success.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

VERSION_ATTRIBUTE = "_cdc_version"
"""Attribute of type S in each item of the replica and each tombstone: `cdc.model.version`."""

_VERSION = re.compile(r"\d{13,}-\d{6,}-\d{40,}")


class Place(Enum):
    REPLICA = auto()
    TOMBSTONES = auto()


class Verb(Enum):
    PUT = auto()
    DELETE = auto()
    CHECK = auto()


class Condition(Enum):
    """What has to hold at a place; all of a request hold, or nothing of it is done."""

    EXISTS_AND_OLDER = auto()
    ABSENT_OR_OLDER = auto()


class Action(NamedTuple):
    place: Place
    verb: Verb
    condition: Condition


Request = tuple[Action, ...]
"""One action: a single call. Several: one transaction."""


@dataclass(frozen=True, slots=True)
class Guard:
    update: Request
    insert: Request
    delete: Request


VERSIONED = Guard(
    update=(Action(Place.REPLICA, Verb.PUT, Condition.EXISTS_AND_OLDER),),
    insert=(
        Action(Place.REPLICA, Verb.PUT, Condition.ABSENT_OR_OLDER),
        Action(Place.TOMBSTONES, Verb.CHECK, Condition.ABSENT_OR_OLDER),
    ),
    delete=(
        Action(Place.REPLICA, Verb.DELETE, Condition.ABSENT_OR_OLDER),
        Action(Place.TOMBSTONES, Verb.PUT, Condition.ABSENT_OR_OLDER),
    ),
)


class Seen(NamedTuple):
    """What stood at a place whose condition failed, as the service answered (`ALL_OLD`)."""

    exists: bool
    version: str | None = None
    """None: it has no version. What is no string is given as some text that is no version."""


class Verdict(Enum):
    """What a failed condition means."""

    APPLIED = auto()
    """This very change is there already: an answer was lost, or the change came twice."""
    SUPERSEDED = auto()
    """A newer change is there."""
    MISSING = auto()
    """There is no item to update: the put goes on as an insert."""
    AGAIN = auto()
    """What was answered does not explain the failure: it has changed meanwhile."""
    FOREIGN = auto()
    """The place has a version that is none of this system's: whoever wrote it, no order is known."""


def first_request(guard: Guard, *, removed: bool, expected: bool) -> Request:
    """The request that a change begins with.

    Args:
        guard: the protocol.
        removed: the change is a delete.
        expected: the item was there before this change, so that it should be at the replica as well. Being wrong about
            it costs a request, nothing else.
    """
    if removed:
        return guard.delete
    return guard.update if expected else guard.insert


def decide(request: Request, version: str, failed: Sequence[Seen | None]) -> Verdict:
    """What it means that conditions of `request`, made for a change of this version, did not hold.

    Args:
        request: what was asked for.
        version: of the change.
        failed: for each action what stood in its way; None for one whose condition held or was not looked at.
    """
    verdicts = {
        _verdict(action, version, seen)
        for action, seen in zip(request, failed, strict=True)
        if seen is not None
    }
    # That one place has this change or a newer one settles it, whatever is at the other.
    for verdict in (Verdict.SUPERSEDED, Verdict.APPLIED, Verdict.FOREIGN, Verdict.MISSING):
        if verdict in verdicts:
            return verdict
    return Verdict.AGAIN


def _verdict(action: Action, version: str, seen: Seen) -> Verdict:
    if not seen.exists:
        if action.condition is Condition.EXISTS_AND_OLDER:
            return Verdict.MISSING
        # Absence never fails this condition: an endpoint that does not show what did.
        return Verdict.SUPERSEDED
    if seen.version is None:
        return Verdict.AGAIN
    if not _VERSION.fullmatch(seen.version):
        return Verdict.FOREIGN
    if seen.version == version:
        return Verdict.APPLIED
    return Verdict.SUPERSEDED if seen.version > version else Verdict.AGAIN
