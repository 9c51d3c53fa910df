"""What a destination holds, in a form in which any two can be compared."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from cdc.model import Batch, Change, Stream, version

SourceKey = str
"""Canonical JSON of the item's source key (`source_key`)."""

OPS = {"INSERT": "c", "MODIFY": "u", "REMOVE": "d"}

_SETS = ("SS", "NS", "BS")


class ItemState(NamedTuple):
    """One state of one item, as one change made it."""

    version: str
    """`cdc.model.version`."""
    op: str
    """`c`, `u`, `d`; empty where the destination does not keep it."""
    image: Mapping[str, Any] | None
    """DynamoDB JSON of the item afterwards; None: deleted."""


Content = Mapping[SourceKey, Sequence[ItemState]]
"""Each item's states in the order in which the destination took them."""


def source_key(key: Mapping[str, Any]) -> SourceKey:
    """`{"pk": {"S": "a"}}` as text that is equal for equal keys."""
    return json.dumps(key, sort_keys=True, separators=(",", ":"))


def canonical(value: Any) -> Any:
    """DynamoDB JSON with its sets in one order: a set's order means nothing (Developer Guide, data types)."""
    if isinstance(value, Mapping):
        return {
            name: sorted(inner) if name in _SETS and isinstance(inner, list) else canonical(inner)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [canonical(inner) for inner in value]
    return value


def state_of(stream: Stream, change: Change) -> tuple[SourceKey, ItemState]:
    """The state that this change of this stream made."""
    images = change.dynamodb
    removed = change.event_name == "REMOVE"
    image = None if removed or not images.new_image else msgspec.json.decode(images.new_image)
    return (
        source_key(msgspec.json.decode(images.keys)),
        ItemState(version(stream.created_ms, change.sequence), OPS[change.event_name], image),
    )


def content_of(batches: Iterable[Batch]) -> dict[SourceKey, list[ItemState]]:
    """What a destination holds that took these batches, each once, in this order."""
    content: dict[SourceKey, list[ItemState]] = {}
    for batch in batches:
        for change in batch.changes:
            key, state = state_of(batch.stream, change)
            content.setdefault(key, []).append(state)
    return content


def fold(content: Content) -> dict[SourceKey, Mapping[str, Any]]:
    """The items that are left when for each only the state of the highest version counts."""
    items: dict[SourceKey, Mapping[str, Any]] = {}
    for key, states in content.items():
        newest = max(states, key=lambda state: state.version)
        if newest.image is not None:
            items[key] = canonical(newest.image)
    return items


def once(content: Content) -> dict[SourceKey, list[str]]:
    """Each item's versions in the order in which they first came: redelivered ones count where they were first seen."""
    return {key: list(dict.fromkeys(state.version for state in states)) for key, states in content.items()}
