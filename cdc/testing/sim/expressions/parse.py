"""From tokens to syntax: what all expressions have in common, and the three kinds of them but updates."""

from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

from cdc.testing.sim.expressions.reserved import RESERVED
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
from cdc.testing.sim.expressions.tokens import Token, tokens
from cdc.testing.sim.failures import ServiceError
from cdc.testing.sim.requests import invalid

Read = TypeVar("Read")

REMEMBERED = 4096
MOST_OPERATORS = 300
MOST_OPTIONS = 100
MOST_PATH_STEPS = 32

COMPARATORS = ("=", "<>", "<", "<=", ">", ">=")
TESTS = {
    "attribute_exists": 1,
    "attribute_not_exists": 1,
    "attribute_type": 2,
    "begins_with": 2,
    "contains": 2,
}
"""How many operands each has."""
_PATH_FIRST = ("attribute_exists", "attribute_not_exists")


class Parser:
    """Reads one expression, token by token."""

    def __init__(self, kind: str, text: str) -> None:
        self.kind = kind
        self._tokens = tokens(kind, text)
        self._at = 0
        self._operators = 0

    @property
    def next(self) -> Token:
        return self._tokens[self._at]

    def take(self) -> Token:
        token = self.next
        self._at += token.sort != "end"
        return token

    def takes(self, text: str) -> bool:
        """Whether the next token is this symbol or keyword; then it is taken."""
        found = self.next.text == text if self.next.sort == "symbol" else self.next.keyword == text
        if found:
            self.take()
        return found

    def expect(self, text: str) -> None:
        if not self.takes(text):
            raise self.unexpected()

    def end(self) -> None:
        if self.next.sort != "end":
            raise self.unexpected()

    def counted(self) -> None:
        self._operators += 1
        if self._operators > MOST_OPERATORS:
            raise self.refusal(
                f"The expression contains too many operators; operator count: {self._operators}"
            )

    def refusal(self, message: str) -> ServiceError:
        return invalid(f"Invalid {self.kind}: {message}")

    def unexpected(self) -> ServiceError:
        near = " ".join(token.text for token in self._tokens[max(0, self._at - 1) : self._at + 2])
        return self.refusal(f'Syntax error; token: "{self.next.text}", near: "{near}"')

    def redundant(self) -> ServiceError:
        return self.refusal("The expression has redundant parentheses;")

    def grouped(self, read: Callable[[], Read]) -> Read:
        """What may be in parentheses, but not in two."""
        if not self.takes("("):
            return read()
        if self.next.text == "(":
            raise self.redundant()
        found = read()
        self.expect(")")
        return found

    def used(self, sort: str) -> frozenset[str]:
        return frozenset(token.text for token in self._tokens if token.sort == sort)

    def path(self) -> Path:
        steps: list[str | int] = [self._step()]
        while True:
            if self.takes("."):
                steps.append(self._step())
            elif self.takes("["):
                if self.next.sort != "index":
                    raise self.unexpected()
                index = int(self.take().text)
                if index >= 1 << 31:
                    raise self.refusal("List index is not within the allowable range;")
                steps.append(index)
                self.expect("]")
            elif len(steps) > MOST_PATH_STEPS:
                raise self.refusal(
                    f"The document path has too many nesting elements; nesting element count: {len(steps)}"
                )
            else:
                return tuple(steps)

    def _step(self) -> str:
        token = self.next
        if token.sort not in ("word", "name"):
            raise self.unexpected()
        if token.keyword in RESERVED:
            raise self.refusal(f"Attribute name is a reserved keyword; reserved keyword: {token.text}")
        return self.take().text

    def paths(self) -> tuple[Path, ...]:
        found = [self.path()]
        while self.takes(","):
            found.append(self.path())
        return tuple(found)

    def placeholder(self) -> Placeholder:
        if self.next.sort != "value":
            raise self.unexpected()
        return Placeholder(self.take().text)

    def calls(self) -> str | None:
        """The name of the function that is called here."""
        token = self.next
        following = self._tokens[min(self._at + 1, len(self._tokens) - 1)]
        return (
            token.text
            if token.sort == "word" and following.text == "(" and token.keyword not in ("NOT", "AND", "OR")
            else None
        )

    def condition(self) -> Condition:
        parts = [self._conjunction()]
        while self.takes("OR"):
            self.counted()
            parts.append(self._conjunction())
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def _conjunction(self) -> Condition:
        parts = [self._negation()]
        while self.takes("AND"):
            self.counted()
            parts.append(self._negation())
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _negation(self) -> Condition:
        if self.takes("NOT"):
            self.counted()
            return Not(self._negation())
        if self.next.text == "(" and not self._groups_an_operand():
            self.take()
            inner = self.condition()
            self.expect(")")
            if isinstance(inner, Group):
                raise self.redundant()
            return Group(inner)
        function = self.calls()
        if function is not None and function != "size":
            return self._test(function)
        return self._comparison()

    def _groups_an_operand(self) -> bool:
        """Whether what is in parentheses here is compared with something."""
        depth = 0
        for at in range(self._at, len(self._tokens)):
            depth += {"(": 1, ")": -1}.get(self._tokens[at].text, 0)
            if not depth:
                following = self._tokens[at + 1]
                return following.text in COMPARATORS or following.keyword in ("BETWEEN", "IN")
        return False

    def _test(self, function: str) -> Condition:
        if function not in TESTS:
            if function in ("if_not_exists", "list_append"):
                raise self.refusal(f"The function is not allowed in this expression; function: {function}")
            raise self.refusal(f"Invalid function name; function: {function}")
        self.counted()
        self.take()
        operands = self._operands()
        if len(operands) != TESTS[function]:
            raise self.refusal(
                "Incorrect number of operands for operator or function; operator or function: "
                f"{function}, number of operands: {len(operands)}"
            )
        if function in _PATH_FIRST and not isinstance(operands[0], tuple):
            raise self.refusal(
                f"Operator or function requires a document path; operator or function: {function}"
            )
        self._distinct(function, operands)
        return Test(function, operands)  # type: ignore[arg-type]  # it is one of TESTS

    def _operands(self) -> tuple[Operand, ...]:
        self.expect("(")
        operands = [self._operand()]
        while self.takes(","):
            operands.append(self._operand())
        self.expect(")")
        return tuple(operands)

    def _comparison(self) -> Condition:
        left = self._operand()
        self.counted()
        if self.takes("BETWEEN"):
            lowest = self._operand()
            self.expect("AND")
            highest = self._operand()
            self._distinct("BETWEEN", (left, lowest, highest))
            return Between(left, lowest, highest)
        if self.takes("IN"):
            options = self._operands()
            if len(options) > MOST_OPTIONS:
                raise self.refusal(
                    f"Incorrect number of operands for operator or function; operator or function: IN, number of operands: {len(options)}"
                )
            self._distinct("IN", (left, *options))
            return In(left, options)
        for comparator in COMPARATORS:
            if self.takes(comparator):
                right = self._operand()
                self._distinct(comparator, (left, right))
                return Comparison(comparator, left, right)  # type: ignore[arg-type]  # it is one of them
        raise self.unexpected()

    def _operand(self) -> Operand:
        return self.grouped(self._plain_operand)

    def _plain_operand(self) -> Operand:
        function = self.calls()
        if function == "size":
            self.counted()
            self.take()
            self.expect("(")
            of = self.grouped(lambda: self.placeholder() if self.next.sort == "value" else self.path())
            self.expect(")")
            return Size(of)
        if function is not None:
            if function in TESTS:
                raise self.refusal(
                    f"The function is not allowed to be used this way in an expression; function: {function}"
                )
            raise self.refusal(f"Invalid function name; function: {function}")
        return self.placeholder() if self.next.sort == "value" else self.path()

    def _distinct(self, operator: str, operands: tuple[Operand, ...]) -> None:
        if len(operands) > 1 and isinstance(operands[0], tuple) and operands[0] in operands[1:]:
            raise self.refusal(
                "The first operand must be distinct from the remaining operands for this operator or function; "
                f"operator: {operator}"
            )


@lru_cache(REMEMBERED)
def parse_condition(kind: str, text: str) -> Parsed[Condition]:
    """Of a ConditionExpression, FilterExpression or KeyConditionExpression.

    Raises:
        ServiceError: ValidationException.
    """
    parser = Parser(kind, text)
    node = parser.condition()
    parser.end()
    return Parsed(kind, node, parser.used("name"), parser.used("value"))


@lru_cache(REMEMBERED)
def parse_projection(text: str) -> Parsed[tuple[Path, ...]]:
    """As `parse_condition`."""
    parser = Parser("ProjectionExpression", text)
    node = parser.paths()
    parser.end()
    return Parsed(parser.kind, node, parser.used("name"), parser.used("value"))
