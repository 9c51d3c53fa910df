"""Permissions: what a run needs, what the calls of a probe have shown, and what IAM's policy simulator says of the rest."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cdc.connector import Access, AwsAccess, ConfigModel, Note, Statement
from cdc.observe.check import PermissionReport, Verdict
from cdc.runtime.checks.simulation import simulate

ASSUME_ROLE = "AssumeRole"


def as_policy(statements: Sequence[Statement]) -> dict[str, Any] | None:
    """The IAM policy (IAM user guide, JSON policy elements); None for no statement."""
    if not statements:
        return None
    return {"Version": "2012-10-17", "Statement": [as_json(statement) for statement in statements]}


def as_json(statement: Statement) -> dict[str, Any]:
    return {
        "Sid": statement.sid,
        "Effect": "Allow",
        "Action": list(statement.actions),
        "Resource": list(statement.resources),
    }


def assume_role(settings: ConfigModel) -> Sequence[Statement]:
    """What the credentials need that assume `role_arn`; beside it the role's trust policy has to let them."""
    if not isinstance(settings, AwsAccess) or settings.role_arn is None:
        return ()
    why = "the role cannot be assumed"
    return (Statement(ASSUME_ROLE, ("sts:AssumeRole",), (settings.role_arn,), why),)


class Permissions:
    """Of one part of the pipeline.

    Args:
        settings: the part's configuration: with whose credentials IAM is asked.
        statements: what a run needs.
        calls: what a probe's calls have shown.
    """

    def __init__(
        self, settings: ConfigModel, statements: Sequence[Statement], calls: Sequence[Access]
    ) -> None:
        self._role = assume_role(settings)
        self._statements = statements
        shown: dict[tuple[str, str], Verdict] = {
            (one.action, one.resource): "verified" if one.allowed else "denied" for one in calls
        }
        if any(one.allowed for one in calls):
            shown |= {(action, resource): "verified" for _, action, resource in _each(self._role)}
        unknown = [
            statement
            for statement in statements
            if any((action, resource) not in shown for _, action, resource in _each((statement,)))
        ]
        self.unasked: Sequence[str] = ()
        if unknown and isinstance(settings, AwsAccess):
            simulated, self.unasked = simulate(settings, unknown)
            shown = {**simulated, **shown}
        self._shown: Mapping[tuple[str, str], Verdict] = shown

    @property
    def policy(self) -> dict[str, Any] | None:
        return as_policy(self._statements)

    @property
    def assume_role_policy(self) -> dict[str, Any] | None:
        return as_policy(self._role)

    def reports(self) -> tuple[PermissionReport, ...]:
        return tuple(
            PermissionReport(
                action=action,
                resource=resource,
                statement=statement.sid,
                verdict=self._shown.get((action, resource), "not-verifiable"),
                why=statement.why,
            )
            for statement, action, resource in _each([*self._role, *self._statements])
        )

    def denied(self) -> Iterator[Note]:
        """One for each statement of which a call was refused, or would be."""
        for statement in [*self._role, *self._statements]:
            for verdict, level, says in (
                ("denied", "problem", "not allowed"),
                (
                    "simulated-denied",
                    "warning",
                    "not allowed by the caller's policies (a resource's may allow it)",
                ),
            ):
                found = [
                    (action, resource)
                    for _, action, resource in _each((statement,))
                    if self._shown.get((action, resource)) == verdict
                ]
                if found:
                    actions = tuple(dict.fromkeys(action for action, _ in found))
                    resources = tuple(dict.fromkeys(resource for _, resource in found))
                    missing = Statement(statement.sid, actions, resources, statement.why)
                    yield Note(
                        f"{says}: {', '.join(actions)} on {', '.join(resources)}: {statement.why}",
                        "problem" if level == "problem" else "warning",
                        f"add to the policy: {json.dumps(as_json(missing))}",
                    )


def _each(statements: Sequence[Statement]) -> Iterator[tuple[Statement, str, str]]:
    for statement in statements:
        for action in statement.actions:
            for resource in statement.resources:
                yield statement, action, resource
