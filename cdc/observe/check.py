"""What `cdc check` found, as one document: `cdc check --json`, and what the terminal shows.

Its shape is versioned as the status is (`cdc.observe.document`); `schemas/check.schema.json` is made from these classes.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

VERSION: Literal[1] = 1

Level = Literal["info", "warning", "problem"]
Verdict = Literal["verified", "denied", "simulated-allowed", "simulated-denied", "not-verifiable"]


class FindingReport(msgspec.Struct, frozen=True, kw_only=True):
    level: Annotated[
        Level,
        Meta(
            description="warning: a run works, and somebody should know. problem: a run would fail, or lose something"
        ),
    ]
    text: str
    remedy: Annotated[str, Meta(description="What to do; empty where the text says it all")]


class PermissionReport(msgspec.Struct, frozen=True, kw_only=True):
    """One action on one resource, which a run needs."""

    action: str
    resource: Annotated[str, Meta(description="An ARN; * for what the configuration does not say")]
    statement: Annotated[str, Meta(description="Sid of the statement in `policy` that grants it")]
    verdict: Annotated[
        Verdict,
        Meta(
            description="verified, denied: a read-only call that needs exactly this was answered, or refused. "
            "simulated-*: what IAM's policy simulator says, which knows no policies of resources. "
            "not-verifiable: not without writing"
        ),
    ]
    why: Annotated[str, Meta(description="What happens without it")]


class EstimateReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is going to call, or to be charged for."""

    what: str
    low: Annotated[float, Meta(ge=0)]
    high: Annotated[float, Meta(ge=0)]
    per: Literal["day", "minute", "million changes"]
    basis: str


class PartReport(msgspec.Struct, frozen=True, kw_only=True):
    part: Annotated[
        str,
        Meta(
            description="source, `sink NAME`, schema registry, state, dead letters, admin: what was looked at"
        ),
    ]
    ok: Annotated[bool, Meta(description="No problem; there may be warnings")]
    findings: tuple[FindingReport, ...]
    permissions: tuple[PermissionReport, ...]
    policy: Annotated[
        dict[str, Any] | None,
        Meta(description="The IAM policy with all that a run needs here; null: it calls nothing at AWS"),
    ]
    assume_role_policy: Annotated[
        dict[str, Any] | None,
        Meta(
            description="The IAM policy for the credentials that assume `role_arn`; null: no role is assumed"
        ),
    ]
    estimates: tuple[EstimateReport, ...]


class CheckReport(msgspec.Struct, frozen=True, kw_only=True):
    version: Literal[1]
    pipeline: str
    ok: Annotated[bool, Meta(description="No problem anywhere: exit code 0, else 2")]
    parts: tuple[PartReport, ...]

    def problems(self) -> list[tuple[str, FindingReport]]:
        """With their parts."""
        return [
            (part.part, finding)
            for part in self.parts
            for finding in part.findings
            if finding.level == "problem"
        ]


def to_dict(report: CheckReport) -> dict[str, Any]:
    """For `json.dumps` and its like."""
    built: dict[str, Any] = msgspec.to_builtins(report)
    return built


def schema() -> dict[str, Any]:
    """The JSON Schema of a report."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What cdc check found",
        **msgspec.json.schema(CheckReport),
    }
