"""A suspended machine: leases and records expire meanwhile."""

import time

import pytest

from cdc.runtime.clock import SystemClock


def test_the_monotonic_clock_counts_the_time_of_a_suspension(monkeypatch: pytest.MonkeyPatch) -> None:
    real = time.clock_gettime

    def after_a_suspended_day(clock: int) -> float:
        return real(clock) + (86_400.0 if clock == time.CLOCK_BOOTTIME else 0.0)

    before = SystemClock().now()
    monkeypatch.setattr(time, "clock_gettime", after_a_suspended_day)
    assert SystemClock().now().monotonic - before.monotonic >= 86_400.0
