"""Reads lines of changes back, independently of what wrote them."""

import json

from cdc.testing.content import Content, ItemState, SourceKey, source_key


def content_of_lines(text: bytes) -> Content:
    """Fails for anything but whole lines."""
    assert not text or text.endswith(b"\n")
    content: dict[SourceKey, list[ItemState]] = {}
    for line in text.split(b"\n")[:-1]:
        change = json.loads(line)
        state = ItemState(change["version"], change["op"], change["after"])
        content.setdefault(source_key(change["key"]), []).append(state)
    return content
