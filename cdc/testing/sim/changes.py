"""One write of one item, on its own or in a transaction: its condition, and what it makes of the item."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cdc.testing.sim.catalogue import Catalogue
from cdc.testing.sim.change import Item
from cdc.testing.sim.expressions.conditions import Predicate, predicate
from cdc.testing.sim.expressions.parse import parse_condition
from cdc.testing.sim.expressions.parse_update import parse_update
from cdc.testing.sim.expressions.paths import Tree
from cdc.testing.sim.expressions.scope import Scope
from cdc.testing.sim.expressions.syntax import Condition, Parsed
from cdc.testing.sim.expressions.updates import BoundUpdate
from cdc.testing.sim.failures import ServiceError
from cdc.testing.sim.items import Place, check_size, read_attributes
from cdc.testing.sim.requests import Request, choice, required
from cdc.testing.sim.table import Table

CONDITION_MEMBERS = (
    "TableName",
    "ConditionExpression",
    "ExpressionAttributeNames",
    "ExpressionAttributeValues",
    "ReturnValuesOnConditionCheckFailure",
)


@dataclass(frozen=True, slots=True)
class Write:
    """What a request asks for. Nothing has happened yet."""

    table: Table
    place: Place
    makes: Callable[[Item | None], Item | None]
    """The item after it, of the item before it. Raises ServiceError: ValidationException."""
    condition: Predicate | None
    returns_item: bool
    """The item is part of the error if the condition fails."""
    paths: Tree | None = None
    """What an update may change."""

    def allowed(self, item: Item | None) -> bool:
        return self.condition is None or self.condition(item or {})


def put(catalogue: Catalogue, request: Request) -> Write:
    """Raises: ServiceError: the request is invalid, or there is no such table."""
    condition, returns_item = _condition(request)
    table = catalogue.get(required(request, "TableName"))
    item = read_attributes(required(request, "Item"))
    table.key.check_item(item)
    check_size(item)
    return Write(table, table.key.place(item), lambda _: item, condition, returns_item)


def delete(catalogue: Catalogue, request: Request) -> Write:
    """As `put`."""
    condition, returns_item = _condition(request)
    table = catalogue.get(required(request, "TableName"))
    key = table.key.read_key(required(request, "Key"))
    return Write(table, table.key.place(key), lambda _: None, condition, returns_item)


def check(catalogue: Catalogue, request: Request) -> Write:
    """As `put`; it leaves the item as it is."""
    required(request, "ConditionExpression")
    condition, returns_item = _condition(request)
    table = catalogue.get(required(request, "TableName"))
    key = table.key.read_key(required(request, "Key"))
    return Write(table, table.key.place(key), lambda item: item, condition, returns_item)


def update(catalogue: Catalogue, request: Request) -> Write:
    """As `put`. Without an UpdateExpression it makes sure that the item is there."""
    text = request.get("UpdateExpression")
    if text is None:
        condition, returns_item = _condition(request)
        table = catalogue.get(required(request, "TableName"))
        key = table.key.read_key(required(request, "Key"))
        return Write(table, table.key.place(key), lambda old: old or key, condition, returns_item, {})
    parsed = parse_update(text)
    condition_text = request.get("ConditionExpression")
    parsed_condition = (
        None if condition_text is None else parse_condition("ConditionExpression", condition_text)
    )
    scope = Scope(request, parsed) if parsed_condition is None else Scope(request, parsed, parsed_condition)
    table = catalogue.get(required(request, "TableName"))
    bound = BoundUpdate(parsed, scope, table.key.names)
    key = table.key.read_key(required(request, "Key"))

    def makes(old: Item | None) -> Item | None:
        if old is None and not bound.creates:
            return None  # whatever paths it names
        new = bound.apply(old or key)
        check_size(new, updated=True)
        return new

    condition = None if parsed_condition is None else predicate(parsed_condition, scope)
    return Write(table, table.key.place(key), makes, condition, _returns_item(request), bound.paths)


def _condition(request: Request) -> tuple[Predicate | None, bool]:
    text = request.get("ConditionExpression")
    if text is None:
        Scope(request)
        return None, _returns_item(request)
    parsed: Parsed[Condition] = parse_condition("ConditionExpression", text)
    return predicate(parsed, Scope(request, parsed)), _returns_item(request)


def _returns_item(request: Request) -> bool:
    return choice(request, "ReturnValuesOnConditionCheckFailure", ("ALL_OLD", "NONE"), "NONE") == "ALL_OLD"


def condition_failed(write: Write, old: Item | None) -> ServiceError:
    members: dict[str, Any] = {"Item": old} if write.returns_item and old is not None else {}
    return ServiceError("ConditionalCheckFailedException", "The conditional request failed", members=members)
