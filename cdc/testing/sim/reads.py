"""GetItem and BatchGetItem."""

from collections.abc import Callable, Mapping
from typing import Any

from cdc.testing.sim.capacity import add_consumed, consumed, read_units, wants_capacity
from cdc.testing.sim.catalogue import Catalogue
from cdc.testing.sim.change import Item
from cdc.testing.sim.expressions.parse import parse_projection
from cdc.testing.sim.expressions.paths import Tree, project, tree
from cdc.testing.sim.expressions.scope import Scope
from cdc.testing.sim.requests import Request, Response, check_members, invalid, required
from cdc.testing.sim.values import item_size

MOST_BATCH_READS = 100
MOST_BATCH_BYTES = 16 * 1024 * 1024
_GET_MEMBERS = ("TableName", "Key", "ConsistentRead", "ProjectionExpression", "ExpressionAttributeNames")
_BATCH_TABLE_MEMBERS = frozenset(
    ("Keys", "ConsistentRead", "ProjectionExpression", "ExpressionAttributeNames")
)


def projection(request: Request) -> Tree | None:
    """What of an item is asked for; None: all of it.

    Raises:
        ServiceError: ValidationException.
    """
    text = request.get("ProjectionExpression")
    if text is None:
        Scope(request)
        return None
    parsed = parse_projection(text)
    return tree(parsed.kind, map(Scope(request, parsed).path, parsed.node))


def projected(item: Item, wanted: Tree | None) -> Item:
    return item if wanted is None else project(item, wanted)


class Reads:
    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def handlers(self) -> Mapping[str, Callable[[Request], Response]]:
        return {"GetItem": self.get_item, "BatchGetItem": self.batch_get_item}

    def get_item(self, request: Request) -> Response:
        check_members(request, (*_GET_MEMBERS, "ReturnConsumedCapacity"))
        wanted = projection(request)
        table = self._catalogue.get(required(request, "TableName"))
        place = table.key.place(table.key.read_key(required(request, "Key")))
        consistent = request.get("ConsistentRead", False)
        item = self._catalogue.items(table, consistent=consistent).get(place)
        response: Response = {} if item is None else {"Item": projected(item, wanted)}
        if wants_capacity(request):
            units = read_units(item_size(item or {}), consistent=consistent)
            response["ConsumedCapacity"] = consumed(request, table.name, units)
        return response

    def batch_get_item(self, request: Request) -> Response:
        """Items come in no order that is promised; what is not there does not come."""
        check_members(request, ("RequestItems", "ReturnConsumedCapacity"))
        asked: Mapping[str, Mapping[str, Any]] = required(request, "RequestItems")
        count = sum(len(one.get("Keys", ())) for one in asked.values())
        if not asked or not all(one.get("Keys") for one in asked.values()):
            raise invalid("The list of keys in RequestItems for BatchGetItem is required")
        if count > MOST_BATCH_READS:
            raise invalid("Too many items requested for the BatchGetItem call")
        responses: dict[str, list[Item]] = {}
        unprocessed: dict[str, dict[str, Any]] = {}
        units: dict[str, float] = {}
        chance, rng = self._catalogue.behaviour.unprocessed, self._catalogue.rng
        size = 0
        for name, one in asked.items():
            check_members(one, _BATCH_TABLE_MEMBERS)
            wanted = projection(one)
            table = self._catalogue.get(name)
            places = [table.key.place(table.key.read_key(key)) for key in one["Keys"]]
            if len(set(places)) < len(places):
                raise invalid("Provided list of item keys contains duplicates")
            consistent = one.get("ConsistentRead", False)
            view = self._catalogue.items(table, consistent=consistent)
            found = responses.setdefault(name, [])
            for at, (key, place) in enumerate(zip(one["Keys"], places, strict=True)):
                item = view.get(place)
                size += item_size(item or {})
                if size > MOST_BATCH_BYTES or (at and chance and rng.random() < chance):
                    unprocessed.setdefault(name, {**one, "Keys": []})["Keys"].append(key)
                    continue
                if item is not None:
                    found.append(projected(item, wanted))
                units[table.name] = units.get(table.name, 0.0) + read_units(
                    item_size(item or {}), consistent=consistent
                )
        return add_consumed({"Responses": responses, "UnprocessedKeys": unprocessed}, request, units)
