"""A YAML file as plain data, with the line of every key.

Plain words are read by the core schema of YAML 1.2, so `no`, `on` and `12:30` are text. Anchors, aliases and `<<` work.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cdc.config.environment import substitute
from cdc.config.problems import Loc, Problems
from cdc.errors import ConfigError

_TAG = "tag:yaml.org,2002:"
_MAX_DEPTH = 40
_MAX_NODES = 100_000
"""Aliases multiply: a few lines can stand for more than fits into memory."""

_CORE_SCHEMA = (  # YAML 1.2.2, chapter 10.3.2, and `<<`
    ("null", r"null|Null|NULL|~|", ["n", "N", "~", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", list("-+.0123456789")),
    ("merge", r"<<", ["<"]),
)


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - as in the base


for _name, _pattern, _first in _CORE_SCHEMA:
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(f"(?:{_pattern})$"), _first)


def _whole_number(text: str) -> int:
    return int(text, 0 if text[:2] in ("0o", "0x") else 10)


def _truth(text: str) -> bool:
    return {"true": True, "false": False}[text.lower()]


_READERS: Mapping[str, Callable[[str], bool | int | float]] = {
    _TAG + "bool": _truth,
    _TAG + "int": _whole_number,
    _TAG + "float": float,
}


@dataclass(frozen=True, slots=True)
class Document:
    """What the file says."""

    data: Mapping[str, Any]
    nulls: frozenset[Loc]
    """Where the word null is written, as against nothing at all."""
    problems: Problems


def read(path: Path, environ: Mapping[str, str]) -> Document:
    """Reads a file and fills in the environment. What is wrong inside it is in `Document.problems`.

    Raises:
        ConfigError: the file cannot be read, is no YAML in UTF-8, or its top is no mapping.
    """
    root = _root(path)
    problems = Problems(str(path))
    builder = _Builder(problems, environ)
    problems.lines[()] = root.start_mark.line + 1
    if not isinstance(root, yaml.MappingNode):
        is_what = "list" if isinstance(root, yaml.SequenceNode) else "single value"
        raise ConfigError(
            f"{problems.place(())}: the top of the file is a {is_what}; allowed: a mapping (`version: 1`, `pipeline:`, "
            "`source:`, `sinks:`)"
        )
    data = builder.build(root, ())
    return Document(data, frozenset(builder.nulls), problems)


def _root(path: Path) -> yaml.Node:
    text = _text(path)
    problem = ""
    line = 1
    root: yaml.Node | None = None
    try:
        root = _Loader(text).get_single_node()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        problem = "a character that YAML does not allow"
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else 1
        column = f", column {mark.column + 1}" if mark is not None else ""
        problem = (
            "; ".join(_without_content(part) for part in (error.context, error.problem) if part) + column
        )
    except RecursionError:
        problem = "nested too deeply"
    except (ValueError, OverflowError):  # chr() on an escape like "\UFFFFFFFF"
        problem = "an escape sequence that stands for no character"
    if problem:
        raise ConfigError(f"{path}:{line}: not valid YAML: {problem}")
    if root is None:
        raise ConfigError(f"{path}:1: the file is empty; needed at least: version, pipeline, source, sinks")
    return root


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    line = 0
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
    raise ConfigError(f"{path}:{line}: not text in UTF-8; allowed: UTF-8")


def _without_content(problem: str) -> str:
    """The parser's words without what it found, except for single characters and its own `<block end>`."""
    if "undefined alias" in problem:
        return "a value that begins with * refers to an anchor that is not there: quote it if it is text"
    return re.sub(r"'(?!<)[^']{2,}'|\"[^\"]{2,}\"", "...", problem)


class _Builder:
    def __init__(self, problems: Problems, environ: Mapping[str, str]) -> None:
        self.nulls: set[Loc] = set()
        self._problems = problems
        self._environ = environ
        self._nodes = 0
        self._depth = 0

    def build(self, node: yaml.Node, loc: Loc) -> Any:
        self._nodes += 1
        if self._nodes > _MAX_NODES:
            raise ConfigError(
                f"{self._problems.file}: more than {_MAX_NODES} values, aliases counted where they stand"
            )
        if self._depth > _MAX_DEPTH:  # also what contains itself
            self._problems.add(loc[:3], f"nested deeper than {_MAX_DEPTH} levels")
            return None
        self._depth += 1
        try:
            return self._built(node, loc)
        finally:
            self._depth -= 1

    def _built(self, node: yaml.Node, loc: Loc) -> Any:
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            return self._mapping(node, loc)
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            return self._sequence(node, loc)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, loc)
        return self._refused_tag(loc)

    def _mapping(self, node: yaml.MappingNode, loc: Loc) -> dict[str, Any]:
        result: dict[str, Any] = {}
        merged: list[yaml.Node] = []
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if key_node.tag == _TAG + "merge":
                merged.append(value_node)
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                self._problems.add(
                    loc, "a key is a list or a mapping; allowed: a word (quote braces)", line=line
                )
                continue
            key = key_node.value
            at = (*loc, key)
            if key in result:
                first = self._problems.line_of(at)
                self._problems.add(at, f"stands here twice, first in line {first}; allowed: once", line=line)
                continue
            self._problems.lines[at] = line
            result[key] = self.build(value_node, at)
        for value_node in merged:
            self._merge(value_node, loc, result)
        return result

    def _merge(self, node: yaml.Node, loc: Loc, into: dict[str, Any]) -> None:
        """`<<: *anchor` or `<<: [*one, *two]`: keys that are there already stay (yaml.org/type/merge.html)."""
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        for source in sources:
            if not isinstance(source, yaml.MappingNode):
                self._problems.add((*loc, "<<"), "allowed: an alias of a mapping, or a list of such")
                continue
            flat = _without_keys(source, into)
            into.update(self.build(flat, loc) or {})

    def _sequence(self, node: yaml.SequenceNode, loc: Loc) -> list[Any]:
        result = []
        for index, item in enumerate(node.value):
            at = (*loc, index)
            self._problems.lines[at] = item.start_mark.line + 1
            result.append(self.build(item, at))
        return result

    def _scalar(self, node: yaml.ScalarNode, loc: Loc) -> Any:
        if node.tag == _TAG + "str":
            return self._string(node, loc)
        if node.tag == _TAG + "null":
            if node.value:
                self.nulls.add(loc)
            return None
        if node.tag in _READERS:
            try:
                return _READERS[node.tag](node.value)
            except (ValueError, KeyError):  # a tag that does not fit, or more digits than Python converts
                self._problems.add(
                    loc, "cannot be read as what its form or its tag says; quote it if it is text"
                )
                return None
        return self._refused_tag(loc)

    def _string(self, node: yaml.ScalarNode, loc: Loc) -> str | None:
        substituted = substitute(node.value, self._environ)
        self._problems.environment.update(substituted.used)
        if substituted.problem:
            self._problems.add(loc, substituted.problem)
            return None
        if not substituted.text and node.value and node.style is None:
            return None  # as YAML reads a value that is empty and not quoted
        return substituted.text

    def _refused_tag(self, loc: Loc) -> None:
        self._problems.add(
            loc,
            "this YAML tag is not supported; allowed: plain values, and quotes around text that begins with !",
        )


def _without_keys(node: yaml.MappingNode, keys: Mapping[str, Any]) -> yaml.MappingNode:
    pairs = [
        (key, value)
        for key, value in node.value
        if not (isinstance(key, yaml.ScalarNode) and key.tag != _TAG + "merge" and key.value in keys)
    ]
    return yaml.MappingNode(node.tag, pairs, node.start_mark, node.end_mark)
