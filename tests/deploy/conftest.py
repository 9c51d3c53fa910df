"""A linter that cannot be had is a skip that says so, or a failure where everything is demanded."""

import os
from collections.abc import Callable
from typing import TypeVar

import pytest

from tests.deploy.tools import ToolMissingError

T = TypeVar("T")


@pytest.fixture
def tool() -> Callable[[Callable[[], T]], T]:
    def take(of: Callable[[], T]) -> T:
        try:
            return of()
        except ToolMissingError as missing:
            if os.environ.get("CDC_REQUIRE_SERVICES") == "1":
                pytest.fail(str(missing))
            pytest.skip(str(missing))

    return take
