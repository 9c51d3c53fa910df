"""What is wrong with a configuration file: every problem with its line and key, all of them in one `ConfigError`.

No message shows a value that may be a secret: what a file or the environment says is repeated only where the model
allows a fixed set of words, and what came from the environment not even there.
"""

import difflib
import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from cdc.errors import ConfigError

Loc = tuple[str | int, ...]
"""Where a value stands: keys and indices from the top."""

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]{1,60}")
_SHOWN = 50
_LONG = 4
_KEY_LENGTH = 60


@dataclass(frozen=True, slots=True)
class Problem:
    loc: Loc
    line: int
    text: str
    about_keys: bool
    """A key is missing or not known: of no interest where the section is of a kind that a later version has."""


@dataclass(slots=True)
class Problems:
    """Collects. The first problem at a place is its cause; what follows from it at the same place is not reported."""

    file: str
    lines: dict[Loc, int] = field(default_factory=dict)
    """Line of each key and list entry, from 1."""
    environment: dict[str, str] = field(default_factory=dict)
    """The environment variables that the file uses, and their values."""
    _found: dict[Loc, Problem] = field(default_factory=dict)
    _of_a_later_version: set[Loc] = field(default_factory=set)

    def add(self, loc: Loc, text: str, *, line: int | None = None, about_keys: bool = False) -> None:
        self._found.setdefault(loc, Problem(loc, line or self.line_of(loc), text, about_keys))

    def not_in_this_version(self, loc: Loc, what: str, allowed: str = "") -> None:
        """`loc` says something that a later version knows. The other keys of its section may be later ones too."""
        self._found.pop(loc, None)
        self.add(loc, f"{what} is not in this version" + (f"; allowed: {allowed}" if allowed else ""))
        if loc[-1] in ("type", "mode"):
            self._of_a_later_version.add(loc[:-1])

    def at(self, loc: Loc) -> bool:
        return loc in self._found

    def line_of(self, loc: Loc) -> int:
        """Line of `loc`, or of the nearest thing around it."""
        while loc and loc not in self.lines:
            loc = loc[:-1]
        return self.lines.get(loc, 1)

    def place(self, loc: Loc, line: int | None = None) -> str:
        """`FILE:LINE: KEY`."""
        key = path_of(loc)
        return f"{self.file}:{line or self.line_of(loc)}" + (f": {key}" if key else "")

    def without_environment(self, text: str) -> str:
        """`text` with the name of a variable in place of its value, for text that others have written."""
        for name, value in sorted(self.environment.items(), key=lambda item: -len(item[1])):
            for form in {value, repr(value)[1:-1]} - {""}:
                # A short one would be found inside of words, too.
                pattern = re.escape(form) if len(form) >= _LONG else rf"(?<!\w){re.escape(form)}(?!\w)"
                text = re.sub(pattern, f"${{{name}}}", text)
        return text

    def raise_if_any(self) -> None:
        """
        Raises:
            ConfigError: naming every problem, in the order of the file.
        """
        problems = [
            problem
            for problem in self._found.values()
            if not (problem.about_keys and problem.loc[:-1] in self._of_a_later_version)
        ]
        if not problems:
            return
        problems.sort(key=lambda problem: problem.line)
        messages = [
            f"{self.place(problem.loc, problem.line)}: {problem.text}" for problem in problems[:_SHOWN]
        ]
        if len(problems) > _SHOWN:
            messages.append(f"{self.file}: and {len(problems) - _SHOWN} more problems")
        raise ConfigError("\n".join(messages))


def path_of(loc: Loc) -> str:
    """`sinks[0].topic`; a key that could be misread stands in quotes."""
    path = ""
    for part in loc:
        if isinstance(part, int):
            path += f"[{part}]"
        elif _PLAIN_KEY.fullmatch(part):
            path += f".{part}" if path else part
        else:
            path += f"[{_quoted(part)}]"
    return path


def _quoted(key: str) -> str:
    return json.dumps(key if len(key) <= _KEY_LENGTH else key[:_KEY_LENGTH] + "...")


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """`; did you mean topic?`, or nothing."""
    close = difflib.get_close_matches(word, list(choices), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def shown(word: str) -> str:
    """A word that cannot be a secret, if it is one that fits into a line."""
    return word if re.fullmatch(r"[!-~]{1,40}", word) else "this"


def listed(choices: Collection[object]) -> str:
    return ", ".join(str(choice) for choice in choices) or "nothing"


def value_at(data: object, loc: Loc) -> object:
    """What stands there; None where nothing does."""
    for part in loc:
        if isinstance(data, Mapping):
            data = data.get(part)
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
        else:
            return None
    return data
