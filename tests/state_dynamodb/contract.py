"""The contract of a state store, over a proxy that fails on request."""

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cdc.connector import AwsAccess
from cdc.ports import Owner, StateStore
from cdc.process import this_process
from cdc.testing.store_contract import FormatCases
from cdc.testing.store_outages import OutageCases
from connectors.state_dynamodb import build
from connectors.state_dynamodb.build import state_store
from tests.contract.test_sqlite_store import ended_process
from tests.integration.pipeline.workload import client_of
from tests.replica.proxy import Fault, LoseAnswer, Proxy, Refuse, well

REGION = "eu-west-1"
THROTTLED = Refuse("ProvisionedThroughputExceededException")
IDLE_SECONDS = 30.0
"""A connection that is closed in between is a failed call to a store that makes each call once."""
WRITES = ("PutItem", "UpdateItem")


def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits for a timeout; a machine that is busy with others is no outage."""
    monkeypatch.setattr(build, "_READ_SECONDS", 60.0)


def uncounted(operation: str, outcome: str) -> None:
    """Tests that count have a counter of their own."""


def table_of(base: Path) -> str:
    """A name that no other test has."""
    return f"state-{zlib.crc32(str(base).encode()):08x}"


class DynamoDBStoreCases(FormatCases, OutageCases):
    """Of any endpoint."""

    serial = False
    """Whether it has to be asked by one at a time."""

    @pytest.fixture
    def endpoint(self) -> str:
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def _proxy(self, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        patience(monkeypatch)
        with Proxy(endpoint, idle_seconds=IDLE_SECONDS, serial=self.serial) as proxy:
            self.proxy = proxy
            self.client: Any = client_of(endpoint)
            yield
            self.client.close()

    def make_store(self, base: Path, pipeline: str = "pipeline") -> StateStore:
        access = AwsAccess(region=REGION, endpoint_url=self.proxy.url)
        return state_store(access, table_of(base), pipeline, create=True, count_call=uncounted)

    def this_process(self) -> Owner:
        return this_process()

    def ended_process(self) -> Owner:
        return ended_process()

    def make_newer(self, base: Path) -> None:
        self.client.update_item(
            TableName=table_of(base),
            Key={"pipeline": {"S": "pipeline"}, "item": {"S": "lease"}},
            UpdateExpression="SET #f = :f",
            ExpressionAttributeNames={"#f": "format"},
            ExpressionAttributeValues={":f": {"N": "3"}},
        )

    def make_foreign(self, base: Path) -> None:
        self.client.create_table(
            TableName=table_of(base),
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        )

    def break_it(self, base: Path) -> None:
        self._meet(THROTTLED)

    def lose_its_answers(self, base: Path) -> None:
        self._meet(LoseAnswer())

    def mend_it(self, base: Path) -> None:
        self.proxy.fault = well

    def _meet(self, fault: Fault) -> None:
        self.proxy.fault = lambda operation, _request: fault if operation in WRITES else None
