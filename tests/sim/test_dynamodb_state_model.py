"""The state in DynamoDB against everything that two owners and a network can do to each other.

`tests.state_dynamodb.model` runs the store's own code on a table in memory. A process saves values, each on two pages that
belong together. Any request may be throttled; be carried out without an answer; be given up and arrive later, or never; be
repeated on its way. At any time a second process finds that the lease has ended, and the first one goes on as a zombie;
either may stop for ever between any two requests, which is a crash.

Checked in every state: what is saved can be read, whole; it is not older than what anybody was told is saved, nor than what
was there before; nothing of the first owner lands once the second has acquired; and nobody is told that it is no owner
unless another one is.
"""

from random import Random

import pytest

from tests.state_dynamodb.model import Weak
from tests.state_dynamodb.world import World, problems, walk

SEED = 20261121


@pytest.mark.parametrize(("faults", "acquisitions"), [(2, 1), (1, 2)])
def test_two_owners_in_every_interleaving(faults: int, acquisitions: int) -> None:
    assert not list(problems(World((1, 2), (11,), acquisitions=acquisitions), faults=faults))


@pytest.mark.parametrize("weak", Weak)
def test_each_rule_is_needed(weak: Weak) -> None:
    assert any(True for _ in problems(World((1, 2), (11,), weak=weak), faults=1)), weak.value


def long_world(weak: Weak | None = None) -> World:
    return World((1, 2, 3, 4, 5), (11, 12, 13), weak=weak, faulty_reads=True, acquisitions=4)


def test_six_faults_on_long_random_walks() -> None:
    rng, world = Random(SEED), long_world()
    assert not {problem for _ in range(600) if (problem := walk(world, rng, faults=6))}


@pytest.mark.parametrize("weak", Weak)
def test_the_random_walk_finds_a_missing_rule_too(weak: Weak) -> None:
    rng, world = Random(SEED), long_world(weak)
    assert any(walk(world, rng, faults=6) for _ in range(600))
