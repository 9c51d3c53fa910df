"""From the options to the exit code."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cdc.demo.history import SourceError
from cdc.demo.interrupts import Interrupts
from cdc.demo.kafka import MAX_EVENTS, ClusterError
from cdc.demo.parts import started
from cdc.demo.screen import Screen
from cdc.demo.story import Story, StoryError
from cdc.demo.worker import WorkerError

_INTERRUPTED = 130


def run(*, keep: bool, plain: bool, events: int) -> int:
    """The whole demonstration.

    Args:
        keep: leave the folder with configuration, lake, state and log.
        plain: lines instead of a live screen, as where there is no terminal.
        events: how many changes to make.

    Returns:
        0 if every sink agrees with the source and the check notices damage; 1 if not; 2 for too many events; 130 when
        interrupted.
    """
    if events > MAX_EVENTS:
        sys.stderr.write(f"cdc: --events {events}: the embedded Kafka cluster has room for {MAX_EVENTS}\n")
        return 2
    interrupts = Interrupts()
    screen = Screen(plain=plain)
    with interrupts.handled():
        try:
            with _folder(screen, interrupts, keep=keep) as folder, screen:
                return _told(screen, folder, interrupts, events)
        except KeyboardInterrupt:
            screen.bad("interrupted: everything that was started is ended")
            return _INTERRUPTED


@contextmanager
def _folder(screen: Screen, interrupts: Interrupts, *, keep: bool) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="cdc-demo-"))
    try:
        yield folder
    finally:
        with interrupts.held():
            if keep:
                screen.say(f"configuration, lake, state and log stay in {folder}")
            else:
                shutil.rmtree(folder)


def _told(screen: Screen, folder: Path, interrupts: Interrupts, events: int) -> int:
    with started(folder, interrupts, events) as parts:
        try:
            agrees = Story(screen, parts, events).tell()
        except (ClusterError, SourceError, StoryError, WorkerError) as error:
            screen.end_live()
            screen.bad(str(error))
            if isinstance(error, StoryError | WorkerError):
                screen.log(parts.worker.log_tail())
            return 1
    screen.title("What this was")
    screen.say("moto is no DynamoDB, and this Kafka is a test cluster: at least once is all that it can show")
    screen.say(
        "the proof against a real broker and DynamoDB Local: `make test` in a checkout, with Java and Maven"
    )
    return 0 if agrees else 1
