"""Scenario 4: `kill -9` with ten records of every shard acknowledged."""

from collections import Counter

from cdc.testing.sim.behaviour import Behaviour
from tests.conformance.oracle import verify
from tests.conformance.scenario import Trial, conformance
from tests.conformance.subject import Options
from tests.conformance.world import World

_MOMENTS = [0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 1.1, 1.5, 2.5]
"""Seconds from the last write: a page is read after one at most, and accepted, and durable half a second later on
average; positions are saved every second."""


def _ten_for_each_shard(world: World) -> None:
    while True:
        counts = Counter(one.shard for one in world.log())
        if all(counts[leaf] >= 10 for leaf in world.leaves()):
            return
        world.write(1, keys=40)


def _four_shards(trial: Trial) -> World:
    world = trial.world(seed=4, behaviour=Behaviour(ends_with_records=0.0))
    for _ in range(2):
        for leaf in world.leaves():
            world.split(leaf)
    return world


@conformance(4, "saved", "trim-horizon, outage", "latest, outage")
def test_nothing_that_was_acknowledged_is_lost_or_comes_twice(trial: Trial, case: str) -> None:
    """Killed some seconds after the last acknowledgement: by then positions are saved, and nobody is served twice."""
    world = _four_shards(trial)
    subject = trial.subject(world, Options(start="latest" if case == "latest, outage" else "trim-horizon"))
    subject.start()
    world.advance(100.0)
    _ten_for_each_shard(world)
    world.advance(20.0)
    subject.kill()
    if case != "saved":
        world.advance(600.0)
        world.write(20, keys=40)
    subject.start()
    world.advance(60.0)
    world.write(20, keys=40)
    world.advance(60.0)
    verify(subject, once=world.destinations)


@conformance(4, "at any moment", "at any moment of a split")
def test_killed_at_any_moment(trial: Trial, case: str) -> None:
    """From before the first record was read until after everything was saved. At least once may repeat, in order."""
    splits = case == "at any moment of a split"
    for moment in _MOMENTS[::2] if splits else _MOMENTS:
        world = _four_shards(trial)
        subject = trial.subject(world)
        subject.start()
        world.advance(20.0)
        _ten_for_each_shard(world)
        if splits:
            for leaf in world.leaves():
                world.split(leaf)
            world.write(20, keys=40)
        world.advance(moment)
        subject.kill()
        world.advance(5.0)
        world.write(10, keys=40)
        subject.start()
        world.advance(100.0)  # a child that is listed late is found within a minute
        verify(subject)
