import pytest

from tests.replica.contract import ReplicaCases


class TestReplica(ReplicaCases):
    @pytest.fixture
    def endpoint(self, moto_endpoint: str) -> str:
        return moto_endpoint
