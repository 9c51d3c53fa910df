import re
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import get_args

import pytest
from prometheus_client.parser import text_string_to_metric_families

from cdc.core.lineage import LaneState
from cdc.core.status import Status
from cdc.observe.metrics import STAGES, MetricName, Metrics, Stage
from tests.unit.observe.statuses import AT, GAP, STATUS, lane, sink

Series = dict[tuple[str, ...], float]


class Watch:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def full(metrics: Metrics) -> Metrics:
    metrics.changes("orders", "bus", "c", 3)
    metrics.stage("encode").observe(0.02)
    metrics.api_call("GetRecords", "ok")
    metrics.dead_letters("orders", "bus", 2)
    metrics.publish(STATUS)
    return metrics


def series(metrics: Metrics, name: str, *labels: str) -> Series:
    """The samples of one name, by these labels."""
    found = {}
    for family in text_string_to_metric_families(metrics.render().decode()):
        for sample in family.samples:
            if sample.name == name:
                assert sample.labels["pipeline"] == "p"
                assert set(sample.labels) == {"pipeline", *labels}
                found[tuple(sample.labels[label] for label in labels)] = sample.value
    return found


def test_every_name_is_there_and_no_other() -> None:
    names = {
        re.sub(r"_(bucket|sum|count)$", "", sample.name)
        for family in text_string_to_metric_families(full(Metrics("p")).render().decode())
        for sample in family.samples
    }
    assert names == set(get_args(MetricName))


def test_no_series_is_of_a_shard() -> None:
    text = full(Metrics("p")).render().decode()
    assert "shardId" not in text
    assert "arn:" not in text
    assert 'pipeline="p"' in text


def test_counting() -> None:
    metrics = full(Metrics("p"))
    metrics.changes("orders", "bus", "c")
    metrics.changes("orders", "lake", "d", 5)
    metrics.api_call("GetRecords", "throttled")
    metrics.dead_letters("orders", "bus")
    assert series(metrics, "cdc_changes_total", "table", "sink", "op") == {
        ("orders", "bus", "c"): 4,
        ("orders", "lake", "d"): 5,
    }
    assert series(metrics, "cdc_api_calls_total", "operation", "outcome") == {
        ("GetRecords", "ok"): 1,
        ("GetRecords", "throttled"): 1,
    }
    assert series(metrics, "cdc_dead_letters_total", "table", "sink") == {("orders", "bus"): 3}
    assert series(metrics, "cdc_redelivered_changes_total", "sink") == {("bus",): 3, ("lake",): 0, ("dr",): 0}


def test_every_stage_has_its_histogram_from_the_start() -> None:
    metrics = Metrics("p")
    metrics.stage("durable").observe(2.0)
    metrics.stage("durable").observe(200.0)
    assert get_args(Stage) == STAGES
    assert series(metrics, "cdc_stage_seconds_count", "stage") == {
        (stage,): 2 if stage == "durable" else 0 for stage in STAGES
    }
    assert series(metrics, "cdc_stage_seconds_sum", "stage")["durable",] == 202.0


def test_lag_grows_and_the_time_left_shrinks_while_no_status_comes() -> None:
    watch = Watch()
    metrics = full(Metrics("p", monotonic=watch))
    watch.now += 10
    lag = series(metrics, "cdc_lag_seconds", "table", "sink")
    left = series(metrics, "cdc_retention_headroom_seconds", "table", "sink")
    assert lag == {("orders", "bus"): 13.5, ("orders", "lake"): 40_010.0}
    assert {key: lag[key] + left[key] for key in lag} == dict.fromkeys(lag, 86_400)
    assert series(metrics, "cdc_status_age_seconds") == {(): 10}
    metrics.publish(STATUS)
    assert series(metrics, "cdc_lag_seconds", "table", "sink")["orders", "bus"] == 3.5


def test_complete_through_is_absent_until_it_is_known_and_never_goes_back() -> None:
    metrics = full(Metrics("p"))
    name = "cdc_complete_through_timestamp_seconds"
    first = series(metrics, name, "table", "sink")
    assert first == {("orders", "bus"): 1_767_225_536.0}
    metrics.publish(replace(STATUS, lanes=(*STATUS.lanes, lane("bus", "shardId-4", lag=9_999.0))))
    assert series(metrics, name, "table", "sink") == first
    metrics.publish(replace(STATUS, lanes=()))
    assert series(metrics, name, "table", "sink") == first
    metrics.publish(replace(STATUS, lanes=(lane("bus", "shardId-4", lag=0.0),)))
    assert series(metrics, name, "table", "sink")["orders", "bus"] > first["orders", "bus"]


def test_every_state_of_every_table_and_sink_has_its_series() -> None:
    metrics = full(Metrics("p"))
    shards = series(metrics, "cdc_shards", "table", "sink", "state")
    states = {state.value for state in LaneState} - {"finished"}
    assert set(shards) == {("orders", sink.name, state) for sink in STATUS.sinks for state in states}
    assert {key: number for key, number in shards.items() if number} == {
        ("orders", "bus", "flowing"): 2,
        ("orders", "bus", "waiting"): 1,
        ("orders", "lake", "ending"): 1,
        ("orders", "lake", "halted"): 1,
    }
    assert series(metrics, "cdc_batches_in_flight", "table", "sink")["orders", "dr"] == 0


@pytest.mark.parametrize("state", ["up", "probing", "opening", "down"])
def test_a_sink_without_shards_is_seen(state: str) -> None:
    metrics = Metrics("p")
    metrics.publish(Status((sink("bus", state),), (), "throttled", (), 0))
    assert series(metrics, "cdc_sink_up", "sink") == {("bus",): state in ("up", "probing")}
    assert series(metrics, "cdc_source_up") == {(): 0}


def test_gaps_are_counted_by_what_they_wait_for() -> None:
    metrics = Metrics("p")
    skipped = replace(GAP, sink="bus", decision="skipped", count=3, last_found_at=AT - 5)
    asked = replace(GAP, sink="dr", decision="snapshot requested")
    by_hand = replace(GAP, sink="dr", kind="reset", decision="reset to latest", found_at=AT)
    metrics.publish(replace(STATUS, gaps=(GAP, skipped, asked, by_hand)))

    def by_sink(name: str) -> dict[str, float]:
        return {sink: number for (_, sink), number in series(metrics, name, "table", "sink").items()}

    assert by_sink("cdc_gaps_total") == {"bus": 3, "lake": 1, "dr": 1}
    assert by_sink("cdc_gaps_undecided") == {"bus": 0, "lake": 1, "dr": 0}
    assert by_sink("cdc_snapshots_requested") == {"bus": 0, "lake": 0, "dr": 1}
    assert by_sink("cdc_last_gap_timestamp_seconds") == {"bus": AT - 5, "lake": AT - 60, "dr": AT - 60}


def test_a_gap_of_a_sink_that_is_not_configured_any_more_calls_nobody() -> None:
    """`cdc positions reset` refuses it; it is counted."""
    metrics = Metrics("p")
    asked = replace(GAP, sink="gone", decision="snapshot requested", found_at=AT)
    metrics.publish(replace(STATUS, gaps=(replace(GAP, sink="gone"), asked)))
    assert series(metrics, "cdc_gaps_undecided", "table", "sink")["orders", "gone"] == 0
    assert series(metrics, "cdc_snapshots_requested", "table", "sink")["orders", "gone"] == 0
    assert series(metrics, "cdc_gaps_total", "table", "sink")["orders", "gone"] == 2


def test_without_a_gap_there_is_a_zero_to_rise_from_and_no_time() -> None:
    metrics = Metrics("p")
    metrics.publish(replace(STATUS, gaps=()))
    assert set(series(metrics, "cdc_gaps_total", "table", "sink").values()) == {0}
    assert not series(metrics, "cdc_last_gap_timestamp_seconds", "table", "sink")


def test_before_the_first_status_there_are_only_counters() -> None:
    assert "cdc_lag_seconds" not in Metrics("p").render().decode()


def test_names_are_escaped() -> None:
    metrics = Metrics("p")
    metrics.changes('a"b\\c\nd', "bus", "c")
    assert list(series(metrics, "cdc_changes_total", "table", "sink", "op")) == [('a"b\\c\nd', "bus", "c")]


def test_two_pipelines_in_one_process_do_not_mix() -> None:
    one, two = full(Metrics("p")), Metrics("q")
    assert "cdc_changes_total{" not in two.render().decode()
    assert "cdc_changes_total{" in one.render().decode()


def test_many_threads_count_while_others_read() -> None:
    metrics = Metrics("p")
    rounds, threads = 300, 4
    faults: list[BaseException] = []

    def run(action: Callable[[], object]) -> Callable[[], None]:
        def body() -> None:
            try:
                for _ in range(rounds):
                    action()
            except BaseException as error:  # noqa: BLE001 - asserted below
                faults.append(error)

        return body

    def count() -> None:
        metrics.changes("orders", "bus", "c")
        metrics.stage("read").observe(0.1)
        metrics.publish(STATUS)

    workers = [threading.Thread(target=run(count)) for _ in range(threads)]
    workers.append(threading.Thread(target=run(metrics.render)))
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert faults == []
    assert series(metrics, "cdc_changes_total", "table", "sink", "op") == {
        ("orders", "bus", "c"): rounds * threads
    }
    assert series(metrics, "cdc_stage_seconds_count", "stage")["read",] == rounds * threads
