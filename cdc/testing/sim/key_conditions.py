"""KeyConditionExpression: one partition key, and at most one condition on the sort key."""

from collections.abc import Iterator
from typing import assert_never

from cdc.testing.sim.change import Value
from cdc.testing.sim.expressions.conditions import predicate
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
from cdc.testing.sim.items import KeySchema, partition_hash
from cdc.testing.sim.requests import invalid
from cdc.testing.sim.values import sortable

MOST_CONDITIONS = 2


class KeyCondition:
    """
    Raises:
        ServiceError: ValidationException: a condition that a query cannot have, or no partition key.
    """

    def __init__(self, parsed: Parsed[Condition], scope: Scope, key: KeySchema) -> None:
        self._scope, self._key = scope, key
        self._found: dict[str, Condition] = {}
        for condition in _flat(parsed.node):
            name = self._attribute(condition)
            if name in self._found:
                raise invalid("KeyConditionExpressions must only contain one condition per key")
            self._found[name] = condition
        if key.partition not in self._found or not self._found.keys() <= set(key.names):
            raise invalid("Query condition missed key schema element")
        partition = self._found[key.partition]
        if not isinstance(partition, Comparison) or partition.operator != "=":
            raise invalid("Query key condition not supported")
        self.holds = predicate(parsed, scope)
        value = self._constants(partition)[0]
        in_hash = partition_hash(value)
        self.partition = (in_hash, sortable(value))
        """How the places of all items begin that have this partition key."""
        self.bounds = (self.partition, (in_hash + 1,))
        """Of places; others may be between them."""

    def _attribute(self, condition: Condition) -> str:
        """The key attribute that a condition is about."""
        operands = _operands(condition)
        if (
            isinstance(condition, In)
            or (isinstance(condition, Comparison) and condition.operator == "<>")
            or (isinstance(condition, Test) and condition.function != "begins_with")
        ):
            raise invalid("Invalid operator used in KeyConditionExpression")
        paths = [self._scope.path(operand) for operand in operands if isinstance(operand, tuple)]
        values = [operand for operand in operands if isinstance(operand, Placeholder)]
        if len(paths) != 1 or len(values) != len(operands) - 1:
            raise invalid(
                "Invalid condition in KeyConditionExpression: it compares one attribute with values"
            )
        if len(paths[0]) > 1:
            raise invalid(
                "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed"
            )
        name = str(paths[0][0])
        kinds = dict(zip(self._key.names, (self._key.partition_type, self._key.sort_type), strict=False))
        for value in self._constants(condition):
            if name in kinds and kinds[name] not in value:
                raise invalid(
                    "One or more parameter values were invalid: Condition parameter type does not match schema type"
                )
            if name in kinds and not value[kinds[name]]:
                raise invalid(
                    "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an "
                    f"empty value. Key: {name}"
                )
        return name

    def _constants(self, condition: Condition) -> list[Value]:
        return [
            self._scope.values[operand.name]
            for operand in _operands(condition)
            if isinstance(operand, Placeholder)
        ]


def _flat(condition: Condition) -> list[Condition]:
    match condition:
        case Group():
            return _flat(condition.condition)
        case All():
            parts = [part for one in condition.conditions for part in _flat(one)]
            if len(parts) > MOST_CONDITIONS:
                raise invalid("Conditions can be of length 1 or 2 only")
            return parts
        case Not() | Either():
            raise invalid(
                f"Invalid operator used in KeyConditionExpression: {'NOT' if isinstance(condition, Not) else 'OR'}"
            )
        case _:
            return [condition]


def _operands(condition: Condition) -> tuple[Operand, ...]:
    match condition:
        case Comparison():
            return (condition.left, condition.right)
        case Between():
            return (condition.operand, condition.lowest, condition.highest)
        case In():
            return (condition.operand, *condition.options)
        case Test():
            return condition.operands
        case _:
            return ()


def attributes_of(condition: Condition, scope: Scope) -> Iterator[str]:
    """The names of all attributes that a condition asks for."""
    match condition:
        case Group() | Not():
            yield from attributes_of(condition.condition, scope)
        case All() | Either():
            for part in condition.conditions:
                yield from attributes_of(part, scope)
        case Comparison() | Between() | In() | Test():
            for operand in _operands(condition):
                path: Path | Placeholder = operand.of if isinstance(operand, Size) else operand
                if isinstance(path, tuple):
                    yield str(scope.path(path)[0])
        case _:
            assert_never(condition)
