"""The tables there are, by name, and what all operations on them share: time, chance, and the streams to tell."""

import re
from collections.abc import Callable, Sequence
from random import Random
from typing import Protocol

from cdc.testing.sim.behaviour import Behaviour
from cdc.testing.sim.change import ItemChange
from cdc.testing.sim.items import KeySchema
from cdc.testing.sim.requests import Request, invalid, not_found, required
from cdc.testing.sim.table import Table, View

_NAME = re.compile(r"[A-Za-z0-9_.-]{3,255}", re.ASCII)


class StreamsOfTables(Protocol):
    """What tables need of their streams."""

    def enable(self, table_name: str, table_arn: str, view_type: str, key: KeySchema) -> tuple[str, str]:
        """A new stream of the table: its ARN and its label."""
        ...

    def disable(self, stream_arn: str) -> None:
        """The table has no use for it any more, or is gone itself."""
        ...

    def emit(self, stream_arn: str, changes: Sequence[ItemChange]) -> None:
        """What one request wrote, in its order: one change, or those of a transaction. Where a change's keys have their
        place (`KeySchema.place`) decides which partition it belongs to.
        """
        ...


class Catalogue:
    def __init__(
        self,
        *,
        now: Callable[[], float],
        rng: Random,
        behaviour: Behaviour,
        streams: StreamsOfTables,
        region: str,
        account: str,
    ) -> None:
        self.now, self.rng, self.behaviour, self.streams = now, rng, behaviour, streams
        self.region, self.account = region, account
        self.tables: dict[str, Table] = {}
        """By name; those that are being deleted, too, until somebody asks for them after that."""

    def find(self, name: str) -> Table | None:
        """Whatever its status is."""
        table = self.tables.get(name)
        if table is not None and table.gone_at is not None and table.gone_at <= self.now():
            del self.tables[name]
            return None
        return table

    def status(self, table: Table) -> str:
        if table.gone_at is not None:
            return "DELETING"
        if table.active_at > self.now():
            return "UPDATING" if table.been_active else "CREATING"
        return "ACTIVE"

    def named(self, request: Request) -> Table:
        """The table that a request on its settings names.

        Raises:
            ServiceError: there is none.
        """
        table = self.find(table_name(required(request, "TableName")))
        if table is None:
            raise not_found(f"Requested resource not found: Table: {request['TableName']} not found")
        return table

    def get(self, name: str) -> Table:
        """The table whose items a request reads or writes.

        Raises:
            ServiceError: there is none, or it is not there yet, or no more.
        """
        table = self.tables.get(name)
        if table is None:
            table = self.find(table_name(name))
        if (
            table is None
            or table.gone_at is not None
            or (table.active_at > self.now() and not table.been_active)
        ):
            raise not_found()
        return table

    def items(self, table: Table, *, consistent: bool) -> View:
        """A read's view: consistent, or of some moment within `Behaviour.stale_read_seconds`."""
        stale = self.behaviour.stale_read_seconds
        if consistent or not stale:
            return View(table, {})
        return table.as_of(self.now() - self.rng.random() * stale)

    def tell(self, table: Table, changes: Sequence[ItemChange]) -> None:
        """The table's stream, of what was written."""
        if changes and table.stream is not None and table.stream.enabled:
            self.streams.emit(table.stream.arn, changes)


def table_name(name: str) -> str:
    """Of the name or the ARN that a request has.

    Raises:
        ServiceError: ValidationException: it cannot be a table's.
    """
    name = name.rpartition(":table/")[2]
    if not _NAME.fullmatch(name):
        raise invalid(
            "Invalid table/index name.  Table/index names must be between 3 and 255 characters long, and may contain only "
            "the characters a-z, A-Z, 0-9, '_', '-', and '.'"
        )
    return name
