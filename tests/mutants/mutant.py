"""What a mutant is."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Edit:
    """One place of one shipped module.

    Args:
        module: its full name.
        old: the exact text, found there exactly once.
        new: what stands there instead.
    """

    module: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """One mistake.

    Args:
        name: in words that a file name could have.
        why: whose mistake it is, and what comes of it.
        edits: that make it; one, but for a mistake that the code guards against twice.
        shows: a regular expression: what the simulation says of it, so that it is caught for what it is. Empty: the
            simulation does not show it, only the tests do.
        tests: that fail with it, as pytest names them.
    """

    name: str
    why: str
    edits: tuple[Edit, ...]
    shows: str = ""
    tests: tuple[str, ...] = ()

    @property
    def tests_only(self) -> bool:
        return not self.shows

    def is_shown_by(self, said: str) -> bool:
        return re.search(self.shows, said) is not None
