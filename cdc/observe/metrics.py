"""What is measured, under which names, and the text that Prometheus reads.

Every series has the label `pipeline`. No series has a label for shards: they come and go every few hours.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from cdc.core.gap_kinds import is_gap, is_request
from cdc.core.lineage import LaneState
from cdc.core.status import SinkStatus, Status
from cdc.core.world import SinkState
from cdc.observe.figures import TableAtSink, Watermarks, figures
from cdc.ports import SavedGap

MetricName = Literal[
    # Counters of what happened in this process.
    # Changes that became durable at a sink. Labels: table, sink, op (the envelope's letter: c, u, d, r)
    "cdc_changes_total",
    # Changes that a sink handed back and was given again. Labels: sink
    "cdc_redelivered_changes_total",
    # Changes that a sink could not be given and that were put aside. Labels: table, sink
    "cdc_dead_letters_total",
    # Gaps: changes expired before a sink had them, or may have. All that there ever were. Labels: table, sink
    "cdc_gaps_total",
    # Calls to AWS and other services. Labels: operation (`GetRecords`), outcome (`ok` or an `ErrorKind`)
    "cdc_api_calls_total",
    # Seconds spent with one batch. Labels: stage
    "cdc_stage_seconds",
    # Gauges of the newest status.
    # Age of the oldest change that may not be durable, the worst shard. Labels: table, sink
    "cdc_lag_seconds",
    # Time until the oldest change that is not durable expires, the worst shard. Labels: table, sink
    "cdc_retention_headroom_seconds",
    # Epoch seconds: all changes before are durable. Never decreases; absent while unknown. Labels: table, sink
    "cdc_complete_through_timestamp_seconds",
    # Gaps that wait for a decision: their shards are halted. Labels: table, sink
    "cdc_gaps_undecided",
    # Gaps that wait for a snapshot; the shards go on. Labels: table, sink
    "cdc_snapshots_requested",
    # Epoch seconds: when the newest gap was found, whatever was decided about it. Absent without one. Labels: table, sink
    "cdc_last_gap_timestamp_seconds",
    # Batches that were given and are not durable. Labels: table, sink
    "cdc_batches_in_flight",
    # Unfinished shards. Labels: table, sink, state (each state has its series, 0 too)
    "cdc_shards",
    # 1 if the sink is open, else 0. A configured sink is here from the first status on. Labels: sink
    "cdc_sink_up",
    # 1 if the last call to the source succeeded, else 0. No labels
    "cdc_source_up",
    # Seconds since the newest status: grows when the engine hangs. No labels
    "cdc_status_age_seconds",
]

Stage = Literal["read", "encode", "accept", "durable", "save"]
"""Where a batch's time goes: a call of GetRecords, making Avro of it, until the sink owns it, until it is durable there
(both from the call of `write`), and one save of the positions."""

STAGES: tuple[Stage, ...] = ("read", "encode", "accept", "durable", "save")

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Of `Metrics.render`."""

_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Seconds; the last ones for lakes, where a batch is durable with the next commit."""

_OPEN_STATES = (SinkState.UP.value, SinkState.PROBING.value)
_LANE_STATES = tuple(state for state in LaneState if state is not LaneState.FINISHED)


class Observer(Protocol):
    def observe(self, seconds: float) -> None: ...


class Metrics:
    """The metrics of one pipeline. Every method may be called from any thread, and is cheap: counting takes a lock
    and an addition, and nothing is computed before somebody asks (`render`).

    Args:
        pipeline: value of the label that every series has.
        monotonic: seconds; lag grows, and headroom shrinks, by the age of the newest status.
    """

    def __init__(self, pipeline: str, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._pipeline = pipeline
        self._registry = CollectorRegistry(auto_describe=False)
        self._changes = self._counter(
            "cdc_changes_total", "Changes made durable, by operation", "table", "sink", "op"
        )
        self._letters = self._counter("cdc_dead_letters_total", "Changes put aside", "table", "sink")
        self._calls = self._counter("cdc_api_calls_total", "Calls to services", "operation", "outcome")
        seconds: MetricName = "cdc_stage_seconds"
        histogram = Histogram(
            seconds, "Seconds per batch and stage", ("pipeline", "stage"), registry=None, buckets=_BUCKETS
        )
        self._registry.register(_WithoutCreated(histogram))
        self._stages: dict[Stage, Observer] = {stage: histogram.labels(pipeline, stage) for stage in STAGES}
        self._newest = _Newest(pipeline, monotonic)
        self._registry.register(self._newest)

    def changes(self, table: str, sink: str, op: str, n: int = 1) -> None:
        """`n` changes became durable at this sink."""
        self._changes.labels(self._pipeline, table, sink, op).inc(n)

    def stage(self, stage: Stage) -> Observer:
        """Whose `observe(seconds)` is called once per batch, call or save."""
        return self._stages[stage]

    def api_call(self, operation: str, outcome: str) -> None:
        """One call was answered: `ok`, or the value of the `ErrorKind`."""
        self._calls.labels(self._pipeline, operation, outcome).inc()

    def dead_letters(self, table: str, sink: str, n: int = 1) -> None:
        """`n` dead letters were written."""
        self._letters.labels(self._pipeline, table, sink).inc(n)

    def publish(self, status: Status) -> None:
        """The newest status. All of the gauges come from it; a status is never changed after it is published."""
        self._newest.publish(status)

    def render(self) -> bytes:
        """All metrics in Prometheus' text format, `CONTENT_TYPE`."""
        return generate_latest(self._registry)

    def _counter(self, name: MetricName, text: str, *labels: str) -> Counter:
        counter = Counter(name, text, ("pipeline", *labels), registry=None)
        self._registry.register(_WithoutCreated(counter))
        return counter


@dataclass(frozen=True, slots=True)
class _Snapshot:
    status: Status
    at: float
    """Monotonic."""
    tables: Mapping[tuple[str, str], TableAtSink]
    complete_through: Mapping[tuple[str, str], float]
    gaps: Mapping[tuple[str, str], Sequence[SavedGap]]


class _WithoutCreated(Collector):
    """A metric without the time at which each of its series began: the library's addition, which doubles the series."""

    def __init__(self, metric: Collector) -> None:
        self._metric = metric

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        for family in self._metric.collect():
            family.samples = [sample for sample in family.samples if not sample.name.endswith("_created")]
            yield family


class _Newest(Collector):
    """Makes gauges of the newest status when they are asked for."""

    def __init__(self, pipeline: str, monotonic: Callable[[], float]) -> None:
        self._pipeline = pipeline
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._watermarks = Watermarks()
        self._status: Status | None = None
        self._at = 0.0

    def publish(self, status: Status) -> None:
        with self._lock:
            self._status = status
            self._at = self._monotonic()

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        with self._lock:
            status, at = self._status, self._at
            found = figures(status.lanes) if status is not None else {}
            through = self._watermarks.advance(found)
        if status is not None:
            gaps: dict[tuple[str, str], list[SavedGap]] = {}
            for gap in filter(is_gap, status.gaps):
                gaps.setdefault((gap.table, gap.sink), []).append(gap)
            snapshot = _Snapshot(status, at, found, through, gaps)
            yield from self._of_tables(snapshot)
            yield from self._of_gaps(snapshot)
            yield from self._of_sinks(snapshot)

    def _of_tables(self, snapshot: _Snapshot) -> Iterator[Metric]:
        age = max(0.0, self._monotonic() - snapshot.at)
        lag = self._gauge(
            "cdc_lag_seconds", "Age of the oldest change that may not be durable", "table", "sink"
        )
        headroom = self._gauge(
            "cdc_retention_headroom_seconds",
            "Time until the oldest undelivered change expires",
            "table",
            "sink",
        )
        batches = self._gauge("cdc_batches_in_flight", "Batches given and not durable", "table", "sink")
        shards = self._gauge("cdc_shards", "Unfinished shards by state", "table", "sink", "state")
        for (table, sink), figure in sorted(snapshot.tables.items()):
            labels = [self._pipeline, table, sink]
            if figure.lag_seconds is not None:
                lag.add_metric(labels, figure.lag_seconds + age)
            if figure.headroom_seconds is not None:
                headroom.add_metric(labels, figure.headroom_seconds - age)
        for table, sink in _pairs(snapshot):
            known = snapshot.tables.get((table, sink))
            batches.add_metric([self._pipeline, table, sink], known.batches if known else 0)
            for state in _LANE_STATES:
                number = known.shards.get(state, 0) if known else 0
                shards.add_metric([self._pipeline, table, sink, state.value], number)
        complete = self._gauge(
            "cdc_complete_through_timestamp_seconds", "All changes before are durable", "table", "sink"
        )
        for key, through in sorted(snapshot.complete_through.items()):
            complete.add_metric([self._pipeline, *key], through)
        yield from (lag, headroom, complete, batches, shards)

    def _of_gaps(self, snapshot: _Snapshot) -> Iterator[Metric]:
        name: MetricName = "cdc_gaps_total"
        every = CounterMetricFamily(
            name, "Gaps: changes expired, or may have", labels=("pipeline", "table", "sink")
        )
        waiting = self._gauge("cdc_gaps_undecided", "Gaps that wait for a decision", "table", "sink")
        requests = self._gauge("cdc_snapshots_requested", "Gaps that wait for a snapshot", "table", "sink")
        newest = self._gauge(
            "cdc_last_gap_timestamp_seconds", "When the newest gap was found", "table", "sink"
        )
        sinks = {sink.name for sink in snapshot.status.sinks}
        for table, sink in sorted({*snapshot.gaps, *_pairs(snapshot)}):
            labels = [self._pipeline, table, sink]
            found = snapshot.gaps.get((table, sink), ())
            every.add_metric(labels, sum(gap.count for gap in found))
            # A sink that is not configured any more waits for nothing: nobody can decide about it, and none should be called.
            known = found if sink in sinks else ()
            waiting.add_metric(labels, sum(gap.count for gap in known if not gap.decision))
            requests.add_metric(labels, sum(gap.count for gap in known if is_request(gap)))
            if found:
                newest.add_metric(labels, max(gap.newest_at for gap in found))
        yield from (every, waiting, requests, newest)

    def _of_sinks(self, snapshot: _Snapshot) -> Iterator[Metric]:
        up = self._gauge("cdc_sink_up", "Whether the sink is open", "sink")
        name: MetricName = "cdc_redelivered_changes_total"
        again = CounterMetricFamily(name, "Changes given again", labels=("pipeline", "sink"))
        for sink in snapshot.status.sinks:
            up.add_metric([self._pipeline, sink.name], is_open(sink))
            again.add_metric([self._pipeline, sink.name], sink.redelivered)
        source = self._gauge("cdc_source_up", "Whether the last call to the source succeeded")
        source.add_metric([self._pipeline], not snapshot.status.source_error)
        age = self._gauge("cdc_status_age_seconds", "Seconds since the newest status")
        age.add_metric([self._pipeline], max(0.0, self._monotonic() - snapshot.at))
        yield from (up, again, source, age)

    def _gauge(self, name: MetricName, text: str, *labels: str) -> GaugeMetricFamily:
        return GaugeMetricFamily(name, text, labels=("pipeline", *labels))


def is_open(sink: SinkStatus) -> bool:
    return sink.state in _OPEN_STATES


def _pairs(snapshot: _Snapshot) -> list[tuple[str, str]]:
    """Every table with every sink, those without a shard yet too."""
    listed = {(table, sink.name) for table in snapshot.status.tables for sink in snapshot.status.sinks}
    return sorted(listed | set(snapshot.tables))
