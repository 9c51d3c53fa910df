"""Scan and Query: pages of a table's items, in the order of their places."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from cdc.testing.sim.capacity import consumed, read_units, wants_capacity
from cdc.testing.sim.catalogue import Catalogue
from cdc.testing.sim.change import Item
from cdc.testing.sim.expressions.conditions import Predicate, predicate
from cdc.testing.sim.expressions.parse import parse_condition, parse_projection
from cdc.testing.sim.expressions.paths import tree
from cdc.testing.sim.expressions.scope import Scope
from cdc.testing.sim.expressions.syntax import Condition, Parsed
from cdc.testing.sim.items import HASHES, Place, read_attributes
from cdc.testing.sim.key_conditions import KeyCondition, attributes_of
from cdc.testing.sim.reads import projected
from cdc.testing.sim.requests import (
    MismatchError,
    Request,
    Response,
    bounded,
    check_members,
    choice,
    invalid,
    required,
)
from cdc.testing.sim.table import Table
from cdc.testing.sim.values import item_size

PAGE_BYTES = 1024 * 1024
MOST_SEGMENTS = 1_000_000
_MEMBERS = (
    "TableName",
    "FilterExpression",
    "ProjectionExpression",
    "ExpressionAttributeNames",
    "ExpressionAttributeValues",
    "Limit",
    "ExclusiveStartKey",
    "ConsistentRead",
    "Select",
    "ReturnConsumedCapacity",
)
_SCAN_MEMBERS = frozenset((*_MEMBERS, "Segment", "TotalSegments"))
_QUERY_MEMBERS = frozenset((*_MEMBERS, "KeyConditionExpression", "ScanIndexForward"))
_SELECTIONS = ("ALL_ATTRIBUTES", "COUNT", "SPECIFIC_ATTRIBUTES")


class Scans:
    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def handlers(self) -> Mapping[str, Callable[[Request], Response]]:
        return {"Scan": self.scan, "Query": self.query}

    def scan(self, request: Request) -> Response:
        check_members(request, _SCAN_MEMBERS)
        segment, segments = _segment(request)
        wanted = _Wanted(request)
        table = self._catalogue.get(required(request, "TableName"))
        low, high = HASHES * segment // segments, HASHES * (segment + 1) // segments
        start = _start(request, table)
        if start is not None and not low <= start[0] < high:
            raise invalid("The provided starting key is invalid: it is not of this segment")
        consistent = request.get("ConsistentRead", False)
        view = self._catalogue.items(table, consistent=consistent)
        found = view.walk((low,) if start is None else start, (high,))
        return wanted.page(table, (one for one in found if one[0] != start))

    def query(self, request: Request) -> Response:
        check_members(request, _QUERY_MEMBERS)
        text = request.get("KeyConditionExpression")
        if text is None:
            raise invalid(
                "Either the KeyConditions or KeyConditionExpression parameter must be specified in the request."
            )
        parsed = parse_condition("KeyConditionExpression", text)
        wanted = _Wanted(request, parsed)
        table = self._catalogue.get(required(request, "TableName"))
        key = KeyCondition(parsed, wanted.scope, table.key)
        wanted.check_filter(table)
        forward = request.get("ScanIndexForward", True)
        low: tuple[Any, ...]
        high: tuple[Any, ...]
        low, high = key.bounds
        start = _start(request, table)
        if start is not None:
            if start[:2] != key.partition or not key.holds(read_attributes(request["ExclusiveStartKey"])):
                raise invalid(
                    "The provided starting key is outside query boundaries based on provided conditions"
                )
            low, high = (start, high) if forward else (low, start)
        view = self._catalogue.items(table, consistent=request.get("ConsistentRead", False))
        found = view.walk(low, high, backward=not forward)
        return wanted.page(table, (one for one in found if one[0] != start and key.holds(one[1])))


class _Wanted:
    """What a request wants of the items that it comes by.

    Raises:
        ServiceError: ValidationException.
    """

    def __init__(self, request: Request, *key: Parsed[Condition]) -> None:
        self._request = request
        filtering = request.get("FilterExpression")
        projecting = request.get("ProjectionExpression")
        self._filter = None if filtering is None else parse_condition("FilterExpression", filtering)
        parsed = None if projecting is None else parse_projection(projecting)
        self.scope = Scope(
            request, *key, *([self._filter] if self._filter else []), *([parsed] if parsed else [])
        )
        self._passes: Predicate | None = None if self._filter is None else predicate(self._filter, self.scope)
        self._projection = None if parsed is None else tree(parsed.kind, map(self.scope.path, parsed.node))
        self._limit = bounded(request, "Limit", 1)
        self._counts = _selection(request) == "COUNT"
        self._wants_capacity = wants_capacity(request)

    def check_filter(self, table: Table) -> None:
        """Raises: ServiceError: ValidationException: a query's filter asks for the key."""
        if self._filter is not None:
            for name in attributes_of(self._filter.node, self.scope):
                if name in table.key.names:
                    raise invalid(
                        "Filter Expression can only contain non-primary key attributes: Primary key attribute: "
                        f"{name}"
                    )

    def page(self, table: Table, found: Iterator[tuple[Place, Item]]) -> Response:
        """Up to the limit, or to the item that makes it 1 MB: before the filter."""
        items: list[Item] = []
        scanned = size = 0
        last: Item | None = None
        for _, item in found:
            scanned += 1
            size += item_size(item)
            if self._passes is None or self._passes(item):
                items.append(projected(item, self._projection))
            if scanned == self._limit or size >= PAGE_BYTES:
                last = table.key.key_of(item)
                break
        page: Response = {"Count": len(items), "ScannedCount": scanned}
        if not self._counts:
            page["Items"] = items
        if last is not None:
            page["LastEvaluatedKey"] = last
        if self._wants_capacity:
            units = read_units(size, consistent=self._request.get("ConsistentRead", False))
            page["ConsumedCapacity"] = consumed(self._request, table.name, units)
        return page


def _selection(request: Request) -> str:
    projects = "ProjectionExpression" in request
    selection = choice(
        request, "Select", _SELECTIONS, "SPECIFIC_ATTRIBUTES" if projects else "ALL_ATTRIBUTES"
    )
    if projects and selection != "SPECIFIC_ATTRIBUTES":
        raise invalid(
            "Cannot specify the ProjectionExpression when choosing to get "
            + ("only the Count" if selection == "COUNT" else selection)
        )
    if selection == "SPECIFIC_ATTRIBUTES" and not projects:
        raise invalid(
            "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES"
        )
    return selection


def _segment(request: Request) -> tuple[int, int]:
    """(segment, of how many)"""
    segments = bounded(request, "TotalSegments", 1, MOST_SEGMENTS)
    segment = bounded(request, "Segment", 0, MOST_SEGMENTS - 1)
    if segments is None and segment is None:
        return 0, 1
    if segments is None:
        raise invalid(
            "The TotalSegments parameter is required but was not present in the request when Segment is present"
        )
    if segment is None:
        raise invalid(
            "The Segment parameter is required but was not present in the request when parameter TotalSegments is present"
        )
    if segment >= segments:
        raise invalid(
            "The Segment parameter is zero-based and must be less than parameter TotalSegments: "
            f"Segment: {segment} is not less than TotalSegments: {segments}"
        )
    return segment, segments


def _start(request: Request, table: Table) -> Place | None:
    key: Any = request.get("ExclusiveStartKey")
    if key is None:
        return None
    try:
        return table.key.place(table.key.read_key(key))
    except MismatchError as error:
        raise invalid(f"The provided starting key is invalid: {error.message}") from None
