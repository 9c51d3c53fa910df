"""Scenario 16: `TZ=Asia/Tokyo`, and a clock that jumps."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from cdc.testing.sim.behaviour import Behaviour
from tests.conformance.oracle import verify
from tests.conformance.scenario import Trial, conformance
from tests.conformance.subject import Options
from tests.conformance.world import HOUR, MINUTE

_JUMPS = {
    "back an hour": (-HOUR,),
    "forward an hour": (HOUR,),
    "forward 30 hours": (30 * HOUR,),
    "back 30 hours": (-30 * HOUR,),
    "to and fro": (2 * HOUR, -3 * HOUR, 26 * HOUR, -25 * HOUR),
}


@contextmanager
def _zone(name: str) -> Iterator[None]:
    """What this process takes for local time."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = name
    time.tzset()
    try:
        yield
    finally:
        if before is None:
            del os.environ["TZ"]
        else:
            os.environ["TZ"] = before
        time.tzset()


@conformance(16, "Asia/Tokyo, trim-horizon", "Asia/Tokyo, latest", "America/St_Johns, latest")
def test_local_time_is_nobodys_business(trial: Trial, case: str) -> None:
    zone, _, start = case.partition(", ")
    with _zone(zone):
        world = trial.world(seed=16, behaviour=Behaviour(ends_with_records=0.0))
        subject = trial.subject(world, Options(start="latest" if start == "latest" else "trim-horizon"))
        subject.start()
        world.advance(MINUTE)
        world.write(8)
        world.advance(MINUTE)
        world.split(world.leaves()[0])
        world.advance(2 * MINUTE)
        world.write(8)
        world.advance(MINUTE)
        subject.terminate()
        world.write(8)
        subject.start()
        world.advance(3 * MINUTE)
        verify(subject)


@conformance(16, *_JUMPS)
def test_a_clock_that_jumps_while_it_runs(trial: Trial, case: str) -> None:
    """With batches on their way, and one sink an hour behind: nothing expires because a clock says so."""
    world = trial.world(seed=16, behaviour=Behaviour(ends_with_records=0.0, rollover_seconds=0.0))
    subject = trial.subject(world)
    subject.start()
    world.advance(MINUTE)
    world.write(8)
    world.advance(MINUTE)
    world.outage("bus", 10 * MINUTE)
    for jump in _JUMPS[case]:
        world.write(8)
        world.advance(1.1)  # read, and not durable
        world.time.jumped += jump
        world.advance(2 * MINUTE)
        world.split(world.leaves()[0])
        world.write(8, seconds=MINUTE)
    world.advance(15 * MINUTE)
    verify(subject)
