"""DynamoDB as the guard's model sees it: one item and its tombstone, and requests that are done wholly or not at all."""

from collections.abc import Mapping
from enum import Enum, auto
from typing import NamedTuple, cast

from cdc.model import version
from connectors.replica.guard import Condition, Place, Request, Seen, Verb

CREATED_MS = 1_700_000_000_000
FIRST_SEQUENCE = 999
VERSIONS = [version(CREATED_MS, str(FIRST_SEQUENCE + number)) for number in range(12)]
UNVERSIONED = -1
"""The item as a restored backup or another hand left it: no version."""


class Weak(Enum):
    """Conditions that the guard does not use, for weaker guards."""

    ABSENT = auto()
    ALWAYS = auto()


def weak(condition: Weak) -> Condition:
    return cast("Condition", condition)


class Table(NamedTuple):
    """The item and its tombstone: the number of the change that wrote it, or None."""

    item: int | None
    tombstone: int | None


def seen(number: int | None) -> Seen:
    if number is None:
        return Seen(exists=False)
    return Seen(exists=True, version=None if number == UNVERSIONED else VERSIONS[number])


def holds(condition: Condition, number: int | None, change: int) -> bool:
    older = number is None or number < change
    allowed: Mapping[object, bool] = {
        Condition.EXISTS_AND_OLDER: number is not None and older,
        Condition.ABSENT_OR_OLDER: older,
        Weak.ABSENT: number is None,
        Weak.ALWAYS: True,
    }
    return allowed[condition]


def execute(table: Table, request: Request, change: int) -> tuple[Table, list[Seen | None]]:
    """What becomes of the table, and what stood in the way of each action."""
    numbers = [table.item if action.place is Place.REPLICA else table.tombstone for action in request]
    failed = [
        None if holds(action.condition, number, change) else seen(number)
        for action, number in zip(request, numbers, strict=True)
    ]
    if any(failed):
        return table, failed
    for action in request:
        if action.verb is Verb.CHECK:
            continue
        value = change if action.verb is Verb.PUT else None
        if action.place is Place.REPLICA:
            table = table._replace(item=value)
        else:
            table = table._replace(tombstone=value)
    return table, failed
