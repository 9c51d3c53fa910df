"""The wall clock of the host is set forward, and a shard that nothing was written to was looked at a moment ago."""

import pytest

from cdc.core.world import Settings
from cdc.testing.sim.behaviour import Behaviour
from tests.conformance.world import World
from tests.dynamodb_streams.sim_api import source_on
from tests.sim.engine.pipeline import Pipeline, SinkPlan


@pytest.mark.parametrize("seconds", [-200_000.0, 200_000.0])
def test_an_idle_shard_is_not_taken_for_one_that_nobody_read_for_a_day(seconds: float) -> None:
    world = World(behaviour=Behaviour(rollover_seconds=0.0))
    pipeline = Pipeline(
        source_on(world.sim, World.TABLE),
        [World.TABLE],
        [SinkPlan("only")],
        settings=Settings(),
        time=world.time,
    )
    pipeline.start()
    world.advance(60.0)
    world.time.jumped += seconds
    world.advance(60.0)
    world.write(3)
    world.advance(20.0)
    assert not pipeline.saved.gaps
    assert len(pipeline.delivered("only")) == 3
