"""What IAM's policy simulator says (IAM API reference, SimulatePrincipalPolicy). It reads policies and runs nothing."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from cdc.connector import AwsAccess, Statement
from cdc.observe.check import Verdict

_WHAT = "what is not verifiable without writing (iam:SimulatePrincipalPolicy)"


def simulate(
    settings: AwsAccess, statements: Sequence[Statement]
) -> tuple[Mapping[tuple[str, str], Verdict], Sequence[str]]:
    """The verdicts by action and resource, none where IAM may not be asked; and what could not be asked, a line each."""
    from cdc.aws_probe import Neighbours

    neighbours = Neighbours(settings, "cdc-check")
    found: dict[tuple[str, str], Verdict] = {}
    identity = neighbours.ask("sts", _WHAT, lambda client: client.get_caller_identity())
    if identity is None:
        return found, neighbours.unasked()
    principal = principal_of(identity["Arn"], settings.role_arn)
    if principal is None:
        return found, [f"not known: {_WHAT}: {identity['Arn']} is neither a user nor a role"]
    for statement in statements:
        for resource in statement.resources:
            exact = _of_account(resource, identity["Account"])
            answer = neighbours.ask("iam", _WHAT, partial(_evaluate, principal, statement.actions, exact))
            if answer is None:
                return found, neighbours.unasked()
            for result in answer:
                allowed = result["EvalDecision"] == "allowed"
                found[result["EvalActionName"], resource] = (
                    "simulated-allowed" if allowed else "simulated-denied"
                )
    return found, ()


def principal_of(caller: str, role_arn: str | None) -> str | None:
    """Whose policies count; None for a caller that has none of its own (root, federated).

    A role's session does not tell the role's path: of a role with a path that is not in the configuration nothing is
    found (IAM user guide, Identifiers: STS ARNs).
    """
    if role_arn is not None:
        return role_arn
    start, _, resource = caller.rpartition(":")
    kind, _, name = resource.partition("/")
    if kind == "assumed-role":
        return f"{start.replace(':sts:', ':iam:')}:role/{name.partition('/')[0]}"
    return caller if kind == "user" else None


def _of_account(arn: str, account: str) -> str:
    parts = arn.split(":", 5)
    if len(parts) == 6 and parts[4] == "*":  # noqa: PLR2004 - arn:partition:service:region:account:resource
        parts[4] = account
    return ":".join(parts)


def _evaluate(principal: str, actions: Sequence[str], resource: str, client: Any) -> list[Any]:
    pages = client.get_paginator("simulate_principal_policy").paginate(
        PolicySourceArn=principal, ActionNames=list(actions), ResourceArns=[resource]
    )
    return [result for page in pages for result in page["EvaluationResults"]]
