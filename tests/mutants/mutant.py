"""What a mutant is."""

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
        shows: a regular expression: what whoever catches it has to say, so that it is caught for what it is.
        tests: that fail with it, as pytest names them; without any it is the simulation that fails, at some seed.
    """

    name: str
    why: str
    edits: tuple[Edit, ...]
    shows: str
    tests: tuple[str, ...] = ()
