"""The connector, between the service and the engine."""

from tests.mutants.mutant import Edit, Mutant

_SOURCE = "connectors.dynamodb_streams.source"

MUTANTS = (
    Mutant(
        "second-listing-page-ignored",
        "A listing has 100 shards a page. Only the first page is read, and the shards of the others are nobody's.",
        (Edit(_SOURCE, "            if not cursor:\n", "            if cursor is None or cursor:\n"),),
        "lost|gap|not caught up|child before parent",
    ),
    Mutant(
        "children-taken-for-a-whole-listing",
        "A listing of one shard's children counts as one of all shards: those that it does not name have gone.",
        (
            Edit(
                _SOURCE,
                "return Listing(tuple(shards.values()), complete=not filtered)",
                "return Listing(tuple(shards.values()), complete=True)",
            ),
        ),
        "lost|gap|child before parent|twice|order|hole|memory",
    ),
    Mutant(
        "throttles-are-unknown-errors",
        "ThrottlingException is in no model of the service. Whoever goes by the model takes it for a fault of the request.",
        (Edit("cdc.aws", '    "ThrottlingException": ErrorKind.THROTTLED,\n', ""),),
        "not caught up",
    ),
    Mutant(
        "vanished-shard-is-an-outage",
        "A shard that is not there any more is asked for again and again, as if the service were away.",
        (
            Edit(
                "cdc.aws",
                '    "ResourceNotFoundException": ErrorKind.NOT_FOUND,\n',
                '    "ResourceNotFoundException": ErrorKind.UNAVAILABLE,\n',
            ),
        ),
        "not caught up",
    ),
)
