"""What a run asks of AWS for its state."""

from collections.abc import Sequence

from cdc.connector import Statement


def permissions(*, table: str, region: str | None, create: bool) -> Sequence[Statement]:
    """The least that a run, a check and `cdc positions` need.

    Args:
        table: the table's name.
        region: `*` in the ARN where the configuration does not say.
        create: whether a missing table is to be created.
    """
    resources = (f"arn:aws:dynamodb:{region or '*'}:*:table/{table}",)
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
