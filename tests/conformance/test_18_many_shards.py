"""Scenario 18: ten thousand shards over time. Memory and positions are bounded by those that there are.

A month in an hour: expired shards are taken away by hand, as the service does a day after it has closed them.
"""

from cdc.testing.sim.behaviour import Behaviour
from tests.conformance.oracle import Kind, Oracle
from tests.conformance.scenario import ROLES, Trial, conformance
from tests.conformance.subject import Options
from tests.conformance.world import MINUTE, Destination

_WIDTH = 128
_KEPT = 2
"""So many generations of closed shards are listed."""


@conformance(18, "every generation read")
def test_memory_and_rows_follow_the_live_shards(trial: Trial, case: str) -> None:
    # In rough weather it takes longer until a shard is read, and everything is late: fewer, and slower.
    quick = trial.role is ROLES["service"]
    shards, width, seconds = (10_000, _WIDTH, 15.0) if quick else (1_000, 32, MINUTE)
    world = trial.world(
        seed=18,
        behaviour=Behaviour(rollover_seconds=0.0),
        destinations=[Destination("lake", exactly_once=True)],
    )
    subject = trial.subject(world, Options(idle_poll_seconds=20.0))
    stream = world.stream()
    while len(world.leaves(stream)) < width:
        for leaf in world.leaves(stream):
            world.split(leaf, stream)
    subject.start()
    generations = [world.leaves(stream)]
    oracle = Oracle(subject)
    for _ in range(shards // width):
        world.write(width // 2, keys=4 * width)
        world.advance(seconds / 5)
        world.roll(stream)
        world.advance(seconds)
        generations.append(world.leaves(stream))
        for shard in generations[-_KEPT - 2] if len(generations) > _KEPT + 1 else ():
            world.sim.control.trim(stream, shard)
    world.advance(3 * MINUTE)
    oracle.look_again()
    oracle.complete()
    oracle.in_order()
    oracle.once()
    oracle.told(())
    live = len(world.shards())
    for what, count in (("rows", subject.saved_rows()), ("entries", subject.entries())):
        if count > live + width:
            oracle.wrong(Kind.UNBOUNDED, f"{count} {what}, {live} shards")
    oracle.done()
