import time
from collections.abc import Iterator
from typing import Any

import pytest

from cdc.connector import Access
from cdc.errors import ErrorKind, SourceError
from cdc.model import KeyAttribute, Stream
from connectors.dynamodb_streams import CONNECTOR
from tests.dynamodb_streams.canned_server import CannedServer, canned_server, error, ok
from tests.dynamodb_streams.sources import ARN, config, context, opened, streams_of

LABEL = "2026-11-21T02:03:04.567"
CREATED_MS = 1795226584567
TABLE: dict[str, Any] = {
    "TableName": "orders",
    "TableId": "8a6b7c9d-0000-4000-8000-000000000001",
    "TableStatus": "ACTIVE",
    "CreationDateTime": 1795226584.25,
    "KeySchema": [{"AttributeName": "at", "KeyType": "RANGE"}, {"AttributeName": "id", "KeyType": "HASH"}],
    "AttributeDefinitions": [
        {"AttributeName": "at", "AttributeType": "N"},
        {"AttributeName": "id", "AttributeType": "B"},
        {"AttributeName": "of_an_index", "AttributeType": "S"},
    ],
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    "LatestStreamArn": ARN,
    "LatestStreamLabel": LABEL,
}


def table(**changed: Any) -> dict[str, Any]:
    """The description with these members changed, or left out where None."""
    return {name: value for name, value in (TABLE | changed).items() if value is not None}


def described(server: CannedServer, description: dict[str, Any]) -> Stream:
    server.replies["DescribeTable"] = [ok({"Table": description})]
    with opened(server.url) as source:
        (stream,) = streams_of(source)
    return stream


def refused(server: CannedServer, description: dict[str, Any]) -> SourceError:
    with pytest.raises(SourceError) as refusal:
        described(server, description)
    return refusal.value


def test_a_stream(server: CannedServer) -> None:
    assert described(server, TABLE) == Stream(
        arn=ARN,
        table="orders",
        table_id="8a6b7c9d-0000-4000-8000-000000000001",
        account="123456789012",
        region="eu-west-1",
        created_ms=CREATED_MS,
        view_type="NEW_AND_OLD_IMAGES",
        key=(KeyAttribute("id", "B"), KeyAttribute("at", "N")),
    )


@pytest.mark.parametrize(("created", "table_id"), [(1795226584.25, "created-1795226584250"), (None, "")])
def test_a_table_without_an_id_is_known_by_its_creation(
    server: CannedServer, created: float | None, table_id: str
) -> None:
    assert described(server, table(TableId=None, CreationDateTime=created)).table_id == table_id


def test_each_table_is_asked_for(server: CannedServer) -> None:
    server.replies["DescribeTable"] = [ok({"Table": TABLE})]
    with opened(server.url, "orders", "parcels") as source:
        assert [stream.table for stream in streams_of(source)] == ["orders", "parcels"]
    assert server.asked("DescribeTable") == [{"TableName": "orders"}, {"TableName": "parcels"}]


@pytest.mark.parametrize(
    "changed",
    [
        {"StreamSpecification": None, "LatestStreamArn": None, "LatestStreamLabel": None},
        {"StreamSpecification": None},  # disabled: the ARN of the old stream stays
        {"StreamSpecification": {"StreamEnabled": False}},
    ],
)
def test_a_table_without_an_enabled_stream(server: CannedServer, changed: dict[str, Any]) -> None:
    failure = refused(server, table(**changed))
    assert failure.kind is ErrorKind.CONFIGURATION
    assert f"table orders at {server.url} has no enabled stream" in failure.message
    assert failure.remedy == (
        "enable it: aws dynamodb update-table --table-name orders"
        " --stream-specification StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES"
        f" --region eu-west-1 --endpoint-url {server.url}"
    )


def test_a_stream_that_is_not_there_yet(server: CannedServer) -> None:
    assert refused(server, table(LatestStreamArn=None)).kind is ErrorKind.UNAVAILABLE


@pytest.mark.parametrize(
    "changed",
    [
        {"AttributeDefinitions": []},
        {"KeySchema": None},
        {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "SECRET"}},
    ],
)
def test_a_description_that_cannot_be_used(server: CannedServer, changed: dict[str, Any]) -> None:
    failure = refused(server, table(**changed))
    assert failure.kind is ErrorKind.MALFORMED
    assert "SECRET" not in failure.message


def test_no_such_table(server: CannedServer) -> None:
    server.replies["DescribeTable"] = [error("ResourceNotFoundException")]
    with opened(server.url) as source, pytest.raises(SourceError, match="table orders") as refusal:
        streams_of(source)
    assert refusal.value.kind is ErrorKind.NOT_FOUND


@pytest.fixture
def _far_from_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "XXX+7")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("label", "created_ms"),
    [
        (LABEL, CREATED_MS),
        ("2026-11-21T02:03:04.567Z", CREATED_MS),
        ("2026-11-21T02:03:04.567999", CREATED_MS),
        ("2026-11-21T02:03:04", CREATED_MS - 567),
        ("2026-11-21T03:03:04.567+01:00", CREATED_MS),
    ],
)
@pytest.mark.usefixtures("_far_from_utc")
def test_the_creation_time_is_the_labels(server: CannedServer, label: str, created_ms: int) -> None:
    assert described(server, table(LatestStreamLabel=label)).created_ms == created_ms


def test_without_a_label_the_arn_tells_it(server: CannedServer) -> None:
    assert described(server, table(LatestStreamLabel=None)).created_ms == CREATED_MS


def test_without_either_the_stream_tells_it(server: CannedServer) -> None:
    description = {"Shards": [], "CreationRequestDateTime": 1795226584.25}
    server.replies["DescribeStream"] = [ok({"StreamDescription": description})]
    stream = described(server, table(LatestStreamArn="S0b1c", LatestStreamLabel="of another kind"))
    assert stream.created_ms == 1795226584250
    assert (stream.account, stream.region) == ("", "eu-west-1")


def test_nothing_tells_it(server: CannedServer) -> None:
    server.replies["DescribeStream"] = [ok({"StreamDescription": {"Shards": []}})]
    assert refused(server, table(LatestStreamArn="S0b1c", LatestStreamLabel=None)).kind is ErrorKind.MALFORMED


def serve_a_stream(server: CannedServer) -> None:
    shards = [{"ShardId": "s1", "SequenceNumberRange": {"EndingSequenceNumber": "7"}}, {"ShardId": "s2"}]
    server.replies["DescribeTable"] = [ok({"Table": TABLE})]
    server.replies["DescribeStream"] = [
        ok({"StreamDescription": {"StreamStatus": "ENABLED", "Shards": shards}})
    ]
    server.replies["GetShardIterator"] = [ok({"ShardIterator": "iterator"})]
    server.replies["GetRecords"] = [ok({"Records": []})]


def test_probe(server: CannedServer) -> None:
    serve_a_stream(server)
    seen = CONNECTOR.probe(config(server.url), context())
    text = "\n".join(one for one in seen if isinstance(one, str))
    for part in (server.url, f"{ARN}, NEW_AND_OLD_IMAGES, ENABLED", "2 shards, 1 of them open", "24 hours"):
        assert part in text


@pytest.mark.parametrize("operation", ["DescribeTable", "DescribeStream", "GetShardIterator", "GetRecords"])
def test_probe_finds_the_permission_that_is_missing(server: CannedServer, operation: str) -> None:
    serve_a_stream(server)
    server.replies[operation] = [error("AccessDeniedException")]
    seen = CONNECTOR.probe(config(server.url), context())
    (refusal,) = [one for one in seen if isinstance(one, SourceError)]
    assert refusal.message.startswith(f"{operation} of ")
    assert refusal.kind is ErrorKind.ACCESS_DENIED
    calls = [one for one in seen if isinstance(one, Access)]
    assert [one.action for one in calls if not one.allowed] == [f"dynamodb:{operation}"]
    needed = [
        action for one in CONNECTOR.permissions(config(server.url), context()) for action in one.actions
    ]
    # All that came before was answered; what comes after was not asked.
    assert [one.action for one in calls] == needed[: len(calls)]


def test_streams_may_answer_elsewhere(server: CannedServer) -> None:
    serve_a_stream(server)
    with canned_server() as tables:
        tables.replies["DescribeTable"] = [ok({"Table": TABLE})]
        built = CONNECTOR.build(config(tables.url, streams_endpoint_url=server.url), context())
        built.shards(built.stream("orders"))
        built.close()
        assert [operation for operation, _ in tables.calls] == ["DescribeTable"]
    assert [operation for operation, _ in server.calls] == ["DescribeStream"]
