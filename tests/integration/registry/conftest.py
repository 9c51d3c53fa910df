"""The registry that these tests run against where the services have none: the strict stub of this repository."""

from collections.abc import Iterator

import pytest

from tests.schema_registry.stub import stub
from tests.services import fixtures

if not hasattr(fixtures, "schema_registry_url"):

    @pytest.fixture(scope="session")
    def schema_registry_url() -> Iterator[str]:
        with stub() as server:
            yield server.url
