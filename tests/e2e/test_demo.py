"""`cdc demo` as its user sees it: without a terminal, with few changes."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cdc.demo.orders import FOLLOWED_TAGS, FOLLOWED_TOTAL

EVENTS = 300
END_SECONDS = 100.0


@contextmanager
def demo(folder: Path, *options: str) -> Iterator["subprocess.Popen[str]"]:
    """The process; ended in any case. Its own folder is made in `folder`."""
    program = "import sys; sys.argv[0] = 'cdc'; from cdc.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "demo", "--plain", "--events", str(EVENTS), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"},
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)  # it ends its own worker
            process.wait(20)
        assert process.stdout is not None
        process.stdout.close()


def pid_of_worker(process: "subprocess.Popen[str]") -> int:
    """As soon as it is told."""
    assert process.stdout is not None
    for line in process.stdout:
        if match := re.search(r"`cdc run` answers, process (\d+)", line):
            return int(match[1])
    pytest.fail("the demonstration ended before its worker answered")


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_whole_of_it(tmp_path: Path) -> None:
    with demo(tmp_path, "--keep") as process:
        output, _ = process.communicate(timeout=END_SECONDS)
    assert process.returncode == 0, output

    shown = sorted(FOLLOWED_TAGS)
    for sink in ("bus", "lake", "dr"):
        assert re.search(
            rf"at {sink}, +total {re.escape(FOLLOWED_TOTAL)}, tags {re.escape(str(shown))}", output
        )
        assert re.search(rf"\| {sink} up \d+, \d+/s, lag \d+\.\d s, headroom 2[34]:\d\d:\d\d", output)
    assert len(re.findall(r"kill -9 \d+", output)) == 2
    assert len(re.findall("every sink delivers again", output)) == 2
    assert re.search(r"the others stay up\. Lag: bus [0-2]\.\d s, lake [0-2]\.\d s, dr [3-9]\.\d s", output)
    assert "dr has caught up" in output
    assert "ended with 0" in output

    # Delivered, redelivered, lost, mismatched: of the proof, and of the one after a digit was changed on purpose.
    rows = dict(
        re.findall(r"^ *(bus: messages|dr: items) +(\d+ +\d+ +[\d-]+ +\d+ +\d+) *$", output, re.MULTILINE)
    )
    assert re.fullmatch(rf"{EVENTS} +{EVENTS} +\d+ +0 +0", rows["bus: messages"])
    assert re.fullmatch(r"(\d+) +\1 +- +0 +0", rows["dr: items"])
    lake = re.findall(r"^ *lake: rows +(\d+) +(\d+) +\d+ +(\d+) +(\d+) *$", output, re.MULTILINE)
    assert lake == [(str(EVENTS), str(EVENTS), "0", "0"), (str(EVENTS), str(EVENTS), "0", "1")]
    assert "total after the change is not what was written" in output
    assert "test cluster" in output
    assert "at least once" in output
    assert "`make test`" in output

    (folder,) = tmp_path.iterdir()
    assert str(folder) in output
    log = (folder / "worker.log").read_text()
    assert "running" in log
    for secret in (FOLLOWED_TOTAL, "customer-0", "größe-L", "gr\\u00f6\\u00dfe-L"):
        assert secret not in log
    assert list(folder.glob("lake/orders/dt=*/hour=*/*.avro"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_everything(tmp_path: Path, number: signal.Signals) -> None:
    with demo(tmp_path) as process:
        worker = pid_of_worker(process)
        process.send_signal(number)
        output, _ = process.communicate(timeout=20)
    assert process.returncode == 130, output
    assert "interrupted" in output
    assert "Traceback" not in output
    assert not exists(worker)
    assert not list(tmp_path.iterdir())


def test_a_worker_that_dies_by_itself_is_a_failure_with_its_log(tmp_path: Path) -> None:
    with demo(tmp_path) as process:
        os.kill(pid_of_worker(process), signal.SIGKILL)
        output, _ = process.communicate(timeout=20)
    assert process.returncode == 1, output
    assert "the worker ended by itself, with -9" in output
    assert re.search(r'^ +log: .*"event": "running"', output, re.MULTILINE)
    assert "Traceback" not in output
    assert not list(tmp_path.iterdir())
