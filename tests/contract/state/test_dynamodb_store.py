import pytest

from tests.state_dynamodb.contract import DynamoDBStoreCases


class TestOnMoto(DynamoDBStoreCases):
    serial = True

    @pytest.fixture
    def endpoint(self, moto_endpoint: str) -> str:
        return moto_endpoint
