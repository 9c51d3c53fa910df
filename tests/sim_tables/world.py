"""Tables on their own: a clock to move, and a stream side that writes down what it is told."""

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from cdc.testing.sim.behaviour import Behaviour
from cdc.testing.sim.change import ItemChange
from cdc.testing.sim.items import KeySchema
from cdc.testing.sim.tables import Tables


class RecordedStreams:
    def __init__(self) -> None:
        self.emitted: list[tuple[str, Sequence[ItemChange]]] = []
        """(stream ARN, what one request changed)"""
        self.disabled: list[str] = []
        self._made = 0

    def enable(self, table_name: str, table_arn: str, view_type: str, key: KeySchema) -> tuple[str, str]:
        self._made += 1
        label = f"2026-01-01T00:00:00.{self._made:03d}"
        return f"{table_arn}/stream/{label}", label

    def disable(self, stream_arn: str) -> None:
        self.disabled.append(stream_arn)

    def emit(self, stream_arn: str, changes: Sequence[ItemChange]) -> None:
        self.emitted.append((stream_arn, changes))

    @property
    def changes(self) -> list[ItemChange]:
        return [change for _, changes in self.emitted for change in changes]

    @property
    def events(self) -> list[str]:
        return [change.event_name for change in self.changes]


class World:
    """
    Args:
        seed: of all that the tables leave to chance.
    """

    def __init__(self, seed: int = 0, **behaviour: Any) -> None:
        self.time = 1_800_000_000.0
        self.streams = RecordedStreams()
        self.tables = Tables(
            now=lambda: self.time, rng=Random(seed), behaviour=Behaviour(**behaviour), streams=self.streams
        )

    def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        return self.tables.handlers()[operation](request)

    def create(
        self, name: str = "orders", *, sort: str | None = "N", partition: str = "S", **more: Any
    ) -> None:
        self.call("CreateTable", {**table_of(name, partition, sort), "StreamSpecification": STREAM, **more})


STREAM = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}


def table_of(name: str, partition: str, sort: str | None) -> dict[str, Any]:
    """A request to create it, with keys `pk` and `sk` of these types, and no stream."""
    kinds = {"pk": partition} | ({} if sort is None else {"sk": sort})
    return {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [
            {"AttributeName": key, "KeyType": role}
            for key, role in zip(kinds, ("HASH", "RANGE"), strict=False)
        ],
        "AttributeDefinitions": [
            {"AttributeName": key, "AttributeType": kind} for key, kind in kinds.items()
        ],
    }
