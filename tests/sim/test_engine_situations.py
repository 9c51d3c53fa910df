"""Situations that the seeds may miss: a crash at every boundary, an outage, an expiry, a load."""

from dataclasses import replace

import pytest

from cdc.core import messages as m
from cdc.testing.sim.behaviour import Behaviour
from tests.sim.engine.destination import Violation
from tests.sim.engine.plan import Jump, Plan
from tests.sim.engine.process import Doom
from tests.sim.engine.run import Run
from tests.sim.engine.sink import Temper
from tests.sim.engine.small import QUICK, WEATHER, sinks_of, small_plan
from tests.sim.engine.virtual_time import BEGIN


def begun(plan: Plan, *, until: float, until_caught_up: bool = False) -> Run:
    """A run whose first process has lived until then (monotonic)."""
    run = Run(plan)
    run.schedule()
    run.start(until_caught_up=until_caught_up)
    run.time.advance(until, done=lambda: not run.running)
    return run


def missing(run: Run) -> list[int]:
    """How much each sink has not got."""
    return [len(run.checks.missing(sink.name)) for sink in run.plan.sinks]


def duplicates(run: Run) -> list[int]:
    return [destination.duplicates for destination in run.pipeline.destinations.values()]


@pytest.mark.parametrize("share", range(4))
@pytest.mark.parametrize("poison", [(0, 0, 0), (7, 5, 11)])
def test_a_crash_at_every_boundary_of_two_commands(poison: tuple[int, int, int], share: int) -> None:
    sinks = sinks_of(
        Temper(), Temper(commit=0.05), Temper(accept=0.2, commit=0.5, refuse_late=1.0), poison=poison
    )
    at, crashed = share, True
    while crashed:
        run = Run(small_plan(1, sinks=sinks, writing=7.0, dooms=(Doom(at),)))
        try:
            run.drive()
        except Violation as violation:
            violation.add_note(f"after {at} commands")
            raise
        crashed = run.pipeline.processes[0].killed and run.pipeline.processes[0].commands == at
        at += 4
    assert at > 100


def test_a_flood_of_refusals_halts_its_sink_and_no_other() -> None:
    limited = replace(QUICK, max_dead_letters_per_minute=5)
    run = Run(small_plan(2, settings=limited, sinks=sinks_of(poison=(0, 0, 1)), changes=60))
    run.schedule()
    process = run.pipeline.start(until_caught_up=True, settings=limited)
    run.time.advance(BEGIN + 300.0, done=lambda: not process.running)
    assert process.stopped is not None
    assert process.stopped.exit_code == 1
    assert "max_dead_letters_per_minute" in process.stopped.remedy
    letters = run.pipeline.outside.letters
    assert len(letters["sink2"]) == 5
    assert missing(run)[:2] == [0, 0]
    run.finish()  # without a limit
    assert len(letters["sink2"]) == 60


def test_a_sink_that_is_down_delays_no_other_and_catches_up_alone() -> None:
    """An hour."""
    down = Temper(outages=((BEGIN + 5.0, BEGIN + 5.0 + 3600.0),))
    plan = small_plan(5, sinks=sinks_of(Temper(), Temper(), down), changes=250, closings=5, writing=60.0)
    run = begun(plan, until=BEGIN + 60.0 + 5.0)
    assert missing(run)[:2] == [0, 0]
    assert missing(run)[2]
    run.time.advance(BEGIN + 5.0 + 3600.0 + 60.0)
    assert missing(run) == [0, 0, 0]
    assert duplicates(run)[:2] == [0, 0]
    run.finish()


@pytest.mark.parametrize("hangs", [False, True])
def test_sigterm_with_a_sink_down_ends_with_0_and_the_others_are_not_served_twice(hangs: bool) -> None:
    down = Temper(outages=((BEGIN + 3.0, BEGIN + 30.0),), hangs=hangs)
    plan = small_plan(7, sinks=sinks_of(Temper(), Temper(), down), writing=10.0, changes=80)
    run = begun(plan, until=BEGIN + 6.0)
    run.stop_orderly()
    assert run.time.now <= BEGIN + 16.0
    run.finish()
    assert duplicates(run)[:2] == [0, 0]


def test_an_orderly_end_serves_nobody_twice() -> None:
    run = Run(small_plan(9, changes=200, writing=20.0))
    run.schedule()
    for end in (3.0, 7.0, 11.0, 22.0):
        run.start()
        run.time.advance(BEGIN + end)
        run.stop_orderly()
    run.finish()
    assert duplicates(run) == [0, 0, 0]


def test_a_quiet_closed_shard_is_not_read_again() -> None:
    """Half an hour, and a restart in the middle."""
    run = begun(small_plan(2, changes=3, closings=1), until=BEGIN + 900.0)
    run.stop_orderly()
    run.start()
    run.time.advance(BEGIN + 1800.0)
    assert duplicates(run) == [0, 0, 0]
    run.finish()


DAY = 200.0
SHORT_LIVED = replace(QUICK, retention_seconds=DAY, long_ago_seconds=DAY * 23 / 24)
SHORT_DAY = replace(WEATHER, retention_seconds=DAY)


def short_lived(seed: int, *, behaviour: Behaviour = SHORT_DAY, **parts: object) -> Plan:
    """Records live for some minutes, and may expire before somebody has them."""
    return small_plan(
        seed,
        **{  # type: ignore[arg-type]
            "settings": SHORT_LIVED,
            "behaviour": behaviour,
            "gaps": True,
            "changes": 120,
            "writing": 60.0,
            "closings": 4,
            **parts,
        },
    )


def test_a_sink_down_for_longer_than_a_record_lives_has_a_gap_of_its_own() -> None:
    down = Temper(outages=((BEGIN + 20.0, BEGIN + 20.0 + DAY + 100.0),))
    run = begun(short_lived(11, sinks=sinks_of(Temper(), Temper(), down)), until=BEGIN + 20.0 + DAY + 160.0)
    assert missing(run)[:2] == [0, 0]
    assert missing(run)[2]
    assert {gap.sink for gap in run.pipeline.saved.gaps} == {"sink2"}
    assert_every_loss_is_told(run)


@pytest.mark.parametrize("seed", range(12))
def test_after_a_pause_longer_than_a_record_lives_every_loss_is_told(seed: int) -> None:
    run = begun(short_lived(seed), until=BEGIN + seed * 3.3)
    run.pipeline.kill()
    run.time.advance(BEGIN + 50.0 + DAY + seed * 2.5)
    process = run.start(until_caught_up=True)
    run.time.advance(run.time.now + 100.0, done=lambda: not process.running)
    assert_every_loss_is_told(run)
    assert process.stopped is not None
    if any(missing(run)):
        assert process.stopped.exit_code == 3
    assert (process.stopped.exit_code == 3) == bool(run.pipeline.saved.gaps)


def assert_every_loss_is_told(run: Run) -> None:
    """What a sink misses lies on a shard that is halted at it, or below one; or, where nobody ever saw the shard, above
    one."""
    known = {cursor.shard for cursor in run.pipeline.saved.cursors}
    halted = {(gap.sink, gap.shard) for gap in run.pipeline.saved.gaps}
    for sink in run.plan.sinks:
        for record in run.checks.missing(sink.name):
            line = set(run.truth.lineage(record.shard))
            if record.shard not in known:
                line |= set(run.truth.descendants(record.shard))
            assert any((sink.name, shard) in halted for shard in line), record


def test_saved_rows_stay_bounded_by_the_live_shards() -> None:
    """Small: shards come and go."""
    behaviour = replace(SHORT_DAY, listing_late_seconds=0.5, closing_late_seconds=0.5)
    plan = short_lived(13, behaviour=behaviour, changes=300, writing=2000.0, closings=240, drain=240.0)
    rollovers = tuple(replace(one, split=number % 80 == 0) for number, one in enumerate(plan.reshapes))
    run = Run(replace(plan, gaps=False, reshapes=rollovers))
    run.schedule()
    run.start()
    for end in range(100, 2001, 50):
        run.time.advance(BEGIN + end)
        run.truth.update()
        live = sum(shard.gone_at is None for shard in run.truth.shards.values())
        rows = len(run.pipeline.saved.cursors)
        known = len(list(run.pipeline.process.engine.world.entries()))
        assert rows <= 3 * (live + 16), (rows, live)
        assert known <= live + 16
    assert len(run.truth.shards) > 80
    run.finish()


def test_nothing_but_flushing_makes_it_durable_and_it_still_ends() -> None:
    lazy = Temper(flush_only=True)
    run = Run(small_plan(3, sinks=sinks_of(Temper(), lazy, lazy), closings=0))
    run.schedule()
    run.time.advance(BEGIN + 10.0)
    process = run.start(until_caught_up=True)
    run.time.advance(BEGIN + 100.0, done=lambda: not process.running)
    assert process.stopped == m.Stop(0, "caught up")
    run.check_end()


@pytest.mark.parametrize("hangs", [False, True])
def test_a_sink_that_makes_no_progress_ends_until_caught_up_with_1(hangs: bool) -> None:
    down = Temper(outages=((BEGIN, 1e9),), hangs=hangs)
    plan = small_plan(3, sinks=sinks_of(Temper(), Temper(), down))
    run = begun(plan, until=BEGIN + 60.0, until_caught_up=True)
    assert run.running
    run.time.advance(BEGIN + 4.0 + 90.0, done=lambda: not run.running)
    stopped = run.pipeline.stopped
    assert stopped is not None
    assert stopped.exit_code == 1
    assert "sink2" in stopped.reason


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("seconds", [-7200.0, 7200.0, 200_000.0])
def test_a_wall_clock_that_jumps_loses_nothing(seed: int, seconds: float) -> None:
    """A process that starts after the jump can't know that it was one: only the running one is asked."""
    run = begun(small_plan(seed, changes=80, writing=20.0, jumps=(Jump(8.0, seconds),)), until=BEGIN + 40.0)
    assert missing(run) == [0, 0, 0]
    assert not run.pipeline.saved.gaps
