"""From the options to the exit code."""

import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

from cdc.demo.history import SourceError
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
    folder = Path(tempfile.mkdtemp(prefix="cdc-demo-"))
    screen = Screen(plain=plain)
    try:
        with _sigterm_interrupts(), screen:
            return _told(screen, folder, events)
    except KeyboardInterrupt:
        screen.bad("interrupted: everything that was started is ended")
        return _INTERRUPTED
    finally:
        if keep:
            screen.say(f"configuration, lake, state and log stay in {folder}")
        else:
            shutil.rmtree(folder)


def _told(screen: Screen, folder: Path, events: int) -> int:
    with started(folder, events) as parts:
        try:
            agrees = Story(screen, parts, events).tell()
        except (ClusterError, SourceError, StoryError, WorkerError) as error:
            screen.end_live()
            screen.bad(str(error))
            if isinstance(error, StoryError | WorkerError):
                screen.log(parts.worker.log_tail())
            return 1
    screen.title("What this was")
    screen.say(
        f"moto is no DynamoDB, and this Kafka is a test cluster: at least once is all that it can show"
    )
    screen.say(
        "the proof against a real broker and DynamoDB Local: `make test` in a checkout, with Java and Maven"
    )
    return 0 if agrees else 1


@contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """SIGTERM ends everything as Ctrl-C does."""

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
