"""TransactWriteItems and TransactGetItems: all or nothing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from cdc.testing.sim.capacity import consumed, read_units, wants_capacity, write_units
from cdc.testing.sim.catalogue import Catalogue
from cdc.testing.sim.change import Item, ItemChange
from cdc.testing.sim.changes import CONDITION_MEMBERS, Write, check, delete, put, update
from cdc.testing.sim.failures import ServiceError
from cdc.testing.sim.reads import projected, projection
from cdc.testing.sim.requests import MismatchError, Request, Response, check_members, invalid, required
from cdc.testing.sim.table import Table
from cdc.testing.sim.values import item_size

MOST_ACTIONS = 100
MOST_BYTES = 4 * 1024 * 1024
MOST_TOKEN_LENGTH = 36
TOKEN_SECONDS = 600.0
"""A token is known for ten minutes (API Reference, TransactWriteItems)."""
_ACTIONS: Mapping[str, tuple[Callable[[Catalogue, Request], Write], frozenset[str]]] = {
    "Put": (put, frozenset((*CONDITION_MEMBERS, "Item"))),
    "Update": (update, frozenset((*CONDITION_MEMBERS, "Key", "UpdateExpression"))),
    "Delete": (delete, frozenset((*CONDITION_MEMBERS, "Key"))),
    "ConditionCheck": (check, frozenset((*CONDITION_MEMBERS, "Key"))),
}
_GET_MEMBERS = frozenset(("TableName", "Key", "ProjectionExpression", "ExpressionAttributeNames"))
_encode = msgspec.json.Encoder(order="sorted").encode
_NO_REASON = {"Code": "None"}


class _Result(NamedTuple):
    """What a write of a transaction will do, if all others can, too."""

    write: Write
    old: Item | None
    new: Item | None


@dataclass(frozen=True, slots=True)
class _Done:
    """A transaction that had a token."""

    at: float
    request: bytes
    sizes: Mapping[str, float]


class Transactions:
    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._done: dict[str, _Done] = {}
        """By token, the oldest first."""

    def handlers(self) -> Mapping[str, Callable[[Request], Response]]:
        return {"TransactWriteItems": self.transact_write_items, "TransactGetItems": self.transact_get_items}

    def transact_write_items(self, request: Request) -> Response:
        check_members(
            request,
            ("TransactItems", "ClientRequestToken", "ReturnConsumedCapacity", "ReturnItemCollectionMetrics"),
        )
        actions = _actions(request)
        token = request.get("ClientRequestToken")
        if token is not None and len(token) > MOST_TOKEN_LENGTH:
            raise invalid(
                "1 validation error detected: Value at 'clientRequestToken' failed to satisfy constraint: Member must have "
                f"length less than or equal to {MOST_TOKEN_LENGTH}"
            )
        wants_capacity(request)
        done = self._known(token, actions)
        if done is not None:
            return _answer(request, done.sizes, "ReadCapacityUnits")
        writes = [self._prepare(action) for action in actions]
        _check_distinct([(write.table, write.place) for write in writes if isinstance(write, Write)])
        outcomes = [_outcome(write) for write in writes]
        results = [outcome for outcome in outcomes if isinstance(outcome, _Result)]
        if len(results) < len(outcomes):
            raise _cancelled(
                [_NO_REASON if isinstance(outcome, _Result) else outcome for outcome in outcomes]
            )
        if sum(max(item_size(old or {}), item_size(new or {})) for _, old, new in results) > MOST_BYTES:
            raise invalid("Transaction request cannot have more than 4 MB of items")
        units: dict[str, float] = {}
        for write, old, new in results:
            units[write.table.name] = units.get(write.table.name, 0.0) + 2 * write_units(old, new)
        self._carry_out(results)
        if token:
            self._done[token] = _Done(self._catalogue.now(), _encode(actions), units)
        return _answer(request, units, "WriteCapacityUnits")

    def _known(self, token: str | None, actions: list[Any]) -> _Done | None:
        now = self._catalogue.now()
        while (
            self._done and (oldest := next(iter(self._done))) and self._done[oldest].at <= now - TOKEN_SECONDS
        ):
            del self._done[oldest]
        done = self._done.get(token or "")
        if done is not None and done.request != _encode(actions):
            raise ServiceError("IdempotentParameterMismatchException")
        return done

    def _prepare(self, action: Mapping[str, Request]) -> Write | MismatchError:
        if len(action) != 1:
            raise invalid("TransactItems can only contain one of Check, Put, Update or Delete")
        ((kind, request),) = action.items()
        prepare, members = _ACTIONS[kind]
        check_members(request, members)
        if kind == "Update":
            required(request, "UpdateExpression")
        try:
            return prepare(self._catalogue, request)
        except MismatchError as error:
            return error

    def _carry_out(self, results: list[_Result]) -> None:
        now = self._catalogue.now()
        changes: dict[str, tuple[Table, list[ItemChange]]] = {}
        for write, _, new in results:
            change = write.table.write(write.place, new, now=now)
            if change is not None:
                changes.setdefault(write.table.name, (write.table, []))[1].append(change)
        for table, its in changes.values():
            self._catalogue.tell(table, its)

    def transact_get_items(self, request: Request) -> Response:
        check_members(request, ("TransactItems", "ReturnConsumedCapacity"))
        responses: list[dict[str, Item]] = []
        units: dict[str, float] = {}
        places = []
        reasons: list[Mapping[str, Any]] = []
        for action in _actions(request):
            get = required(action, "Get")
            check_members(get, _GET_MEMBERS)
            wanted = projection(get)
            table = self._catalogue.get(required(get, "TableName"))
            try:
                place = table.key.place(table.key.read_key(required(get, "Key")))
            except MismatchError as error:
                reasons.append(_refused(error))
                continue
            reasons.append(_NO_REASON)
            places.append((table, place))
            item = table.items.get(place)
            responses.append({} if item is None else {"Item": projected(item, wanted)})
            size = item_size(item or {})
            units[table.name] = units.get(table.name, 0.0) + 2 * read_units(size, consistent=True)
        _check_distinct(places)
        if any(reason is not _NO_REASON for reason in reasons):
            raise _cancelled(reasons)
        return _answer(request, units, "ReadCapacityUnits") | {"Responses": responses}


def _actions(request: Request) -> list[Mapping[str, Any]]:
    actions: list[Mapping[str, Any]] = required(request, "TransactItems")
    if not 1 <= len(actions) <= MOST_ACTIONS:
        raise invalid(
            "1 validation error detected: Value at 'transactItems' failed to satisfy constraint: Member must have length "
            f"between 1 and {MOST_ACTIONS}"
        )
    return actions


def _check_distinct(places: list[tuple[Table, Any]]) -> None:
    if len({(table.name, place) for table, place in places}) < len(places):
        raise invalid("Transaction request cannot include multiple operations on one item")


def _outcome(write: Write | MismatchError) -> _Result | Mapping[str, Any]:
    """The result, or the reason why there is none."""
    if isinstance(write, MismatchError):
        return _refused(write)
    old = write.table.items.get(write.place)
    if not write.allowed(old):
        return _failed(write, old)
    try:
        return _Result(write, old, write.makes(old))
    except ServiceError as error:
        return _refused(error)


def _failed(write: Write, old: Item | None) -> dict[str, Any]:
    reason: dict[str, Any] = {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"}
    if write.returns_item and old is not None:
        reason["Item"] = old
    return reason


def _refused(error: ServiceError) -> dict[str, Any]:
    return {"Code": "ValidationError", "Message": error.message}


def _cancelled(reasons: list[Mapping[str, Any]]) -> ServiceError:
    codes = ", ".join(reason["Code"] for reason in reasons)
    return ServiceError(
        "TransactionCanceledException",
        f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]",
        members={"CancellationReasons": reasons},
    )


def _answer(request: Request, units: Mapping[str, float], what: str) -> Response:
    if not wants_capacity(request):
        return {}
    return {"ConsumedCapacity": [consumed(request, name, one, **{what: one}) for name, one in units.items()]}
