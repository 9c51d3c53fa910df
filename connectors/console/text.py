"""A change in one line, for people."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from rich.text import Text

from cdc.model import Batch, Change

_LOOK = {"INSERT": ("+", "green"), "MODIFY": ("~", "yellow"), "REMOVE": ("-", "red")}


def one_line(batch: Batch, change: Change) -> Text:
    """`10:15:02 orders ~ pk="o-1" total: 19.90 → 24.90`; of an item that was changed, only what differs.

    Characters that a terminal would obey are escaped: values are other people's.
    """
    sign, style = _LOOK[change.event_name]
    images = change.dynamodb
    key = _attributes(images.keys)
    line = Text(no_wrap=True)
    line.append(f"{datetime.fromtimestamp(change.created, UTC):%H:%M:%S} ", "dim")
    line.append(f"{visible(batch.stream.table)} ")
    line.append(f"{sign} ", f"bold {style}")
    line.append(" ".join(f"{visible(name)}={_value(value)}" for name, value in key.items()), style)
    for part in _parts(change, key):
        line.append(f" {part}")
    if change.by_ttl:
        line.append(" (time to live)", "dim")
    return line


def _parts(change: Change, key: Mapping[str, Any]) -> list[str]:
    old, new = _attributes(change.dynamodb.old_image), _attributes(change.dynamodb.new_image)
    if change.event_name == "REMOVE":
        return []
    if not old:
        return [f"{visible(name)}: {_value(value)}" for name, value in new.items() if name not in key]
    parts = []
    for name in dict.fromkeys([*new, *old]):
        if name not in new:
            parts.append(f"{visible(name)}: {_value(old[name])} → gone")
        elif name not in old:
            parts.append(f"{visible(name)}: {_value(new[name])}")
        elif old[name] != new[name]:
            parts.append(f"{visible(name)}: {_value(old[name])} → {_value(new[name])}")
    return parts


def _attributes(image: msgspec.Raw) -> dict[str, Any]:
    return msgspec.json.decode(image, type=dict[str, Any]) if image else {}


def _value(value: Any) -> str:  # noqa: PLR0911 - a type, a return
    """A DynamoDB value as a person would write it: text in quotes, numbers as they are, binary as base64."""
    ((kind, inner),) = value.items()
    match kind:
        case "N":
            return visible(inner)
        case "S":
            return visible(json.dumps(inner, ensure_ascii=False))
        case "B":
            return f"<{visible(inner)}>"
        case "BOOL":
            return "true" if inner else "false"
        case "NULL":
            return "null"
        case "L":
            return "[" + ", ".join(map(_value, inner)) + "]"
        case "M":
            return (
                "{" + ", ".join(f"{visible(name)}: {_value(member)}" for name, member in inner.items()) + "}"
            )
        case "SS" | "NS" | "BS":
            return "{" + ", ".join(_value({kind[0]: member}) for member in inner) + "}"
        case _:
            return visible(json.dumps(value))


def visible(text: str) -> str:
    """With what a terminal would obey escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
