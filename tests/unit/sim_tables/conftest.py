import pytest

from tests.sim_tables.world import World


@pytest.fixture
def world() -> World:
    """With the table `orders`, keys `pk` (S) and `sk` (N), and its stream."""
    world = World()
    world.create()
    return world
