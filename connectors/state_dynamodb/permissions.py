"""What a run asks of AWS for its state."""

from collections.abc import Sequence

from cdc.connector import Statement

READS = ("DescribeTable", "GetItem", "Query")
"""The operations of a state that is opened to be read: what `cdc check` calls."""


def permissions(*, table_arn: str, create: bool) -> Sequence[Statement]:
    """The least that a run, a check and `cdc positions` need.

    Args:
        table_arn: with `*` for what the configuration does not say.
        create: whether a missing table is to be created.
    """
    resources = (table_arn,)
    found = [
        Statement(
            "CdcState",
            (
                "dynamodb:DescribeTable",
                "dynamodb:GetItem",
                "dynamodb:PutItem",
                "dynamodb:Query",
                "dynamodb:UpdateItem",
            ),
            resources,
            "positions are kept in this table, and the lease of each pipeline",
        )
    ]
    if create:
        found.append(
            Statement(
                "CdcStateCreate",
                ("dynamodb:CreateTable",),
                resources,
                "the table is created where it is missing (state.create)",
            )
        )
    return found
