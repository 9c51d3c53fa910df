"""Capacity units, as answers state them (Developer Guide, "Read and write capacity units")."""

from collections.abc import Mapping
from typing import Any

from cdc.testing.sim.change import Item
from cdc.testing.sim.requests import Request, Response, choice
from cdc.testing.sim.values import item_size

READ_BYTES = 4096
WRITE_BYTES = 1024


def read_units(size: int, *, consistent: bool) -> float:
    """Of one item, or of all that one page looked at."""
    units = max(1, -(-size // READ_BYTES))
    return float(units) if consistent else units / 2


def write_units(old: Item | None, new: Item | None) -> float:
    """The bigger of both counts; one that writes nothing counts as one."""
    size = max(item_size(old or {}), item_size(new or {}))
    return float(max(1, -(-size // WRITE_BYTES)))


def wants_capacity(request: Request) -> bool:
    """Raises: ServiceError: ValidationException: it wants what there is not."""
    return choice(request, "ReturnConsumedCapacity", ("INDEXES", "TOTAL", "NONE"), "NONE") != "NONE"


def consumed(request: Request, table: str, units: float, **more: float) -> dict[str, Any]:
    """`ConsumedCapacity` of one table.

    Args:
        more: ReadCapacityUnits or WriteCapacityUnits, which transactions state as well.
    """
    answer: dict[str, Any] = {"TableName": table, "CapacityUnits": units, **more}
    if request["ReturnConsumedCapacity"] == "INDEXES":
        answer["Table"] = {"CapacityUnits": units, **more}
    return answer


def add_consumed(response: Response, request: Request, units: Mapping[str, float]) -> Response:
    """The answer of a batch, with the units of each table where they are asked for."""
    if wants_capacity(request):
        response["ConsumedCapacity"] = [consumed(request, name, table) for name, table in units.items()]
    return response
