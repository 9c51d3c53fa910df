"""The connector, between the service and the engine."""

from tests.mutants.mutant import Edit, Mutant

_SOURCE = "connectors.dynamodb_streams.source"

MUTANTS = (
    Mutant(
        "second-listing-page-ignored",
        "A listing has 100 shards a page. Only the first page is read, and the shards of the others are nobody's.",
        (Edit(_SOURCE, "            if not cursor:\n", "            if cursor is None or cursor:\n"),),
        shows="child before parent|lost|gap|waits",
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
        tests=("tests/unit/source/test_listing.py::test_children",),
    ),
    Mutant(
        "throttles-are-unknown-errors",
        "ThrottlingException is in no model of the service. Whoever goes by the model takes it for a fault of the request.",
        (Edit("cdc.aws", '    "ThrottlingException": ErrorKind.THROTTLED,\n', ""),),
        shows="not caught up|waits",
        tests=(
            "tests/conformance/test_07_iterator_refused.py::test_one_shard_is_tried_again_and_the_others_go_on[service-throttled]",
        ),
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
        shows="not caught up",
        tests=(
            "tests/conformance/test_06_longer_than_a_day.py::test_one_sink_away_has_a_gap_of_its_own[service-one sink away]",
        ),
    ),
)
