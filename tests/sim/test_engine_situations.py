"""Situations that the random runs of `test_engine` may miss: a crash at every boundary, an outage, an expiry, a load."""

from dataclasses import replace

import pytest

from cdc.core import messages as m
from cdc.core.world import Settings
from tests.sim.engine.run import check_end, drive, finish, plan_writes, stop_orderly
from tests.sim.engine.simulation import Profile, Simulation
from tests.sim.engine.sink_model import Temper, Violation
from tests.sim.engine.stream_model import Shape, SimShard

QUICK = Settings(relist_seconds=10.0, caught_up_seconds=2.0, checkpoint_seconds=0.2, idle_poll_seconds=0.5)
FEWEST_WITH_A_CRASH = 5
"""Numbers are spent on starts and on ends: one run, and the last one until caught up."""
SMALL = Profile(settings=QUICK, shards=1, changes=30, writing=4.0, closings=2, drain=60.0)


@pytest.mark.parametrize("share", range(4))
@pytest.mark.parametrize("poison", [(0, 0, 0), (7, 5, 11)])
def test_a_crash_at_every_boundary_of_two_commands(poison: tuple[int, int, int], share: int) -> None:
    profile = replace(
        SMALL,
        tempers=(Temper(), Temper(commit=0.05), Temper(accept=0.2, commit=0.5, refuse_late=1.0)),
        poison=poison,
    )
    at = share
    while True:
        simulation = Simulation(1, replace(profile, crashes=(at,)))
        try:
            drive(simulation)
        except Violation as violation:
            violation.add_note(f"after {at} commands")
            raise
        if simulation.incarnation < FEWEST_WITH_A_CRASH:
            break
        at += 4
    assert at > 100


def test_a_flood_of_refusals_halts_its_sink_and_no_other() -> None:
    limited = replace(QUICK, max_dead_letters_per_minute=5)
    profile = replace(SMALL, settings=limited, poison=(0, 0, 1), changes=60, drain=120.0)
    simulation = Simulation(2, profile)
    plan_writes(simulation)
    simulation.start(until_caught_up=True)
    simulation.advance(1000.0 + 300.0, done=lambda: not simulation.running)
    assert simulation.stopped is not None
    assert simulation.stopped.exit_code == 1
    assert "max_dead_letters_per_minute" in simulation.stopped.remedy
    flooded = simulation.destinations[2]
    assert len(simulation.letters[flooded.name]) == 5
    for healthy in simulation.destinations[:2]:
        assert not simulation.missing(healthy)
    finish(simulation)  # without a limit
    assert len(simulation.letters[flooded.name]) == 60


def test_a_sink_that_is_down_delays_no_other_and_catches_up_alone() -> None:
    """Scenario 15: an hour."""
    down = Temper(outages=((1005.0, 1005.0 + 3600.0),))
    profile = Profile(settings=QUICK, tempers=(Temper(), Temper(), down), closings=5, writing=60.0)
    simulation = Simulation(5, profile)
    plan_writes(simulation)
    simulation.start()
    simulation.advance(1000.0 + profile.writing + 5.0)
    for healthy in simulation.destinations[:2]:
        assert not simulation.missing(healthy)
    assert simulation.missing(simulation.destinations[2])
    simulation.advance(1005.0 + 3600.0 + 60.0)
    for destination in simulation.destinations:
        assert not simulation.missing(destination)
    assert [destination.duplicates for destination in simulation.destinations[:2]] == [0, 0]
    finish(simulation)


@pytest.mark.parametrize("hangs", [False, True])
def test_sigterm_with_a_sink_down_ends_with_0_and_the_others_are_not_served_twice(hangs: bool) -> None:
    down = Temper(outages=((1003.0, 1030.0),), hangs=hangs)
    profile = replace(SMALL, tempers=(Temper(), Temper(), down), writing=10.0, changes=80)
    simulation = Simulation(7, profile)
    plan_writes(simulation)
    simulation.start()
    simulation.advance(1006.0)
    stop_orderly(simulation)
    assert simulation.time <= 1006.0 + 10.0
    finish(simulation)
    assert [destination.duplicates for destination in simulation.destinations[:2]] == [0, 0]


def test_an_orderly_end_serves_nobody_twice() -> None:
    """Scenario 5."""
    profile = replace(SMALL, changes=200, writing=20.0, stops=(3.0, 7.0, 11.0, 15.0))
    simulation = Simulation(9, profile)
    plan_writes(simulation)
    for end in (1003.0, 1007.0, 1011.0, 1022.0):
        simulation.start()
        simulation.advance(end)
        stop_orderly(simulation)
    finish(simulation)
    assert [destination.duplicates for destination in simulation.destinations] == [0, 0, 0]


def test_a_quiet_closed_shard_is_not_read_again() -> None:
    """Scenario 3: half an hour, and a restart in the middle."""
    simulation = Simulation(2, replace(SMALL, changes=3, closings=1))
    plan_writes(simulation)
    simulation.start()
    simulation.advance(1900.0)
    stop_orderly(simulation)
    simulation.start()
    simulation.advance(2800.0)
    assert [destination.duplicates for destination in simulation.destinations] == [0, 0, 0]
    finish(simulation)


RETENTION = 200.0
SHORT_LIVED = replace(
    SMALL,
    settings=replace(QUICK, retention_seconds=RETENTION, long_ago_seconds=RETENTION * 23 / 24),
    shape=Shape(retention=RETENTION),
    changes=120,
    writing=60.0,
    closings=4,
)


def test_a_sink_down_for_longer_than_a_record_lives_has_a_gap_of_its_own() -> None:
    down = Temper(outages=((1020.0, 1020.0 + RETENTION + 100.0),))
    simulation = Simulation(11, replace(SHORT_LIVED, tempers=(Temper(), Temper(), down)))
    plan_writes(simulation)
    simulation.start()
    simulation.advance(1020.0 + RETENTION + 160.0)
    for healthy in simulation.destinations[:2]:
        assert not simulation.missing(healthy)
    assert simulation.missing(simulation.destinations[2])
    gaps = simulation.state.saved.gaps
    assert {gap.sink for gap in gaps} == {"sink2"}
    assert_every_loss_is_told(simulation)


@pytest.mark.parametrize("seed", range(12))
def test_after_a_pause_longer_than_a_record_lives_every_loss_is_told(seed: int) -> None:
    """Scenario 6."""
    simulation = Simulation(seed, SHORT_LIVED)
    plan_writes(simulation)
    simulation.start()
    simulation.advance(1000.0 + simulation.rng.random() * 40.0)
    simulation.crash()
    simulation.advance(1050.0 + RETENTION + simulation.rng.random() * 30.0)
    simulation.start(until_caught_up=True)
    simulation.advance(simulation.time + 100.0, done=lambda: not simulation.running)
    assert_every_loss_is_told(simulation)
    lost = any(simulation.missing(destination) for destination in simulation.destinations)
    assert simulation.stopped is not None
    if lost:
        assert simulation.stopped.exit_code == 3
    assert (simulation.stopped.exit_code == 3) == bool(simulation.state.saved.gaps)


def assert_every_loss_is_told(simulation: Simulation) -> None:
    """What a sink misses lies on a shard that is halted at it, or below one; or, where nobody ever saw the shard, above
    one."""
    known = {cursor.shard for cursor in simulation.state.saved.cursors}
    halted = {(gap.sink, gap.shard.shard) for gap in simulation.state.saved.gaps}
    for destination in simulation.destinations:
        for sequence in simulation.missing(destination):
            shard = next(
                shard
                for shard in simulation.stream.shards.values()
                if any(record.sequence == sequence for record in shard.records)
            )
            above = [*ancestors(simulation, shard), shard]
            below = [one for one in simulation.stream.shards.values() if shard in ancestors(simulation, one)]
            line = above if shard.key in known else [*above, *below]
            assert any((destination.name, one.key.shard) in halted for one in line), sequence


def ancestors(simulation: Simulation, shard: SimShard) -> list[SimShard]:
    parent = simulation.parent(shard)
    return [] if parent is None else [*ancestors(simulation, parent), parent]


def test_saved_rows_stay_bounded_by_the_live_shards() -> None:
    """Scenario 18, small: shards come and go."""
    profile = replace(
        SHORT_LIVED,
        changes=300,
        writing=2000.0,
        closings=240,
        shape=Shape(retention=RETENTION, listing_lag=0.5),
    )
    simulation = Simulation(13, profile)
    plan_writes(simulation)
    simulation.start()
    most = 0
    for end in range(1100, 3001, 50):
        simulation.advance(float(end))
        live = len(simulation.stream.listing().shards)
        rows = len(simulation.state.saved.cursors)
        known = len(list(simulation.engine.world.entries()))
        assert rows <= 3 * (live + 16), (rows, live)
        assert known <= live + 16
        most = max(most, rows)
    assert len(simulation.stream.shards) > 80
    finish(simulation)


def test_nothing_but_flushing_makes_it_durable_and_it_still_ends() -> None:
    lazy = Temper(flush_only=True)
    simulation = Simulation(3, replace(SMALL, tempers=(Temper(), lazy, lazy), closings=0))
    plan_writes(simulation)
    simulation.advance(1010.0)
    simulation.start(until_caught_up=True)
    simulation.advance(1100.0, done=lambda: not simulation.running)
    assert simulation.stopped == m.Stop(0, "caught up")
    check_end(simulation)


@pytest.mark.parametrize("hangs", [False, True])
def test_a_sink_that_makes_no_progress_ends_until_caught_up_with_1(hangs: bool) -> None:
    down = Temper(outages=((1000.0, 1e9),), hangs=hangs)
    simulation = Simulation(3, replace(SMALL, tempers=(Temper(), Temper(), down)))
    plan_writes(simulation)
    simulation.start(until_caught_up=True)
    simulation.advance(1000.0 + 60.0)
    assert simulation.running
    simulation.advance(1000.0 + 4.0 + 90.0, done=lambda: not simulation.running)
    assert simulation.stopped is not None
    assert simulation.stopped.exit_code == 1
    assert "sink2" in simulation.stopped.reason


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("seconds", [-7200.0, 7200.0, 200_000.0])
def test_a_wall_clock_that_jumps_loses_nothing(seed: int, seconds: float) -> None:
    """Scenario 16. A process that starts after the jump can't know that it was one: only the running one is asked."""
    profile = replace(SMALL, changes=80, writing=20.0, jumps=((8.0, seconds),), tempers=(Temper(),) * 3)
    simulation = Simulation(seed, profile)
    plan_writes(simulation)
    simulation.start()
    simulation.advance(1040.0)
    for destination in simulation.destinations:
        assert not simulation.missing(destination)
    assert not simulation.state.saved.gaps
