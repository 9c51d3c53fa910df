"""`${NAME}` and `${NAME:-default}` in text; `$$` is a dollar sign."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_TOKEN = re.compile(r"\$\$|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}|\$\{")


@dataclass(frozen=True, slots=True)
class Substituted:
    text: str
    used: Mapping[str, str]
    """Variables whose values stand in the text now."""
    problem: str
    """Empty if all went well."""


def substitute(text: str, environ: Mapping[str, str]) -> Substituted:
    """As a shell does it: the default counts for an empty variable as for a missing one. Values are not looked through
    for further variables."""
    used: dict[str, str] = {}
    missing: list[str] = []
    malformed = False

    def value_of(token: re.Match[str]) -> str:
        nonlocal malformed
        name, default = token.groups()
        if token[0] == "$$":
            return "$"
        if name is None:
            malformed = True
            return ""
        value = environ.get(name)
        if value is not None and (value or default is None):
            used[name] = value
            return value
        if default is None:
            missing.append(name)
            return ""
        return str(default)

    result = _TOKEN.sub(value_of, text)
    problem = ""
    if malformed:
        problem = (
            "cannot be read as a variable; allowed: ${NAME}, ${NAME:-default}, and $${ for the characters ${"
        )
    elif missing:
        problem = "; ".join(
            f"the environment variable {name} is not set: set it, or give a default as in ${{{name}:-default}}"
            for name in dict.fromkeys(missing)
        )
    return Substituted(result, used, problem)
