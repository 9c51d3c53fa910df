import pytest

from tests.state_dynamodb.contract import DynamoDBStoreCases

pytestmark = pytest.mark.integration


class TestOnDynamoDBLocal(DynamoDBStoreCases):
    @pytest.fixture
    def endpoint(self, dynamodb_endpoint: str) -> str:
        return dynamodb_endpoint
