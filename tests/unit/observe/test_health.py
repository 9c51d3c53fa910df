from dataclasses import replace

import pytest

from cdc.observe.health import LoopHealth, readiness
from tests.unit.observe.statuses import STATUS, sink
from tests.unit.observe.test_report import HEALTHY


class Watch:
    now = 50.0

    def __call__(self) -> float:
        return self.now


def test_healthy_while_the_loop_turns() -> None:
    watch = Watch()
    health = LoopHealth(watch, within_seconds=30)
    assert health().ok
    watch.now += 30
    assert health().ok
    watch.now += 1
    assert health().reasons == ("the engine has not turned for 31 s",)
    health.turned()
    assert health().ok


def test_ready_when_all_tables_are_listed_and_all_sinks_open() -> None:
    assert readiness(HEALTHY, tables=["orders"], sinks=["bus"]).ok
    assert readiness(replace(HEALTHY, sinks=(sink("bus", "probing"),)), tables=["orders"], sinks=["bus"]).ok


@pytest.mark.parametrize(
    ("status", "reasons"),
    [
        (None, ["starting"]),
        (replace(HEALTHY, tables=()), ["table orders: its shards are not listed yet"]),
        (replace(HEALTHY, sinks=()), ["sink bus is not there yet"]),
        (replace(HEALTHY, sinks=(sink("bus", "opening"),)), ["sink bus is opening"]),
        (replace(HEALTHY, sinks=(replace(sink("bus", "down"), error="gone"),)), ["sink bus is down: gone"]),
        (replace(HEALTHY, source_error="denied"), ["source: denied"]),
    ],
)
def test_not_ready_with_its_reasons(status: object, reasons: list[str]) -> None:
    found = readiness(status, tables=["orders"], sinks=["bus"])  # type: ignore[arg-type]  # a Status or None
    assert not found.ok
    assert list(found.reasons) == reasons


def test_all_reasons_at_once() -> None:
    found = readiness(STATUS, tables=["orders", "customers"], sinks=["bus", "lake", "dr"])
    assert len(found.reasons) == 2
