from dataclasses import replace

import pytest

from cdc.core.lineage import LaneState
from cdc.observe.health import LoopHealth, readiness
from tests.unit.observe.statuses import STATUS, lane, sink
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
        (replace(HEALTHY, save_error="disk full"), ["state: it cannot be saved: disk full"]),
        (
            replace(HEALTHY, sinks=(replace(sink("bus"), letters_error="disk full"),)),
            ["sink bus: dead letters cannot be written: disk full"],
        ),
    ],
)
def test_not_ready_with_its_reasons(status: object, reasons: list[str]) -> None:
    found = readiness(status, tables=["orders"], sinks=["bus"])  # type: ignore[arg-type]  # a Status or None
    assert not found.ok
    assert list(found.reasons) == reasons


def test_all_reasons_at_once() -> None:
    found = readiness(STATUS, tables=["orders", "customers"], sinks=["bus", "lake", "dr"])
    assert found.reasons == (
        "table customers: its shards are not listed yet",
        "sink lake: 1 shard is halted: trimmed before it was read",
        "sink dr is down: table orders is not there",
    )


def test_halted_shards_are_counted_by_sink_with_the_first_reason() -> None:
    halted = [
        replace(lane(sink, f"shardId-{number}", LaneState.HALTED), waits_for=f"reason {number}")
        for sink in ("bus", "removed")
        for number in (4, 5, 6)
    ]
    status = replace(HEALTHY, lanes=(*HEALTHY.lanes, *halted))
    assert readiness(status, tables=["orders"], sinks=["bus"]).reasons == (
        "sink bus: 3 shards are halted: reason 4",
    )
