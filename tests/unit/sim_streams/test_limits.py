"""Calls that are too many, and what a failure leaves behind."""

from contextlib import suppress
from types import TracebackType

import pytest

from cdc.testing.sim.failures import ServiceError
from cdc.testing.sim.faults import LIMIT_EXCEEDED, THROTTLED
from tests.unit.sim_streams.world import World


def served(world: World, calls: int) -> int:
    """How many of so many calls at once are answered."""
    refused = world.sim.control.faults
    for _ in range(calls):
        with suppress(ServiceError):
            world.call("ListStreams")
    return calls - (world.sim.control.faults - refused)


def test_calls_beyond_so_many_a_second_fail_and_one_second_is_saved_up() -> None:
    world = World()
    world.sim.control.limit("ListStreams", 4, error=LIMIT_EXCEEDED)
    assert served(world, 10) == 4
    assert world.refused("ListStreams") == "LimitExceededException"
    world.now += 0.5
    assert served(world, 10) == 2
    world.now += 60
    assert served(world, 10) == 4
    world.sim.control.limit("ListStreams", None)
    assert served(world, 10) == 10


@pytest.mark.parametrize("calm", [True, False])
def test_a_limit_of_none_at_all_holds_until_it_is_lifted(calm: bool) -> None:
    world = World()
    world.sim.control.limit("ListStreams", 0.0, error=LIMIT_EXCEEDED)
    assert served(world, 5) == 0
    world.now += 3600
    assert served(world, 5) == 0
    if calm:
        world.sim.control.calm()
    assert served(world, 5) == 5 * calm


def test_other_operations_have_limits_of_their_own() -> None:
    world = World()
    world.sim.control.limit("DescribeStream", 0.0, error=LIMIT_EXCEEDED)
    assert served(world, 5) == 5


def frames(traceback: TracebackType | None) -> int:
    count = 0
    while traceback is not None:
        count, traceback = count + 1, traceback.tb_next
    return count


def test_a_failure_keeps_no_frames_of_the_ones_before() -> None:
    world = World()
    world.sim.control.throttle("ListStreams", times=50)
    lengths = set()
    for _ in range(50):
        with pytest.raises(ServiceError) as refused:
            world.call("ListStreams")
        lengths.add(frames(refused.value.__traceback__))
    assert len(lengths) == 1
    assert THROTTLED.__traceback__ is None
