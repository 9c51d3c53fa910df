"""The diagrams of docs/architecture.md, drawn from the transition tables: `python -m tests.diagrams` draws them anew.

Such a part of the page stands between `<!-- drawn from LANE: … -->` and `<!-- until here -->`.
"""

import ast
import inspect
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from cdc.core.lineage import LANE, LaneEvent, LaneState
from cdc.core.world import SINK, SinkEvent, SinkState

S = TypeVar("S", bound=StrEnum)
E = TypeVar("E", bound=StrEnum)

PAGE = Path(__file__).parents[1] / "docs/architecture.md"
_PART = re.compile(r"(<!-- drawn from (\w+): [^>]*-->\n)(.*?)(<!-- until here -->)", re.DOTALL)


def page(text: str) -> str:
    """The page with its parts drawn anew."""
    return _PART.sub(lambda part: f"{part[1]}\n{_PARTS[part[2]]()}\n{part[4]}", text)


def diagram(table: Mapping[tuple[S, E], S], first: S) -> str:
    """What moves it, as a Mermaid state diagram. What changes nothing is not drawn."""
    ways: dict[tuple[S, S], list[str]] = {}
    for (before, event), after in table.items():
        if before is not after:
            ways.setdefault((before, after), []).append(event.value)
    lines = [f"    {before} --> {after}: {', '.join(events)}" for (before, after), events in ways.items()]
    ends = [f"    {after} --> [*]" for _, after in ways if not any(before is after for before, _ in ways)]
    lines += dict.fromkeys(ends)
    return "\n".join(["```mermaid", "stateDiagram-v2", f"    [*] --> {first}", *lines, "```", ""])


def states(table: Mapping[tuple[S, E], S], kind: type[S]) -> str:
    """What each state means, and what may happen in it that changes nothing."""
    said = meanings(kind)
    lines = ["| State | | What changes nothing |", "|---|---|---|"]
    for state in kind:
        idle = [event.value for (before, event), after in table.items() if before is state and after is state]
        lines.append(f"| {state} | {said[state]} | {', '.join(idle)} |")
    return "\n".join([*lines, ""])


def events(kind: type[E]) -> str:
    said = meanings(kind)
    return "\n".join(["| Event | |", "|---|---|", *(f"| {event} | {said[event]} |" for event in kind), ""])


def meanings(kind: type[E]) -> Mapping[E, str]:
    """The docstring of each member, as it stands in the source."""
    body = ast.parse(inspect.getsource(kind)).body[0]
    assert isinstance(body, ast.ClassDef)
    found: dict[E, str] = {}
    member: E | None = None
    for statement in body.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)]):
                member = kind[name]
            case ast.Expr(value=ast.Constant(value=str(text))) if member is not None:
                found[member] = " ".join(text.split())
    return found


_PARTS: Mapping[str, Callable[[], str]] = {
    "LANE": lambda: "\n".join([diagram(LANE, LaneState.WAITING), states(LANE, LaneState), events(LaneEvent)]),
    "SINK": lambda: "\n".join([diagram(SINK, SinkState.DOWN), states(SINK, SinkState), events(SinkEvent)]),
}

if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
