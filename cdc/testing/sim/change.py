"""What a table tells its stream: one change of one item."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Value = Mapping[str, Any]
"""An attribute value as DynamoDB's JSON: `{"S": "text"}`; binary is base64 text, as it travels."""

Item = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class ItemChange:
    """A write that changed something: no-ops make none (Developer Guide, "Change data capture for DynamoDB Streams")."""

    keys: Item
    old: Item | None
    """The whole item before; None: there was none."""
    new: Item | None
    """The whole item after; None: it was deleted."""
    by_ttl: bool = False

    @property
    def event_name(self) -> Literal["INSERT", "MODIFY", "REMOVE"]:
        if self.old is None:
            return "INSERT"
        return "REMOVE" if self.new is None else "MODIFY"
