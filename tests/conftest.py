import pytest

pytest.register_assert_rewrite("cdc.testing")
pytest_plugins = ["tests.services.plugin", "tests.integration.pipeline.proof", "tests.iam.plugin"]
