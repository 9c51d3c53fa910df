import pytest

from tests.replica.guard_cases import GuardCases


class TestGuard(GuardCases):
    @pytest.fixture
    def endpoint(self, moto_endpoint: str) -> str:
        return moto_endpoint
