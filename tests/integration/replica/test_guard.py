from typing import Any

import pytest

from tests.replica.guard_cases import PLANTED, A, GuardCases
from tests.replica.records import change

pytestmark = pytest.mark.integration


class TestGuard(GuardCases):
    """Here also what moto does not do: types of index keys, comparisons of versions of other types."""

    @pytest.fixture
    def endpoint(self, dynamodb_endpoint: str) -> str:
        return dynamodb_endpoint

    @pytest.mark.parametrize("foreign", [{"N": "7"}, {"M": {}}], ids=str)
    def test_a_version_that_is_no_string_is_somebody_elses(self, foreign: dict[str, Any]) -> None:
        self.leaves_alone(foreign)

    def test_an_index_that_refuses_an_item_is_named_and_its_values_are_not(self) -> None:
        index: dict[str, Any] = {
            "AttributeDefinitions": [{"AttributeName": "total", "AttributeType": "N"}],
            "GlobalSecondaryIndexes": [
                {
                    "IndexName": "by_total",
                    "KeySchema": [{"AttributeName": "total", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
        }
        (durability,) = self.deliver(
            [
                change("INSERT", 1, A, {"n": {"N": "1"}, "total": {"N": "5"}}),
                change("MODIFY", 2, A, {"n": {"N": "2"}, "total": {"S": PLANTED}}),
                change("MODIFY", 3, A, {"n": {"N": "3"}, "total": {"S": PLANTED}}),
            ],
            [change("MODIFY", 4, A, {"n": {"N": "4"}, "total": {"S": PLANTED}})],
            **index,
        )[:1]
        assert [reject.sequence for reject in durability.rejects] == ["2", "3"]
        assert all("index" in reject.reason for reject in durability.rejects)
        assert not any(PLANTED in reject.reason for reject in durability.rejects)
        assert self.number() == "1"
