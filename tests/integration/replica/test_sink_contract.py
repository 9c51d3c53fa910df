import pytest

from tests.replica.contract import LostAnswerCases, ReplicaCases

pytestmark = pytest.mark.integration


class TestReplica(ReplicaCases):
    @pytest.fixture
    def endpoint(self, dynamodb_endpoint: str) -> str:
        return dynamodb_endpoint


class TestReplicaWhoseAnswersGetLost(LostAnswerCases):
    @pytest.fixture
    def endpoint(self, dynamodb_endpoint: str) -> str:
        return dynamodb_endpoint
