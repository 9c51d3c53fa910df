"""Scenario 8: an iterator expires under back-pressure, after fifteen minutes."""

from cdc.testing.sim.behaviour import Behaviour
from tests.conformance.oracle import verify
from tests.conformance.scenario import Trial, conformance
from tests.conformance.subject import Options
from tests.conformance.world import MINUTE, Destination


@conformance(8, "all sinks down", "one sink down", "a slow sink", "before its time")
def test_reading_goes_on_where_it_stopped(trial: Trial, case: str) -> None:
    slow = 20 * MINUTE if case == "a slow sink" else 0.05
    life = 20.0 if case == "before its time" else 15 * MINUTE
    world = trial.world(
        seed=8,
        behaviour=Behaviour(ends_with_records=0.0, iterator_seconds=life, page_records=5),
        destinations=[Destination("bus", accept_seconds=slow), Destination("lake", exactly_once=True)],
    )
    subject = trial.subject(world, Options(idle_poll_seconds=5.0 if case == "before its time" else 20.0))
    subject.start()
    world.advance(MINUTE)
    world.write(12)
    world.advance(30.0)
    down = {"all sinks down": ("bus", "lake"), "one sink down": ("bus",), "before its time": ("bus", "lake")}
    for sink in down.get(case, ()):
        world.outage(sink, 40 * MINUTE)
    world.write(30, seconds=39 * MINUTE)
    world.advance(5 * 60 * MINUTE if case == "a slow sink" else 10 * MINUTE)
    world.write(5)
    world.advance(60 * MINUTE if case == "a slow sink" else 5 * MINUTE)
    verify(subject, once=world.destinations)
