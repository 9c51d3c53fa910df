"""Attributes by document path: found, set, removed, and picked out of an item. Nothing is changed in place."""

from collections.abc import Iterable, Mapping
from typing import Any

from cdc.testing.sim.change import Item, Value
from cdc.testing.sim.expressions.syntax import Path
from cdc.testing.sim.failures import ServiceError
from cdc.testing.sim.requests import invalid

Tree = dict[str | int, Any]
"""Paths by their steps; what ends in an empty one is taken whole."""


def find(item: Item, path: Path) -> Value | None:
    """What an item has there; None: nothing."""
    found = item.get(path[0])  # type: ignore[arg-type]  # a path begins with a name
    for step in path[1:]:
        if found is None:
            return None
        found = _child(found, step)
    return found


def _child(value: Value, step: str | int) -> Value | None:
    if isinstance(step, str):
        members: Mapping[str, Value] = value.get("M", {})
        return members.get(step)
    elements: list[Value] = value.get("L", [])
    return elements[step] if step < len(elements) else None


def put(item: dict[str, Value], path: Path, value: Value) -> None:
    """Sets what is at a path of an item of one's own. Beyond a list's end is at its end.

    Raises:
        ServiceError: ValidationException: there is nothing that could have it.
    """
    _change(item, path, value)


def remove(item: dict[str, Value], path: Path) -> None:
    """Takes away what is there, if anything.

    Raises:
        ServiceError: as `put`.
    """
    _change(item, path, None)


def _change(item: dict[str, Value], path: Path, value: Value | None) -> None:
    name: str = path[0]  # type: ignore[assignment]  # a path begins with a name
    if len(path) > 1:
        item[name] = _changed(item.get(name), path[1:], value)
    elif value is None:
        item.pop(name, None)
    else:
        item[name] = value


def _changed(container: Value | None, path: Path, value: Value | None) -> Value:
    """The container with a new value at the path, or without one."""
    step, deeper = path[0], path[1:]
    if container is None:
        raise _no_such_path()
    if isinstance(step, str):
        if "M" not in container:
            raise _no_such_path()
        members = dict(container["M"])
        if deeper:
            members[step] = _changed(members.get(step), deeper, value)
        elif value is None:
            members.pop(step, None)
        else:
            members[step] = value
        return {"M": members}
    if "L" not in container:
        raise _no_such_path()
    elements = list(container["L"])
    if deeper:
        if step >= len(elements):
            raise _no_such_path()
        elements[step] = _changed(elements[step], deeper, value)
    elif value is None:
        del elements[step : step + 1]
    else:
        elements[step : step + 1] = [value]
    return {"L": elements}


def _no_such_path() -> ServiceError:
    return invalid("The document path provided in the update expression is invalid for update")


def in_order(path: Path) -> tuple[tuple[bool, str | int], ...]:
    """What sorts paths that do not conflict, elements of a list by their number."""
    return tuple([(isinstance(step, int), step) for step in path])


def tree(kind: str, paths: Iterable[Path]) -> Tree:
    """Raises: ServiceError: ValidationException: one path is within another, or they take one thing for two."""
    root: Tree = {}
    seen: set[Path] = set()
    for path in paths:
        node = root
        for at, step in enumerate(path):
            if path[:at] in seen:
                raise _not_apart(kind, "overlap")
            if node and isinstance(next(iter(node)), str) is not isinstance(step, str):
                raise _not_apart(kind, "conflict")
            node = node.setdefault(step, {})
        if path in seen or node:
            raise _not_apart(kind, "overlap")
        seen.add(path)
    return root


def _not_apart(kind: str, how: str) -> ServiceError:
    return invalid(
        f"Invalid {kind}: Two document paths {how} with each other; must remove or rewrite one of these paths"
    )


def project(item: Item, wanted: Tree) -> dict[str, Value]:
    """The attributes that are wanted, in the maps and lists that they are in; of lists, only the elements wanted."""
    picked = {name: _pick(item[name], inner) for name, inner in wanted.items() if name in item}  # type: ignore[index]
    return {name: value for name, value in picked.items() if value is not None}  # type: ignore[misc]


def _pick(value: Value, wanted: Tree) -> Value | None:
    if not wanted:
        return value
    if "M" in value:
        members = {
            step: _pick(value["M"][step], inner) for step, inner in wanted.items() if step in value["M"]
        }
        found = {step: member for step, member in members.items() if member is not None}
        return {"M": found} if found else None
    if "L" in value:
        elements = [
            _pick(value["L"][step], wanted[step])
            for step in sorted(wanted)
            if isinstance(step, int) and step < len(value["L"])
        ]
        chosen = [element for element in elements if element is not None]
        return {"L": chosen} if chosen else None
    return None
