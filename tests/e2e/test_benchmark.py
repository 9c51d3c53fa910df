"""`make bench` works: every design once and small, its output compared, the other parts for a moment."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.designs import DESIGNS

ROOT = Path(__file__).parents[2]


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_everything_once_and_small(tmp_path: Path) -> None:
    kept = tmp_path / "figures.json"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--smoke", "--built-in-kafka", "--json", str(kept)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    for design in DESIGNS:
        assert f"checking the output of {design.name} " in done.stderr
    figures = json.loads(kept.read_text())
    assert [(entry["design"], len(entry["runs"])) for entry in figures["throughput"]] == [
        ("naive loop, null", 1),
        ("cdc, null", 1),
    ]
    assert all(run["cpu"] > 0 for entry in figures["throughput"] for run in entry["runs"])
    assert figures["idle"]["calls_per_second"] > 0
    assert 0 < figures["latency"]["p50"] <= figures["latency"]["p99"]
    assert "CPU-s per million" in done.stdout
