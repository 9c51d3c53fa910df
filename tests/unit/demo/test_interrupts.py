import os
import signal
import threading
from collections.abc import Iterator

import pytest

from cdc.demo.interrupts import Interrupts


@pytest.fixture
def interrupts() -> Iterator[Interrupts]:
    made = Interrupts()
    with made.handled():
        yield made


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_interrupts(interrupts: Interrupts, number: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_for_what_holds_it(interrupts: Interrupts, number: int) -> None:
    steps: list[str] = []

    def hold() -> None:
        with interrupts.held():
            with interrupts.held():
                os.kill(os.getpid(), number)
                steps.append("inner")
            steps.append("outer")

    with pytest.raises(KeyboardInterrupt):
        hold()
    assert steps == ["inner", "outer"]
    with interrupts.held():
        pass  # it came once, and was raised once


def test_what_was_there_before_comes_back() -> None:
    assert threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM)
    with Interrupts().handled():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
