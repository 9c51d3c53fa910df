"""Conditions, with what their placeholders stand for: functions that say whether an item meets them."""

from collections.abc import Callable
from operator import ge, gt, le, lt
from typing import Any, assert_never

from cdc.testing.sim.change import Item, Value
from cdc.testing.sim.expressions.paths import find
from cdc.testing.sim.expressions.scope import Scope
from cdc.testing.sim.expressions.syntax import (
    All,
    Between,
    Comparison,
    Condition,
    Either,
    Group,
    In,
    Not,
    Operand,
    Parsed,
    Path,
    Placeholder,
    Size,
    Test,
)
from cdc.testing.sim.failures import ServiceError
from cdc.testing.sim.requests import invalid
from cdc.testing.sim.values import SET_TYPES, TYPES, binary, sortable, type_of

Predicate = Callable[[Item], bool]
Getter = Callable[[Item], Value | None]

ORDERED = frozenset(("S", "N", "B"))
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {"<": lt, "<=": le, ">": gt, ">=": ge}
_SIZED = frozenset(("S", "B", "L", "M", *SET_TYPES))


def predicate(parsed: Parsed[Condition], scope: Scope) -> Predicate:
    """Of an item that does not exist, ask for `{}`.

    Raises:
        ServiceError: ValidationException: a value is of a type that its operator never takes.
    """
    return _Binder(parsed.kind, scope).bind(parsed.node)


class _Binder:
    def __init__(self, kind: str, scope: Scope) -> None:
        self._kind, self._scope = kind, scope

    def bind(self, node: Condition) -> Predicate:  # noqa: PLR0911 - one for each kind of condition
        match node:
            case Comparison():
                return self._comparison(node)
            case Between():
                return self._between(node)
            case In():
                operand, options = (
                    self._getter(node.operand),
                    [self._getter(option) for option in node.options],
                )
                return lambda item: _is_in(operand(item), [option(item) for option in options])
            case Test():
                return self._test(node)
            case Not():
                negated = self.bind(node.condition)
                return lambda item: not negated(item)
            case Group():
                return self.bind(node.condition)
            case All():
                parts = [self.bind(part) for part in node.conditions]
                return lambda item: all(part(item) for part in parts)
            case Either():
                parts = [self.bind(part) for part in node.conditions]
                return lambda item: any(part(item) for part in parts)
            case _:
                assert_never(node)

    def _comparison(self, node: Comparison) -> Predicate:
        left, right = self._getter(node.left), self._getter(node.right)
        if node.operator == "=":
            return lambda item: (found := left(item)) is not None and found == right(item)
        if node.operator == "<>":
            # What is missing differs from everything, also from what else is missing.
            return lambda item: (found := left(item)) is None or found != right(item)
        self._check_constants(node.operator, (node.left, node.right), ORDERED)
        order = _ORDERS[node.operator]
        return lambda item: _in_order(order, left(item), right(item))

    def _between(self, node: Between) -> Predicate:
        self._check_constants("BETWEEN", (node.operand, node.lowest, node.highest), ORDERED)
        if isinstance(node.lowest, Placeholder) and isinstance(node.highest, Placeholder):
            low, high = self._scope.values[node.lowest.name], self._scope.values[node.highest.name]
            if type_of(low) != type_of(high):
                raise self._refusal("The BETWEEN operator requires same data type for lower and upper bounds")
            if sortable(low) > sortable(high):
                raise self._refusal(
                    "The BETWEEN operator requires upper bound to be greater than or equal to lower bound"
                )
        operand, lowest, highest = map(self._getter, (node.operand, node.lowest, node.highest))
        return lambda item: (
            _in_order(ge, found := operand(item), lowest(item)) and _in_order(le, found, highest(item))
        )

    def _test(self, node: Test) -> Predicate:
        first = self._getter(node.operands[0])
        if node.function == "attribute_exists":
            return lambda item: first(item) is not None
        if node.function == "attribute_not_exists":
            return lambda item: first(item) is None
        second = self._getter(node.operands[1])
        if node.function == "attribute_type":
            kind = self._type_name(node.operands[1])
            return lambda item: kind in (first(item) or ())
        if node.function == "begins_with":
            self._check_constants("begins_with", node.operands, frozenset(("S", "B")))
            return lambda item: _begins_with(first(item), second(item))
        return lambda item: _contains(first(item), second(item))

    def _type_name(self, operand: Operand) -> str:
        if not isinstance(operand, Placeholder):
            raise self._wrong_type("attribute_type", "no value")
        self._check_constants("attribute_type", (operand,), frozenset("S"))
        kind: str = self._scope.values[operand.name]["S"]
        if kind not in TYPES:
            raise self._refusal(f"Invalid attribute type name found; type: {kind}")
        return kind

    def _getter(self, operand: Operand) -> Getter:
        match operand:
            case Placeholder():
                value = self._scope.values[operand.name]
                return lambda _: value
            case Size():
                self._check_constants("size", (operand.of,), _SIZED)
                of = self._getter(operand.of)
                return lambda item: _size(of(item))
            case _:
                return _at(self._scope.path(operand))

    def _check_constants(self, operator: str, operands: tuple[Operand, ...], allowed: frozenset[str]) -> None:
        for operand in operands:
            kind = self._kind_of(operand)
            if kind is not None and kind not in allowed:
                raise self._wrong_type(operator, kind)

    def _kind_of(self, operand: Operand) -> str | None:
        """The type of what does not depend on the item."""
        if isinstance(operand, Placeholder):
            return type_of(self._scope.values[operand.name])
        return "N" if isinstance(operand, Size) else None

    def _wrong_type(self, operator: str, kind: str) -> ServiceError:
        return self._refusal(
            f"Incorrect operand type for operator or function; operator or function: {operator}, operand type: {kind}"
        )

    def _refusal(self, message: str) -> ServiceError:
        return invalid(f"Invalid {self._kind}: {message}")


def _at(path: Path) -> Getter:
    if len(path) == 1:
        name = path[0]
        return lambda item: item.get(name)  # type: ignore[arg-type]  # a path begins with a name
    return lambda item: find(item, path)


def _in_order(order: Callable[[Any, Any], bool], one: Value | None, other: Value | None) -> bool:
    """Values of different types, and those without an order, are in none."""
    if one is None or other is None or (kind := type_of(one)) not in other or kind not in ORDERED:
        return False
    return order(sortable(one), sortable(other))


def _is_in(value: Value | None, options: list[Value | None]) -> bool:
    return value is not None and value in options


def _begins_with(value: Value | None, beginning: Value | None) -> bool:
    if value is None or beginning is None:
        return False
    if "S" in value and "S" in beginning:
        whole: str = value["S"]
        return whole.startswith(beginning["S"])
    return "B" in value and "B" in beginning and binary(value["B"]).startswith(binary(beginning["B"]))


def _contains(value: Value | None, part: Value | None) -> bool:
    if value is None or part is None:
        return False
    kind = type_of(value)
    if kind == "S":
        return "S" in part and part["S"] in value["S"]
    if kind == "B":
        return "B" in part and binary(part["B"]) in binary(value["B"])
    if kind == "L":
        return part in value["L"]
    return kind in SET_TYPES and part.get(SET_TYPES[kind]) in value[kind]


def _size(value: Value | None) -> Value | None:
    """Of a string, its UTF-16 units: what DynamoDB Local counts."""
    if value is None:
        return None
    ((kind, content),) = value.items()
    if kind not in _SIZED:
        return None
    if kind == "S":
        return {"N": str(len(content.encode("utf-16-le", "surrogatepass")) // 2)}
    return {"N": str(len(binary(content) if kind == "B" else content))}
