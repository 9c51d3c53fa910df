"""Holds what was called against what a policy allows, both ways."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from tests.iam.actions import ANY, Needed


@dataclass(frozen=True)
class Comparison:
    missing: Collection[Needed]
    """Called and not allowed."""
    superfluous: Collection[Needed]
    """Allowed and never called."""


def granted(policy: Mapping[str, Any]) -> set[Needed]:
    """Every action on every resource that the policy allows. It has `Allow` statements only."""
    found = set()
    for statement in policy["Statement"]:
        if statement["Effect"] != "Allow" or any("*" in action for action in statement["Action"]):
            raise ValueError(
                f"{statement['Sid']}: least privilege is told by actions that are allowed by name"
            )
        for action in statement["Action"]:
            found |= {Needed(action, _resource(arn)) for arn in statement["Resource"]}
    return found


def compare(called: Iterable[Needed], policy: Mapping[str, Any]) -> Comparison:
    called = set(called)
    allowed = granted(policy)
    return Comparison(
        missing={one for one in called if not any(_allows(grant, one) for grant in allowed)},
        superfluous={grant for grant in allowed if not any(_allows(grant, one) for one in called)},
    )


def _allows(grant: Needed, one: Needed) -> bool:
    return grant.action == one.action and (
        ANY in (one.resource, grant.resource) or fnmatchcase(one.resource, grant.resource)
    )


def _resource(arn: str) -> str:
    return arn if arn == ANY else arn.split(":", 5)[5]
