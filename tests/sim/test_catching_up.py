"""A sink that comes back reads what it missed; those in front do not wait for that."""

import pytest

from cdc.core.world import Settings
from cdc.testing.sim.behaviour import Behaviour
from tests.conformance.world import World
from tests.dynamodb_streams.sim_api import source_on
from tests.sim.engine.pipeline import Pipeline, SinkPlan
from tests.sim.engine.sink import Temper

OUTAGE = 120.0
LATE = 4.0
"""Seconds; a change of a lone reader's shard has its turn within three pages of the other place."""


@pytest.mark.parametrize("readers", [1, 2])
def test_the_head_does_not_wait_for_a_sink_that_catches_up(readers: int) -> None:
    world = World(behaviour=Behaviour(page_records=5, rollover_seconds=0.0))
    began = world.time.now
    pipeline = Pipeline(
        source_on(world.sim, World.TABLE),
        [World.TABLE],
        [
            SinkPlan("well", temper=Temper(accept=0.01, commit=0.01)),
            SinkPlan(
                "down", temper=Temper(accept=0.01, commit=0.01, outages=((began + 1.0, began + OUTAGE),))
            ),
        ],
        settings=Settings(readers_per_shard=readers, idle_poll_seconds=0.5),
        time=world.time,
    )
    pipeline.start()
    world.write(600, seconds=OUTAGE)
    caught_up = 0
    late = 0.0
    for _ in range(150):
        world.write(1, seconds=1.0)
        written = world.sim.log(World.TABLE)
        missing = written[len(pipeline.delivered("well")) :]
        late = max(late, *(world.now - record.written_at for record in missing), 0.0)
        caught_up += len(pipeline.delivered("down")) < len(written) - 5
    assert caught_up > 15, "a test of nothing: the sink that was down caught up at once"
    assert caught_up < 140, "it never catches up"
    assert late <= LATE
    assert pipeline.destinations["well"].duplicates == 0
