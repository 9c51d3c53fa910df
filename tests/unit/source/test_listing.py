from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from cdc.errors import ErrorKind, SourceError
from cdc.model import KeyAttribute, ShardKey, Stream
from connectors.dynamodb_streams.source import DynamoDBStreams
from tests.dynamodb_streams.canned_server import CannedServer, Reply, error, ok
from tests.dynamodb_streams.sources import ARN, opened

STREAM = Stream(
    ARN, "orders", "id", "123456789012", "eu-west-1", 0, "NEW_AND_OLD_IMAGES", (KeyAttribute("id", "S"),)
)
TREE: list[dict[str, Any]] = [
    {
        "ShardId": f"shardId-{number:020d}",
        "ParentShardId": f"shardId-{(number - 1) // 2:020d}",
        "SequenceNumberRange": {"StartingSequenceNumber": str(number), "EndingSequenceNumber": str(number)},
    }
    for number in range(250)
]
del TREE[0]["ParentShardId"]


def name(number: int) -> str:
    return f"shardId-{number:020d}"


def service(
    shards: list[dict[str, Any]], *, filters: bool = True, cursors: bool = True
) -> Callable[[dict[str, Any]], Reply]:
    """DescribeStream as the service does it; without `filters` or `cursors` as emulators do."""

    def describe(arguments: dict[str, Any]) -> Reply:
        found = shards
        if filters and "ShardFilter" in arguments:
            found = [one for one in found if one.get("ParentShardId") == arguments["ShardFilter"]["ShardId"]]
        if cursors and "ExclusiveStartShardId" in arguments:
            found = [one for one in found if one["ShardId"] > arguments["ExclusiveStartShardId"]]
        page = found[:100]
        description = {"StreamArn": ARN, "StreamStatus": "ENABLED", "Shards": page}
        if len(found) > len(page):
            description["LastEvaluatedShardId"] = page[-1]["ShardId"]
        return ok({"StreamDescription": description})

    return describe


def children(source: DynamoDBStreams, number: int) -> tuple[set[str], bool]:
    listing = source.shards(STREAM, parent=ShardKey(ARN, name(number)))
    return {shard.key.shard for shard in listing.shards}, listing.complete


def test_all_pages(server: CannedServer) -> None:
    server.replies["DescribeStream"] = [service(TREE)]
    calls = Counter[tuple[str, str]]()
    with opened(server.url, calls=calls) as source:
        listing = source.shards(STREAM)
    assert [shard.key for shard in listing.shards] == [ShardKey(ARN, name(number)) for number in range(250)]
    assert listing.complete
    assert listing.shards[0].parent is None
    assert listing.shards[5].parent == name(2)
    assert calls == {("DescribeStream", "ok"): 3}


def test_an_empty_page_in_the_middle_is_no_end(server: CannedServer) -> None:
    pages = [
        {"Shards": TREE[:1], "LastEvaluatedShardId": name(0)},
        {"Shards": [], "LastEvaluatedShardId": name(1)},
        {"Shards": TREE[2:3]},
    ]
    server.replies["DescribeStream"] = [ok({"StreamDescription": page}) for page in pages]
    with opened(server.url) as source:
        assert len(source.shards(STREAM).shards) == 2


def test_open_and_closed(server: CannedServer) -> None:
    shards: list[dict[str, Any]] = [
        {"ShardId": name(1), "SequenceNumberRange": {"StartingSequenceNumber": "7"}},
        {
            "ShardId": name(2),
            "SequenceNumberRange": {"StartingSequenceNumber": "7", "EndingSequenceNumber": "7"},
        },
        {"ShardId": name(3)},
    ]
    server.replies["DescribeStream"] = [service(shards)]
    with opened(server.url) as source:
        listed = source.shards(STREAM).shards
    assert [shard.closed for shard in listed] == [False, True, False]
    assert (listed[1].starting_sequence, listed[1].ending_sequence) == ("7", "7")


@pytest.mark.parametrize("closed_first", [True, False])
def test_a_shard_that_is_named_twice_is_closed_if_one_says_so(
    server: CannedServer, *, closed_first: bool
) -> None:
    still_open = {"ShardId": name(1), "SequenceNumberRange": {"StartingSequenceNumber": "7"}}
    closed = {"ShardId": name(1), "SequenceNumberRange": {"EndingSequenceNumber": "9"}}
    first, second = (closed, still_open) if closed_first else (still_open, closed)
    server.replies["DescribeStream"] = [
        ok({"StreamDescription": {"Shards": [first], "LastEvaluatedShardId": "c"}}),
        ok({"StreamDescription": {"Shards": [second]}}),
    ]
    with opened(server.url) as source:
        (shard,) = source.shards(STREAM).shards
    assert shard.closed


@pytest.mark.parametrize("parent", [None, ShardKey(ARN, name(0))])
def test_a_listing_that_fails_on_the_way_gives_nothing(server: CannedServer, parent: ShardKey | None) -> None:
    page = {"Shards": TREE[1:3], "LastEvaluatedShardId": name(2)}
    server.replies["DescribeStream"] = [ok({"StreamDescription": page}), error("ThrottlingException")]
    with opened(server.url) as source, pytest.raises(SourceError) as refusal:
        source.shards(STREAM, parent=parent)
    assert refusal.value.kind is ErrorKind.THROTTLED


def test_a_listing_that_does_not_end(server: CannedServer) -> None:
    server.replies["DescribeStream"] = [service(TREE, cursors=False)]
    with opened(server.url) as source, pytest.raises(SourceError, match="does not end") as refusal:
        source.shards(STREAM)
    assert refusal.value.kind is ErrorKind.MALFORMED


def test_a_stream_that_is_being_enabled(server: CannedServer) -> None:
    server.replies["DescribeStream"] = [ok({"StreamDescription": {"StreamStatus": "ENABLING", "Shards": []}})]
    with opened(server.url) as source, pytest.raises(SourceError, match="still being enabled") as refusal:
        source.shards(STREAM)
    assert refusal.value.kind is ErrorKind.UNAVAILABLE


def test_children(server: CannedServer) -> None:
    server.replies["DescribeStream"] = [service(TREE)]
    with opened(server.url) as source:
        assert children(source, 3) == ({name(7), name(8)}, False)
        assert children(source, 249) == (set(), False)
    assert [call["ShardFilter"]["ShardId"] for call in server.asked("DescribeStream")] == [name(3), name(249)]


def test_more_than_a_page_of_children(server: CannedServer) -> None:
    many = [one | {"ParentShardId": "root"} for one in TREE]
    server.replies["DescribeStream"] = [service(many)]
    with opened(server.url) as source:
        listing = source.shards(STREAM, parent=ShardKey(ARN, "root"))
    assert (len(listing.shards), listing.complete) == (250, False)
    assert all("ShardFilter" in call for call in server.asked("DescribeStream"))


def test_a_filter_that_is_ignored_makes_a_whole_listing(server: CannedServer) -> None:
    server.replies["DescribeStream"] = [service(TREE, filters=False)]
    with opened(server.url) as source:
        for _ in range(2):
            listing = source.shards(STREAM, parent=ShardKey(ARN, name(3)))
            assert (len(listing.shards), listing.complete) == (250, True)
    assert ["ShardFilter" in call for call in server.asked("DescribeStream")] == [True] * 3 + [False] * 3


def test_a_filter_that_is_refused_is_not_tried_again(server: CannedServer) -> None:
    def describe(arguments: dict[str, Any]) -> Reply:
        return error("ValidationException") if "ShardFilter" in arguments else service(TREE)(arguments)

    server.replies["DescribeStream"] = [describe]
    with opened(server.url) as source:
        for _ in range(2):
            assert len(source.shards(STREAM, parent=ShardKey(ARN, name(3))).shards) == 250
    assert ["ShardFilter" in call for call in server.asked("DescribeStream")] == [True] + [False] * 6


def test_a_parent_that_is_gone_says_nothing_about_the_filter(server: CannedServer) -> None:
    def describe(arguments: dict[str, Any]) -> Reply:
        if arguments.get("ShardFilter", {}).get("ShardId") == "gone":
            return error("ResourceNotFoundException")
        return service(TREE)(arguments)

    server.replies["DescribeStream"] = [describe]
    with opened(server.url) as source:
        assert source.shards(STREAM, parent=ShardKey(ARN, "gone")).complete
        assert children(source, 3) == ({name(7), name(8)}, False)


def test_a_stream_that_is_gone(server: CannedServer) -> None:
    server.replies["DescribeStream"] = [error("ResourceNotFoundException")]
    with opened(server.url) as source, pytest.raises(SourceError) as refusal:
        source.shards(STREAM, parent=ShardKey(ARN, name(3)))
    assert refusal.value.kind is ErrorKind.NOT_FOUND
