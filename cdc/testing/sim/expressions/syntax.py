"""What an expression says, before it is known which attributes and values its placeholders stand for."""

from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

Path = tuple[str | int, ...]
"""Of an attribute: its name, then members of maps (text) and elements of lists (numbers). A placeholder has its `#`."""


@dataclass(frozen=True, slots=True)
class Placeholder:
    """`:name`, a value of the request."""

    name: str


@dataclass(frozen=True, slots=True)
class Size:
    of: "Path | Placeholder"


Operand = Path | Placeholder | Size

Comparator = Literal["=", "<>", "<", "<=", ">", ">="]


@dataclass(frozen=True, slots=True)
class Comparison:
    operator: Comparator
    left: Operand
    right: Operand


@dataclass(frozen=True, slots=True)
class Between:
    operand: Operand
    lowest: Operand
    highest: Operand


@dataclass(frozen=True, slots=True)
class In:
    operand: Operand
    options: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Test:
    """A function that is a condition."""

    function: Literal["attribute_exists", "attribute_not_exists", "attribute_type", "begins_with", "contains"]
    operands: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Not:
    condition: "Condition"


@dataclass(frozen=True, slots=True)
class All:
    conditions: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Either:
    conditions: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Group:
    """In parentheses."""

    condition: "Condition"


Condition = Comparison | Between | In | Test | Not | All | Either | Group


@dataclass(frozen=True, slots=True)
class IfNotExists:
    path: Path
    otherwise: "Addend"


@dataclass(frozen=True, slots=True)
class ListAppend:
    first: "Addend"
    second: "Addend"


Addend = Path | Placeholder | IfNotExists | ListAppend


@dataclass(frozen=True, slots=True)
class Sum:
    operator: Literal["+", "-"]
    left: Addend
    right: Addend


@dataclass(frozen=True, slots=True)
class Assignment:
    path: Path
    value: Addend | Sum


@dataclass(frozen=True, slots=True)
class Change:
    """Of the ADD or the DELETE section."""

    path: Path
    value: Placeholder


@dataclass(frozen=True, slots=True)
class Update:
    """The four sections of an update, empty where there is none."""

    assignments: tuple[Assignment, ...]
    removals: tuple[Path, ...]
    additions: tuple[Change, ...]
    deletions: tuple[Change, ...]

    @property
    def paths(self) -> tuple[Path, ...]:
        changes = (*self.additions, *self.deletions)
        return (*(one.path for one in self.assignments), *(one.path for one in changes), *self.removals)


Node = TypeVar("Node", Condition, Update, tuple[Path, ...])


@dataclass(frozen=True, slots=True)
class Parsed(Generic[Node]):
    kind: str
    """The request's member that had the text: ConditionExpression, UpdateExpression ..."""
    node: Node
    names: frozenset[str]
    """Of attributes, all placeholders that it has."""
    values: frozenset[str]
