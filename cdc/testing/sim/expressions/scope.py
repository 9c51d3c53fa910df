"""What the placeholders of a request's expressions stand for."""

import re
from collections.abc import Mapping
from typing import Any

from cdc.testing.sim.change import Value
from cdc.testing.sim.expressions.syntax import Parsed, Path
from cdc.testing.sim.requests import Request, invalid
from cdc.testing.sim.values import canonical

_NAME = re.compile(r"#[A-Za-z0-9_]+", re.ASCII)
_VALUE = re.compile(r":[A-Za-z0-9_]+", re.ASCII)


class Scope:
    """Names and values of one request, for the expressions that it has.

    Raises:
        ServiceError: ValidationException: a placeholder that is not defined, or not used, or not one.
    """

    __slots__ = ("names", "values")

    def __init__(self, request: Request, *expressions: Parsed[Any]) -> None:
        self.names: Mapping[str, str] = _given(request, "ExpressionAttributeNames", _NAME, expressions)
        given = _given(request, "ExpressionAttributeValues", _VALUE, expressions)
        self.values: Mapping[str, Value] = {name: canonical(value) for name, value in given.items()}
        used_names: set[str] = set()
        used_values: set[str] = set()
        for expression in expressions:
            if not expression.names <= self.names.keys():
                raise _undefined(expression.kind, "name", expression.names - self.names.keys())
            if not expression.values <= self.values.keys():
                raise _undefined(expression.kind, "value", expression.values - self.values.keys())
            used_names |= expression.names
            used_values |= expression.values
        if len(used_names) < len(self.names):
            raise _unused("Names", self.names.keys() - used_names)
        if len(used_values) < len(self.values):
            raise _unused("Values", self.values.keys() - used_values)

    def path(self, path: Path) -> Path:
        """With names in the placeholders' places."""
        for step in path:
            if isinstance(step, str) and step[0] == "#":
                return tuple([self._step(step) for step in path])
        return path

    def _step(self, step: str | int) -> str | int:
        return self.names[step] if isinstance(step, str) and step[0] == "#" else step


def _given(
    request: Request, member: str, allowed: re.Pattern[str], expressions: tuple[Parsed[Any], ...]
) -> Mapping[str, Any]:
    given: Mapping[str, Any] | None = request.get(member)
    if given is None:
        return {}
    if not expressions:
        raise invalid(f"{member} can only be specified when using expressions")
    if not given:
        raise invalid(f"{member} must not be empty")
    for key in given:
        if not allowed.fullmatch(key):
            raise invalid(f'{member} contains invalid key: Syntax error; key: "{key}"')
    return given


def _undefined(kind: str, what: str, placeholders: frozenset[str]) -> Exception:
    return invalid(
        f"Invalid {kind}: An expression attribute {what} used in "
        f"{'the document path' if what == 'name' else 'expression'} is not defined; "
        f"attribute {what}: {min(placeholders)}"
    )


def _unused(what: str, placeholders: set[str]) -> Exception:
    return invalid(
        f"Value provided in ExpressionAttribute{what} unused in expressions: keys: {{{', '.join(sorted(placeholders))}}}"
    )
