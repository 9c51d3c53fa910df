"""Expressions as tokens."""

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from cdc.testing.sim.requests import invalid

Sort = Literal["word", "name", "value", "index", "symbol", "end"]

_TOKEN = re.compile(
    r"""
      (?P<space>\s+)
    | (?P<word>[A-Za-z][A-Za-z0-9_]*)
    | (?P<name>\#[A-Za-z0-9_]+)
    | (?P<value>:[A-Za-z0-9_]+)
    | (?P<index>[0-9]+)
    | (?P<symbol><>|<=|>=|[=<>(),.\[\]+-])
    """,
    re.VERBOSE | re.ASCII,
)
_MOST_BYTES = 4096


class Token(NamedTuple):
    sort: Sort
    text: str

    @property
    def keyword(self) -> str:
        """Keywords are in any case; attribute names and functions are not."""
        return self.text.upper() if self.sort == "word" else ""


def tokens(kind: str, text: str) -> list[Token]:
    """All tokens of an expression, and an end.

    Raises:
        ServiceError: ValidationException: empty, too long, or no expression at all.
    """
    size = len(text.encode("utf-8", "surrogatepass"))
    if not text.strip():
        raise invalid(f"Invalid {kind}: The expression can not be empty;")
    if size > _MOST_BYTES:
        raise invalid(
            f"Invalid {kind}: Expression size has exceeded the maximum allowed size; expression size: {size}"
        )
    return [*_split(kind, text), Token("end", "<EOF>")]


def _split(kind: str, text: str) -> Iterator[Token]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise invalid(f'Invalid {kind}: Syntax error; token: "{text[at]}", near: "{text[at : at + 10]}"')
        at = match.end()
        if match.lastgroup != "space":
            yield Token(match.lastgroup, match.group())  # type: ignore[arg-type]  # the pattern's groups are the sorts
