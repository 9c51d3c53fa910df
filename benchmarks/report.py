"""Results as tables, and as JSON."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.idle import Idle
from benchmarks.latency import Latency
from benchmarks.throughput import Case, Results, median, ratios

BEGIN, END = "<!-- figures: begin (make bench BENCH_ARGS=--write-docs) -->", "<!-- figures: end -->"
PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
KEPT = Path(__file__).parent / "results" / "latest.json"

YARDSTICKS = {
    "cdc, null": "naive loop, null",
    "naive loop, kafka, image as text": "naive loop, kafka",
    "cdc, kafka": "naive loop, kafka",
    "cdc, lake": "naive loop, null",
}
"""Who is compared to which loop: nobody to one that does more. There is none that everyone writes for a replica."""


@dataclasses.dataclass(frozen=True)
class Figures:
    at: str
    """UTC, to the minute."""
    machine: dict[str, str]
    kafka: str
    rounds: int
    throughput: Results | None
    idle: Idle | None
    latency: Latency | None


def markdown(figures: Figures) -> str:
    parts = []
    if (results := figures.throughput) is not None:
        for case, runs in results.runs.items():
            parts.append(_case(case, runs))
        parts.append(_probes(results.probes))
    if figures.idle is not None:
        parts.append(_idle(figures.idle))
    if figures.latency is not None:
        parts.append(_latency(figures.latency))
    parts.append(_machine(figures))
    return "\n\n".join(parts) + "\n"


def as_json(figures: Figures) -> dict[str, Any]:
    """Every run by itself, numbers rounded to what they tell."""
    results = figures.throughput
    return {
        "at": figures.at,
        "machine": figures.machine,
        "kafka": figures.kafka,
        "rounds": figures.rounds,
        "probe_seconds": [round(value, 3) for value in results.probes] if results else [],
        "throughput": [
            {
                "shape": case.shape,
                "shards": case.shards,
                "design": name,
                "runs": [_rounded(dataclasses.asdict(run)) for run in runs],
            }
            for case, designs in (results.runs.items() if results else ())
            for name, runs in designs.items()
        ],
        "idle": _rounded(dataclasses.asdict(figures.idle)) if figures.idle else None,
        "latency": _rounded(dataclasses.asdict(figures.latency)) if figures.latency else None,
    }


def write_docs(text: str, page: Path = PAGE) -> None:
    """Replaces what stands between the markers.

    Raises:
        ValueError: the page has no markers.
    """
    before, begin, rest = page.read_text("utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page.name} has no place for figures: {BEGIN} … {END}")
    page.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}", "utf-8")


def _case(case: Case, runs: dict[str, list[Any]]) -> str:
    rows = [
        f"**{case.name}**",
        "",
        "| Design | Records | CPU-s per million | Changes/s | Peak memory | CPU, naive loop ÷ this |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for name, found in runs.items():
        yardstick = runs.get(YARDSTICKS.get(name, ""))
        times = ""
        if yardstick:
            own, other = ([run.cpu_per_million for run in several] for several in (found, yardstick))
            times = _range(ratios(other, own), _ratio)
        rows.append(
            f"| {name} | {found[0].records:,} | {_range([run.cpu_per_million for run in found], _number)} "
            f"| {_range([run.rate for run in found], _number)} "
            f"| {median([run.peak_bytes for run in found]) / 2**20:.0f} MiB | {times} |"
        )
    return "\n".join(rows)


def _probes(probes: Sequence[float]) -> str:
    spread = (max(probes) - min(probes)) / median(probes)
    return (
        f"Noise: the same loop, once a round, took {_range([value * 1000 for value in probes], _number)} ms, "
        f"a spread of {spread:.0%}."
    )


def _idle(idle: Idle) -> str:
    return (
        f"Waiting: {idle.shards:,} open shards without changes, {idle.seconds:.0f} s: "
        f"{idle.cpu_per_minute:.1f} CPU-seconds a minute ({idle.calls_per_second:.0f} calls per second), "
        f"{idle.peak_bytes / 2**20:.0f} MiB at the highest."
    )


def _latency(latency: Latency) -> str:
    return (
        f"From write to consumer: {latency.rate:,} changes per second on {latency.shards} shards, {latency.seconds:.0f} s: "
        f"p50 {latency.p50:.0f} ms, p99 {latency.p99:.0f} ms, highest {latency.highest:.0f} ms; "
        f"{latency.cpu_per_minute:.1f} CPU-seconds a minute."
    )


def _machine(figures: Figures) -> str:
    parts = ", ".join(f"{name} {value}" for name, value in figures.machine.items())
    rounds = f"{figures.rounds} rounds, " if figures.throughput is not None else ""
    cluster = "an Apache Kafka broker" if figures.kafka == "broker" else "the cluster built into librdkafka"
    return f"{rounds}{figures.at} UTC. Kafka: {cluster}, on the same machine. Machine: {parts}."


def _range(values: Sequence[float], text: Callable[[float], str]) -> str:
    """Median, lowest and highest."""
    if len(values) == 1:
        return text(values[0])
    return f"{text(median(values))} ({text(min(values))} to {text(max(values))})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _ratio(value: float) -> str:
    return f"{value:.0f}" if value >= 20 else f"{value:.1f}"


def _rounded(value: dict[str, Any]) -> dict[str, Any]:
    return {name: round(one, 4) if isinstance(one, float) else one for name, one in value.items()}
