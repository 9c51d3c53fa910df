"""SIGTERM and SIGINT: the first asks for an orderly end, the second ends at once with 1."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def handled(request_stop: Callable[[], None]) -> Iterator[None]:
    """Calls `request_stop` on the first signal. Restores what was there before."""
    seen = False

    def handler(_number: int, _frame: FrameType | None) -> None:
        nonlocal seen
        if seen:
            os._exit(1)
        seen = True
        request_stop()

    before = {number: signal.signal(number, handler) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
