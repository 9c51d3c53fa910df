import pytest

from tests.replica.contract import LostAnswerCases, ReplicaCases


class TestReplica(ReplicaCases):
    @pytest.fixture
    def endpoint(self, moto_endpoint: str) -> str:
        return moto_endpoint


class TestReplicaWhoseAnswersGetLost(LostAnswerCases):
    @pytest.fixture
    def endpoint(self, moto_endpoint: str) -> str:
        return moto_endpoint
