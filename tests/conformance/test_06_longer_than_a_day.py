"""Scenario 6: down for more than 24 hours, and every checkpointed shard is gone."""

from collections import Counter
from dataclasses import replace

from cdc.testing.sim.behaviour import Behaviour
from tests.conformance.oracle import Kind, Oracle, changes, verify
from tests.conformance.scenario import Trial, conformance
from tests.conformance.subject import Options, Subject
from tests.conformance.world import DAY, HOUR, MINUTE, Destination, World

_SLOWLY = Options(idle_poll_seconds=60.0)


def _read_and_stop(subject: Subject) -> None:
    world = subject.world
    subject.start()
    world.advance(MINUTE)
    world.write(8)
    world.advance(MINUTE)
    subject.terminate()


@conformance(6, "changes expired", "changes expired, skip", "some expired", "some expired, skip")
def test_what_expired_unread_is_told(trial: Trial, case: str) -> None:
    """With `on_gap: halt` decided by hand, with `skip` at once: what is still there comes in order, behind the gap."""
    case, _, skip = case.partition(", ")
    world = trial.world(seed=6)
    (checkpointed,) = world.leaves()
    subject = trial.subject(world, replace(_SLOWLY, on_gap="skip") if skip else _SLOWLY)
    _read_and_stop(subject)
    world.write(8)
    world.advance(2 * HOUR)
    if case == "some expired":
        world.advance(DAY - 6 * HOUR)
        world.write(8)
    world.advance(30 * HOUR if case == "changes expired" else 8 * HOUR)
    if checkpointed in [shard["ShardId"] for shard in world.shards()]:
        raise AssertionError("the shard is still listed: the scenario proves nothing")
    subject.start()
    world.advance(10 * MINUTE)
    if skip and any(not report.decided for report in subject.reports()):
        raise AssertionError("on_gap: skip leaves nothing to be decided")
    _told_and_decided(subject, world)


_MOMENTS = [hundredths / 100 for hundredths in range(10, 80, 2)]
"""Seconds from the start: everything that happens behind a gap happens within some of these."""


@conformance(6, "skip, killed behind the gap")
def test_no_crash_loses_the_record_of_a_gap(trial: Trial, case: str) -> None:
    """Behind a gap nothing is given before the gap is on record: else a crash, and nobody ever knows."""
    for moment in _MOMENTS:
        # A position at the sink is as good as a saved one: it must not be beyond what is told.
        quick = Destination("lake", exactly_once=True, accept_seconds=0.005, commit_seconds=0.005)
        world = trial.world(
            seed=6, behaviour=Behaviour(ends_with_records=0.0), destinations=[Destination("bus"), quick]
        )
        subject = trial.subject(world, replace(_SLOWLY, on_gap="skip"))
        _read_and_stop(subject)
        world.write(8)
        world.advance(20 * HOUR)
        world.write(8)
        world.advance(9 * HOUR)
        subject.start()
        world.advance(moment)
        subject.kill()
        world.advance(MINUTE)
        subject.start()
        world.advance(10 * MINUTE)
        oracle = Oracle(subject)
        oracle.told(world.destinations)
        told = Counter(report.sink for report in subject.reports())
        for sink in world.destinations:
            if told[sink] < 2:  # of the shard that was read, and of its child, older than a day too
                oracle.wrong(Kind.SILENT_GAP, f"{sink}: killed after {moment} s, told {told[sink]} times")
        expired = changes(one for one in oracle.log if one.trimmed)
        oracle.complete(but_for=dict.fromkeys(world.destinations, expired))
        oracle.in_order()
        oracle.once()
        oracle.done()


def _told_and_decided(subject: Subject, world: World) -> None:
    expired = changes(one for one in world.log() if one.trimmed)
    oracle = Oracle(subject)
    oracle.told(world.destinations)
    oracle.in_order()
    oracle.once()
    _decide(subject)
    world.write(4)
    world.advance(10 * MINUTE)
    oracle.look_again()
    oracle.complete(but_for=dict.fromkeys(world.destinations, expired))
    oracle.in_order()
    oracle.done()


def _decide(subject: Subject) -> None:
    """Round by round: behind one gap there may be another one, of which nothing is known before."""
    for _ in range(6):
        if all(report.decided for report in subject.reports()):
            return
        subject.terminate()
        for sink in subject.world.destinations:
            subject.decide(sink)
        subject.start()
        subject.world.advance(10 * MINUTE)
    raise AssertionError("decisions do not end")


@conformance(6, "idle table")
def test_where_nobody_can_know_it_is_told(trial: Trial, case: str) -> None:
    """Nothing was written for longer than a day, as far as the log says. A reader that was away cannot know that."""
    world = trial.world(seed=6)
    subject = trial.subject(world, _SLOWLY)
    _read_and_stop(subject)
    world.advance(25 * HOUR)
    subject.start()
    world.advance(10 * MINUTE)
    if any(report.certain for report in subject.reports()):
        raise AssertionError("nothing was lost: that it was cannot be certain")
    _told_and_decided(subject, world)


@conformance(6, "an hour to spare")
def test_within_the_day_nothing_is_lost_and_nothing_told(trial: Trial, case: str) -> None:
    world = trial.world(seed=6, behaviour=Behaviour(ends_with_records=0.0))
    subject = trial.subject(world, _SLOWLY)
    _read_and_stop(subject)
    for _ in range(4):
        world.write(8)
        world.advance(5.75 * HOUR)
    subject.start()
    world.advance(10 * MINUTE)
    verify(subject)


@conformance(6, "one sink away")
def test_one_sink_away_has_a_gap_of_its_own(trial: Trial, case: str) -> None:
    world = trial.world(seed=6, behaviour=Behaviour(ends_with_records=0.0))
    subject = trial.subject(world, _SLOWLY)
    subject.start()
    world.advance(MINUTE)
    world.write(8)
    world.advance(MINUTE)
    world.outage("bus", 30 * HOUR)
    for _ in range(5):
        world.write(8)
        world.advance(6 * HOUR)
    world.advance(20 * MINUTE)
    oracle = Oracle(subject)
    oracle.complete(but_for={"bus": changes(oracle.log)})
    oracle.in_order()
    oracle.once(world.destinations)
    oracle.told(["bus"])
    if not subject.running():
        oracle.wrong(Kind.STOPPED, "a gap of one sink ended the process")
    oracle.done()
