"""What was written to the source table and acknowledged: the truth that destinations are held to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tests.integration.pipeline.items import Item, Key

Op = Literal["c", "u", "d"]


@dataclass(frozen=True, slots=True)
class Written:
    """One acknowledged change."""

    op: Op
    revision: int
    """Of the state that it made; for a delete of the state that it ended."""
    item: Item | None
    """Afterwards, the key included; None: deleted."""


Journal = Mapping[Key, Sequence[Written]]
"""Each key's changes in their order."""
