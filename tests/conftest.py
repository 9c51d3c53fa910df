"""How the tests run: with which plugins, and hypothesis without a deadline for one example: it may take its time on a busy
machine; a slow suite shows in its total."""

import pytest
from hypothesis import settings

pytest.register_assert_rewrite("cdc.testing")
pytest_plugins = ["tests.services.plugin", "tests.integration.pipeline.proof", "tests.iam.plugin"]

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
