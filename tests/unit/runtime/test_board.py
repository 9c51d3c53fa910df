"""The status is asked for by several threads at once."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cdc import config as configuration
from cdc.observe.metrics import Metrics
from cdc.ports import DeadLetter
from cdc.process import this_process
from cdc.runtime.board import Board
from cdc.testing.clock import ManualClock

CONFIG = """
version: 1
pipeline: p
source: {type: dynamodb-streams, tables: [orders], region: eu-west-1}
sinks: [{name: nothing, type: "null"}]
"""


class OneAtATime:
    """Dead letters as their port has them: for one thread at a time."""

    def __init__(self) -> None:
        self.at_once = 0
        self.most = 0
        self._lock = threading.Lock()
        self._second = threading.Event()

    def count(self) -> Mapping[str, int]:
        with self._lock:
            self.at_once += 1
            self.most = max(self.most, self.at_once)
            if self.at_once > 1:
                self._second.set()
        self._second.wait(0.1)  # time for a second one to come in
        with self._lock:
            self.at_once -= 1
        return {"nothing": 3}

    def open(self) -> None: ...

    def write(self, letters: Sequence[DeadLetter]) -> None:
        raise AssertionError("a status writes nothing")

    def mark_replayed(self, letters: Sequence[DeadLetter], at: float) -> None:
        raise AssertionError("a status writes nothing")

    def read(self) -> Iterator[DeadLetter]:
        return iter(())

    def close(self) -> None: ...


def test_requests_that_come_together_count_the_dead_letters_one_after_the_other(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(CONFIG)
    letters = OneAtATime()
    board = Board(configuration.load(path), Metrics("p"), ManualClock(), this_process(), letters)
    with ThreadPoolExecutor(2) as pool:
        statuses = list(pool.map(lambda _: board.status(), range(2)))
    assert letters.most == 1
    assert all(b'"dead_letters"' in status for status in statuses)
