"""UpdateExpression: from tokens to syntax."""

from functools import lru_cache
from typing import Literal

from cdc.testing.sim.expressions.parse import REMEMBERED, TESTS, Parser
from cdc.testing.sim.expressions.syntax import (
    Addend,
    Assignment,
    Change,
    IfNotExists,
    ListAppend,
    Parsed,
    Path,
    Sum,
    Update,
)

SECTIONS = ("SET", "REMOVE", "ADD", "DELETE")
OPERATORS: tuple[Literal["+"], Literal["-"]] = ("+", "-")


class UpdateParser(Parser):
    def update(self) -> Update:
        assignments: list[Assignment] = []
        removals: tuple[Path, ...] = ()
        changes: dict[str, list[Change]] = {"ADD": [], "DELETE": []}
        seen = set()
        while self.next.sort != "end":
            section = self.next.keyword
            if section not in SECTIONS:
                raise self.unexpected()
            if section in seen:
                raise self.refusal(f'The "{section}" section can only be used once in an update expression;')
            seen.add(section)
            self.take()
            if section == "SET":
                assignments.append(self._assignment())
                while self.takes(","):
                    assignments.append(self._assignment())
            elif section == "REMOVE":
                removals = self.paths()
            else:
                changes[section].append(Change(self.path(), self.placeholder()))
                while self.takes(","):
                    changes[section].append(Change(self.path(), self.placeholder()))
        return Update(tuple(assignments), removals, tuple(changes["ADD"]), tuple(changes["DELETE"]))

    def _assignment(self) -> Assignment:
        path = self.path()
        self.expect("=")
        value, _ = self._value()
        return Assignment(path, value)

    def _value(self) -> tuple[Addend | Sum, bool]:
        """(the value, whether all of it is in parentheses)"""
        grouped = self.takes("(")
        if grouped:
            left, twice = self._value()
            self.expect(")")
            if twice:
                raise self.redundant()
            if isinstance(left, Sum):
                return left, True
        else:
            left = self._addend()
        for operator in OPERATORS:
            if self.takes(operator):
                self.counted()
                return Sum(operator, left, self._addend()), False
        return left, grouped

    def _addend(self) -> Addend:
        return self.grouped(self._plain_addend)

    def _plain_addend(self) -> Addend:
        function = self.calls()
        if function is None:
            return self.placeholder() if self.next.sort == "value" else self.path()
        if function not in ("if_not_exists", "list_append"):
            if function in TESTS or function == "size":
                raise self.refusal(
                    f"The function is not allowed in an update expression; function: {function}"
                )
            raise self.refusal(f"Invalid function name; function: {function}")
        self.counted()
        self.take()
        self.expect("(")
        first = self._addend()
        self.expect(",")
        second = self._addend()
        self.expect(")")
        if function == "list_append":
            return ListAppend(first, second)
        if not isinstance(first, tuple):
            raise self.refusal(
                "Operator or function requires a document path; operator or function: if_not_exists"
            )
        return IfNotExists(first, second)


@lru_cache(REMEMBERED)
def parse_update(text: str) -> Parsed[Update]:
    """Raises: ServiceError: ValidationException."""
    parser = UpdateParser("UpdateExpression", text)
    node = parser.update()
    return Parsed(parser.kind, node, parser.used("name"), parser.used("value"))
