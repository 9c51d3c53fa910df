"""The table of the state: what is made, what is refused, and in which words."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cdc.connector import AwsAccess
from cdc.errors import ErrorKind, StateError
from cdc.model import after
from cdc.ports import Saved, StateChange
from cdc.process import this_process
from cdc.testing.saved_state import NOW, contents, cursor, error_of
from connectors.state_dynamodb import permissions, table
from connectors.state_dynamodb.build import state_store
from connectors.state_dynamodb.store import DynamoDBStateStore
from tests.integration.pipeline.workload import client_of
from tests.replica.proxy import Choose, Garbage, LoseAnswer, LoseRequest, Proxy, Refuse, times, well
from tests.state_dynamodb.contract import IDLE_SECONDS, REGION, patience, table_of, uncounted

KEY = {"pipeline": {"S": "pipeline"}, "item": {"S": "lease"}}


class Place:
    """A proxy, the plain client behind it, and stores over it."""

    def __init__(self, proxy: Proxy, client: Any, name: str) -> None:
        self.proxy = proxy
        self.client = client
        self.name = name
        self.counted: list[tuple[str, str]] = []

    def store(
        self, *, create: bool = True, read_only: bool = False, pipeline: str = "pipeline"
    ) -> DynamoDBStateStore:
        def count(operation: str, outcome: str) -> None:
            self.counted.append((operation, outcome))

        return state_store(
            AwsAccess(region=REGION, endpoint_url=self.proxy.url),
            self.name,
            pipeline,
            create=create,
            count_call=count,
            read_only=read_only,
        )

    @contextmanager
    def opened(self, **more: Any) -> Iterator[DynamoDBStateStore]:
        store = self.store(**more)
        store.open()
        try:
            yield store
        finally:
            store.close()

    def items(self) -> dict[str, Any]:
        found = self.client.query(
            TableName=self.name,
            KeyConditionExpression="pipeline = :p",
            ExpressionAttributeValues={":p": {"S": "pipeline"}},
        )
        return {item["item"]["S"]: item for item in found["Items"]}

    def saved(self) -> None:
        """Two saves of one page, and a release."""
        with self.opened() as store:
            lease = store.acquire(this_process(), lease_seconds=15, now=NOW)
            store.save(lease, StateChange(cursors=[cursor(0, after("1"))]))
            store.save(lease, StateChange(cursors=[cursor(0, after("2"))]))
            store.release(lease)


@pytest.fixture
def place(moto_endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    patience(monkeypatch)
    client = client_of(moto_endpoint)
    with Proxy(moto_endpoint, idle_seconds=IDLE_SECONDS) as proxy:
        yield Place(proxy, client, table_of(tmp_path))
    client.close()


def test_a_table_is_made_on_demand(place: Place) -> None:
    with place.opened():
        made = place.client.describe_table(TableName=place.name)["Table"]
    assert made["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert [(key["AttributeName"], key["KeyType"]) for key in made["KeySchema"]] == [
        ("pipeline", "HASH"),
        ("item", "RANGE"),
    ]


def test_who_only_reads_makes_nothing(place: Place) -> None:
    with place.opened(read_only=True) as store:
        assert contents(store.load()) == contents(Saved())
        assert store.owner() is None
        assert "will be created" in store.look(NOW)[0]
    assert place.name not in place.client.list_tables()["TableNames"]
    assert {operation for operation, _ in place.proxy.calls} == {"DescribeTable"}


@pytest.mark.parametrize("read_only", [False, True])
def test_a_table_that_may_not_be_made_is_asked_for(place: Place, read_only: bool) -> None:
    error = error_of(place.store(create=False, read_only=read_only).open)
    assert error.kind is ErrorKind.NOT_FOUND
    command = error.remedy.removeprefix("create it: ").split()
    assert command[:3] == ["aws", "dynamodb", "create-table"]
    assert command[command.index("--region") + 1] == REGION
    assert error_of(lambda: place.store(create=False).look(NOW)).remedy == error.remedy


def test_waits_until_the_table_is_active(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "POLL_SECONDS", 0.001)
    place.saved()
    described = place.client.describe_table(TableName=place.name)["Table"]
    creating = {
        "Table": {"TableStatus": "CREATING"}
        | {k: described[k] for k in ("KeySchema", "AttributeDefinitions")}
    }
    place.proxy.fault = times(3, Refuse("", 200, more=creating), "DescribeTable")
    with place.opened() as store:
        assert len(store.load().cursors) == 1
    assert place.proxy.operations().count("DescribeTable") >= 4


def test_a_table_that_stays_away_is_not_waited_for_for_ever(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.saved()
    monkeypatch.setattr(table, "CREATION_SECONDS", 0.0)
    monkeypatch.setattr(table, "POLL_SECONDS", 0.001)
    described = place.client.describe_table(TableName=place.name)["Table"]
    creating = {
        "Table": {"TableStatus": "CREATING"}
        | {k: described[k] for k in ("KeySchema", "AttributeDefinitions")}
    }
    place.proxy.fault = times(99, Refuse("", 200, more=creating), "DescribeTable")
    assert error_of(place.store().open).kind is ErrorKind.UNAVAILABLE


def test_another_pipeline_may_be_quicker_to_make_the_table(place: Place) -> None:
    place.saved()
    place.proxy.fault = times(1, Refuse("ResourceNotFoundException"), "DescribeTable")
    with place.opened() as store:
        assert len(store.load().cursors) == 1
    assert ("CreateTable", ErrorKind.INVALID_REQUEST) in place.counted


def test_a_table_of_something_else_is_refused(place: Place) -> None:
    place.client.create_table(
        TableName=place.name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pipeline", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pipeline", "AttributeType": "S"}],
    )
    for call in (place.store().open, place.store(read_only=True).open, lambda: place.store().look(NOW)):
        error = error_of(call)
        assert error.kind is ErrorKind.STATE_FORMAT
        assert "state.table" in error.remedy


def test_reads_with_one_call_and_saves_with_two(place: Place) -> None:
    with place.opened() as store:
        lease = store.acquire(this_process(), lease_seconds=15, now=NOW)
        store.save(lease, StateChange(cursors=[cursor(0, after("1"))]))
        place.counted.clear()
        store.save(lease, StateChange(cursors=[cursor(0, after("2"))]))
        store.renew(lease, now=NOW + 1)
        assert place.counted == [("PutItem", "ok"), ("UpdateItem", "ok"), ("UpdateItem", "ok")]
        place.counted.clear()
        store.load()
        assert place.counted == [("Query", "ok")]


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Refuse("ProvisionedThroughputExceededException"), ErrorKind.THROTTLED),
        (Refuse("ThrottlingException"), ErrorKind.THROTTLED),
        (Refuse("RequestLimitExceeded"), ErrorKind.THROTTLED),
        (Refuse("TransactionConflictException"), ErrorKind.UNAVAILABLE),
        (Refuse("InternalServerError", 500), ErrorKind.UNAVAILABLE),
        (Refuse("ServiceUnavailable", 503), ErrorKind.UNAVAILABLE),
        (Refuse("AccessDeniedException"), ErrorKind.ACCESS_DENIED),
        (Refuse("ExpiredTokenException"), ErrorKind.ACCESS_DENIED),
        (Refuse("ResourceNotFoundException"), ErrorKind.NOT_FOUND),
        (Refuse("ValidationException"), ErrorKind.INVALID_REQUEST),
        (Refuse("NobodyKnowsException", 500), ErrorKind.UNAVAILABLE),
        (LoseRequest(), ErrorKind.UNAVAILABLE),
        (LoseAnswer(), ErrorKind.UNAVAILABLE),
        (Garbage(502), ErrorKind.UNAVAILABLE),
        (Garbage(200), ErrorKind.UNAVAILABLE),
    ],
    ids=str,
)
@pytest.mark.parametrize("operation", ["PutItem", "UpdateItem"])
def test_what_a_failed_call_is(place: Place, fault: Any, kind: ErrorKind, operation: str) -> None:
    """One call, no retry; and the next save is well."""
    with place.opened() as store:
        lease = store.acquire(this_process(), lease_seconds=15, now=NOW)
        store.save(lease, StateChange(cursors=[cursor(0, after("1")), cursor(1)]))
        place.proxy.fault = always(fault, operation)
        before = place.proxy.operations().count(operation)
        error = error_of(lambda: store.save(lease, StateChange(cursors=[cursor(0, after("2"))])))
        assert place.proxy.operations().count(operation) == before + 1
        assert error.kind is kind
        assert place.name in error.message
        if kind is ErrorKind.ACCESS_DENIED:
            assert f"dynamodb:{operation}" in error.remedy
        place.proxy.fault = well
        store.save(lease, StateChange(cursors=[cursor(0, after("3"))]))
        assert contents(store.load()) == contents(Saved([cursor(0, after("3")), cursor(1)]))


def always(fault: Any, operation: str) -> Choose:
    return lambda asked, _request: fault if asked == operation else None


def test_a_take_over_names_the_owner_to_whom_is_late(place: Place) -> None:
    elsewhere = replace(this_process(), host="elsewhere.invalid", pid=7)
    with place.opened() as first, place.opened() as second:
        stale = first.acquire(this_process(), lease_seconds=15, now=NOW)
        second.acquire(elsewhere, lease_seconds=15, now=NOW + 16)
        for call in (
            lambda: first.save(stale, StateChange(cursors=[cursor()])),
            lambda: first.renew(stale, now=NOW + 17),
        ):
            error = error_of(call)
            assert error.kind is ErrorKind.NOT_OWNER
            assert "process 7 on elsewhere.invalid" in error.message


def test_a_lost_answer_of_an_acquisition_is_the_own_one(place: Place) -> None:
    with place.opened() as store:
        place.proxy.fault = times(1, LoseAnswer(), "UpdateItem")
        first = error_of(lambda: store.acquire(this_process(), lease_seconds=15, now=NOW))
        assert first.kind is ErrorKind.UNAVAILABLE
        lease = store.acquire(this_process(), lease_seconds=15, now=NOW)
        store.save(lease, StateChange(cursors=[cursor()]))
        with place.opened() as other:
            error = error_of(lambda: other.acquire(this_process(), lease_seconds=15, now=NOW))
            assert error.kind is ErrorKind.NOT_OWNER


@pytest.mark.parametrize("removed", ["lease", "page/o0/b"])
def test_a_state_with_a_part_removed_is_refused_and_not_begun_anew(place: Place, removed: str) -> None:
    place.saved()
    assert set(place.items()) == {"lease", "page/o0/a", "page/o0/b"}
    place.client.delete_item(TableName=place.name, Key=KEY | {"item": {"S": removed}})
    with place.opened() as store:
        error = error_of(store.load)
        assert error.kind is ErrorKind.STATE_FORMAT
        assert error.remedy
        if removed == "lease":
            error = error_of(lambda: store.acquire(this_process(), lease_seconds=15, now=NOW))
            assert error.kind is ErrorKind.STATE_FORMAT


def test_the_page_that_does_not_count_is_not_missed(place: Place) -> None:
    place.saved()
    place.client.delete_item(TableName=place.name, Key=KEY | {"item": {"S": "page/o0/a"}})
    with place.opened() as store:
        assert contents(store.load()) == contents(Saved([cursor(0, after("2"))]))


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b\x08", b"no gzip", b"\x1f\x8b" + 40 * b"\x00"])
def test_a_page_that_cannot_be_read_is_refused(place: Place, content: bytes) -> None:
    place.saved()
    page = place.items()["page/o0/b"]
    place.client.put_item(TableName=place.name, Item=page | {"content": {"B": content}})
    with place.opened() as store:
        assert error_of(store.load).kind is ErrorKind.STATE_FORMAT


@pytest.mark.parametrize("attribute", ["epoch", "save", "pages", "format"])
def test_a_lease_that_cannot_be_read_is_refused(place: Place, attribute: str) -> None:
    place.saved()
    lease = {name: value for name, value in place.items()["lease"].items() if name != attribute}
    place.client.put_item(TableName=place.name, Item=lease)
    assert error_of(place.store().open).kind is ErrorKind.STATE_FORMAT


def test_a_state_of_the_first_format_is_of_the_present_one_once_it_is_owned(place: Place) -> None:
    """A process of the version before refuses it from then on."""
    place.saved()
    lease = place.items()["lease"]
    place.client.put_item(TableName=place.name, Item=lease | {"format": {"N": "1"}})
    with place.opened() as store:
        before = contents(store.load())
        store.acquire(this_process(), lease_seconds=15, now=NOW + 100)
        assert contents(store.load()) == before
    assert place.items()["lease"]["format"] == {"N": "2"}


def test_a_newer_state_is_refused_to_readers_too(place: Place) -> None:
    place.saved()
    place.client.put_item(
        TableName=place.name, Item=place.items()["lease"] | {"format": {"N": "3"}, "epoch": {"S": "x"}}
    )
    for read_only in (False, True):
        error = error_of(place.store(read_only=read_only).open)
        assert error.kind is ErrorKind.STATE_FORMAT
        assert "newer" in error.message


def test_a_look_says_how_far_the_clocks_are_apart(place: Place, moto_endpoint: str) -> None:
    place.saved()
    store = place.store()
    said = store.look(0.0)
    store.close()
    assert len(said) <= 2
    # Where the endpoint tells its time at all.
    assert all("behind the service's" in line for line in said[1:])


def test_permissions_are_those_of_the_calls(place: Place) -> None:
    place.saved()
    with place.opened() as store:
        store.load()
        store.look(NOW)
    [run, create] = permissions(table_arn="arn:one", create=True)
    called = {f"dynamodb:{operation}" for operation, _ in place.counted}
    assert called == {*run.actions, *create.actions}
    assert permissions(table_arn="arn:two", create=False) == [replace(run, resources=("arn:two",))]


@pytest.mark.parametrize("wrong", [{"region": None}, {"profile": "nobody"}])
def test_a_wrong_setting_of_the_sdk(
    place: Place, wrong: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    access = AwsAccess(**{"region": REGION, "endpoint_url": place.proxy.url} | wrong)
    with pytest.raises(StateError) as caught:
        state_store(access, place.name, "pipeline", create=True, count_call=uncounted)
    assert caught.value.kind is ErrorKind.CONFIGURATION
    assert caught.value.remedy
