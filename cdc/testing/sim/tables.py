"""The tables of the simulated DynamoDB: every operation of its API for tables and items.

Requests and answers are the wire's JSON. An answer shares its values with the tables: whoever gets it in this process
must not change it.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from random import Random

from cdc.testing.sim.administration import Administration
from cdc.testing.sim.behaviour import Behaviour
from cdc.testing.sim.catalogue import Catalogue, StreamsOfTables
from cdc.testing.sim.change import Item
from cdc.testing.sim.reads import Reads
from cdc.testing.sim.requests import Request, Response
from cdc.testing.sim.scans import Scans
from cdc.testing.sim.table import Table
from cdc.testing.sim.transactions import Transactions
from cdc.testing.sim.writes import Writes

MOST_EXPIRED_SECONDS = 5 * 365 * 24 * 3600.0
"""What expired longer ago is not deleted (Developer Guide, "Using time to live (TTL)")."""


class Tables:
    """
    Args:
        now: the service's clock, epoch seconds.
        rng: decides all that is left to chance.
        streams: is told of every change of a table with a stream.
    """

    def __init__(
        self,
        *,
        now: Callable[[], float],
        rng: Random,
        behaviour: Behaviour,
        streams: StreamsOfTables,
        region: str = "eu-west-1",
        account: str = "000000000000",
    ) -> None:
        self._catalogue = Catalogue(
            now=now, rng=rng, behaviour=behaviour, streams=streams, region=region, account=account
        )
        parts = (
            Administration(self._catalogue),
            Reads(self._catalogue),
            Scans(self._catalogue),
            Transactions(self._catalogue),
            Writes(self._catalogue),
        )
        self._handlers = {name: handler for part in parts for name, handler in part.handlers().items()}

    def handlers(self) -> Mapping[str, Callable[[Request], Response]]:
        """By the operation's name. Each raises ServiceError for what the service refuses."""
        return self._handlers

    def items(self, table_name: str) -> list[Item]:
        """All items of a table as they are now, for who wants to know the truth.

        Raises:
            ServiceError: there is no such table.
        """
        table = self._catalogue.get(table_name)
        return [table.items[place] for place in table.places]

    def expire(self, table_name: str, *, most: int | None = None) -> int:
        """Deletes items whose TTL has passed, at most so many; the service itself takes its time for it.

        Returns:
            How many.

        Raises:
            ServiceError: there is no such table.
        """
        table = self._catalogue.get(table_name)
        now = self._catalogue.now()
        expired = [place for place in table.places if _is_expired(table, table.items[place], now)]
        for place in expired[:most]:
            change = table.write(place, None, now=now, by_ttl=True)
            if change is not None:
                self._catalogue.tell(table, [change])
        return len(expired[:most])


def _is_expired(table: Table, item: Item, now: float) -> bool:
    if table.ttl_attribute is None:
        return False
    value = item.get(table.ttl_attribute, {})
    return "N" in value and Decimal(now) - Decimal(MOST_EXPIRED_SECONDS) < Decimal(value["N"]) <= Decimal(now)
