"""Scenario 2: a parent and two children with interleaved writes to the same keys."""

from cdc.testing.sim.behaviour import Behaviour
from tests.conformance.oracle import verify
from tests.conformance.scenario import Trial, conformance
from tests.conformance.world import World

_PAGE = 20


def _grow(world: World, *, splits: int) -> None:
    """Four pages for each shard, then all of them split; every item has changes everywhere on its line of shards."""
    for _ in range(splits):
        leaves = world.leaves()
        world.write(4 * _PAGE * len(leaves), keys=16)
        for leaf in leaves:
            world.split(leaf)
    world.write(4 * _PAGE, keys=16)


@conformance(2, "backlog, one split", "backlog, splits of splits", "live", "late listings")
def test_the_changes_of_an_item_cross_a_split_in_order(trial: Trial, case: str) -> None:
    late = 45.0 if case == "late listings" else 0.0
    behaviour = Behaviour(
        page_records=_PAGE,
        empty_page=0.2,
        ends_with_records=0.0,
        listing_late_seconds=late,
        closing_late_seconds=late,
    )
    world = trial.world(seed=2, behaviour=behaviour)
    subject = trial.subject(world)
    if case == "live":
        subject.start()
        world.advance(10.0)
    _grow(world, splits=1 if case == "backlog, one split" else 2)
    if case != "live":
        world.advance(60.0)
        subject.start()
    world.advance(300.0)
    verify(subject, once=world.destinations)
