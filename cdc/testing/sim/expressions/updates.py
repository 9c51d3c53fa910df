"""Updates, with what their placeholders stand for: from an item to the item after it."""

from collections.abc import Callable, Collection
from typing import Any, assert_never

from cdc.testing.sim.change import Item, Value
from cdc.testing.sim.expressions.paths import Tree, find, in_order, put, remove, tree
from cdc.testing.sim.expressions.scope import Scope
from cdc.testing.sim.expressions.syntax import (
    Addend,
    Change,
    IfNotExists,
    ListAppend,
    Parsed,
    Path,
    Placeholder,
    Sum,
    Update,
)
from cdc.testing.sim.failures import ServiceError
from cdc.testing.sim.numbers import add, subtract
from cdc.testing.sim.requests import MismatchError, invalid
from cdc.testing.sim.values import SET_TYPES, check_nesting, sorted_set, type_of

Computed = Callable[[Item], Value]
_ADDED = frozenset(("N", *SET_TYPES))
_DELETED = frozenset(SET_TYPES)


class BoundUpdate:
    """One request's update.

    Args:
        key: names of the attributes that no update may touch.

    Raises:
        ServiceError: ValidationException.
    """

    def __init__(self, parsed: Parsed[Update], scope: Scope, key: Collection[str]) -> None:
        self._scope = scope
        update, path = parsed.node, scope.path
        self.paths: Tree = tree(parsed.kind, map(path, update.paths))
        """All that it may change."""
        for name in key:
            if name in self.paths:
                raise MismatchError(
                    f"One or more parameter values were invalid: Cannot update attribute {name}. This attribute is part of "
                    "the key"
                )
        self.creates = not (update.removals or update.deletions) or bool(
            update.assignments or update.additions
        )
        """Whether it makes an item where there is none; what only takes away does not."""
        self._assignments = [(path(one.path), self._value(one.value)) for one in update.assignments]
        self._additions = self._changes("ADD", update.additions, _ADDED)
        self._deletions = self._changes("DELETE", update.deletions, _DELETED)
        self._removals = sorted(map(path, update.removals), key=in_order, reverse=True)
        self._assignments.sort(key=lambda one: in_order(one[0]))

    def apply(self, item: Item) -> dict[str, Value]:
        """The item after it. Everything is computed from the item as it was.

        Raises:
            ServiceError: ValidationException: the item does not have what it takes.
        """
        results: list[tuple[Path, Value | None]] = [(path, value(item)) for path, value in self._assignments]
        results += [(path, _added(find(item, path), value)) for path, value in self._additions]
        results += [(path, _without(find(item, path), value)) for path, value in self._deletions]
        new = dict(item)
        for path, result in results:
            if result is None:
                remove(new, path)
            else:
                put(new, path, result)
        # From each list's end, so that the numbers of the elements before stay what they were.
        for path in self._removals:
            remove(new, path)
        for name in self.paths:
            if name in new:
                check_nesting(new[name])
        return new

    def _changes(
        self, section: str, changes: tuple[Change, ...], allowed: frozenset[str]
    ) -> list[tuple[Path, Value]]:
        found = []
        for change in changes:
            value = self._scope.values[change.value.name]
            if type_of(value) not in allowed:
                raise _wrong_type(section, type_of(value))
            found.append((self._scope.path(change.path), value))
        return found

    def _value(self, node: Addend | Sum) -> Computed:
        match node:
            case Sum():
                self._check_constants(node.operator, (node.left, node.right), "N")
                left, right = self._value(node.left), self._value(node.right)
                calculate = add if node.operator == "+" else subtract
                return lambda item: {"N": calculate(_content(left(item), "N"), _content(right(item), "N"))}
            case Placeholder():
                value = self._scope.values[node.name]
                return lambda _: value
            case IfNotExists():
                path, otherwise = self._scope.path(node.path), self._value(node.otherwise)

                def existing(item: Item) -> Value:
                    instead = otherwise(item)  # it must be there even if it is not used
                    return find(item, path) or instead

                return existing
            case ListAppend():
                self._check_constants("list_append", (node.first, node.second), "L")
                first, second = self._value(node.first), self._value(node.second)
                return lambda item: {"L": _content(first(item), "L") + _content(second(item), "L")}
            case tuple():
                return _at(self._scope.path(node))
            case _:
                assert_never(node)

    def _check_constants(self, operator: str, operands: tuple[Addend, ...], allowed: str) -> None:
        for operand in operands:
            if isinstance(operand, Placeholder):
                kind = type_of(self._scope.values[operand.name])
                if kind != allowed:
                    raise _wrong_type(operator, kind)


def _at(path: Path) -> Computed:
    def existing(item: Item) -> Value:
        found = find(item, path)
        if found is None:
            raise invalid("The provided expression refers to an attribute that does not exist in the item")
        return found

    return existing


def _added(value: Value | None, more: Value) -> Value:
    """The sum of numbers, the union of sets."""
    kind = type_of(more)
    if value is None:
        return more
    if kind == "N":
        return {"N": add(_content(value, "N"), more["N"])}
    return {kind: sorted_set(kind, {*_content(value, kind), *more[kind]})}


def _without(value: Value | None, less: Value) -> Value | None:
    """The difference of sets. There are no empty ones: None."""
    kind = type_of(less)
    if value is None:
        return None
    left = set(_content(value, kind)) - set(less[kind])
    return {kind: sorted_set(kind, left)} if left else None


def _content(value: Value, kind: str) -> Any:
    if kind not in value:
        raise invalid("An operand in the update expression has an incorrect data type")
    return value[kind]


def _wrong_type(operator: str, kind: str) -> ServiceError:
    return invalid(
        "Invalid UpdateExpression: Incorrect operand type for operator or function; operator or function: "
        f"{operator}, operand type: {kind}"
    )
