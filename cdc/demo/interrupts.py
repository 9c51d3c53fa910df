"""Ctrl-C and SIGTERM end the demonstration, but not in the middle of a step that must not be torn."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Both signals raise KeyboardInterrupt in the main thread, at once or when what holds them is over."""

    def __init__(self) -> None:
        self._holders = 0
        self._came = False

    @contextmanager
    def handled(self) -> Iterator[None]:
        before = {number: signal.signal(number, self._handle) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Until it is over, a signal only waits."""
        self._holders += 1
        try:
            yield
        finally:
            self._holders -= 1
        if self._came and not self._holders:
            self._came = False
            raise KeyboardInterrupt

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        if self._holders:
            self._came = True
        else:
            raise KeyboardInterrupt
