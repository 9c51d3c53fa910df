"""Scenario 7: `GetShardIterator` is throttled, or answers 5xx, on one shard."""

from cdc.testing.sim.behaviour import Behaviour
from cdc.testing.sim.failures import NoAnswerError, ServiceError
from tests.conformance.oracle import Oracle, changes
from tests.conformance.scenario import Trial, conformance

_ERRORS: dict[str, ServiceError | NoAnswerError] = {
    "throttled": ServiceError("ThrottlingException", "Rate exceeded"),
    "limit exceeded": ServiceError("LimitExceededException", "Too many operations for a given subscriber"),
    "5xx": ServiceError("InternalServerError", "Internal server error", status=500),
    "no answer": NoAnswerError(),
}


@conformance(7, *(f"{when}{error}" for error in _ERRORS for when in ("", "live, ")))
def test_one_shard_is_tried_again_and_the_others_go_on(trial: Trial, case: str) -> None:
    when, _, error = case.rpartition(", ")
    world = trial.world(seed=7, behaviour=Behaviour(ends_with_records=0.0))
    subject = trial.subject(world)
    if when == "live":
        subject.start()
        world.advance(10.0)
    world.split(world.leaves()[0])
    refused = world.leaves()[0]
    world.write(40, keys=16)
    world.fail("GetShardIterator", _ERRORS[error], times=10, where={"ShardId": refused})
    if when != "live":
        subject.start()
    # A child is looked for once its parent has ended; who does not look finds it within a minute.
    world.advance(70.0 if when == "live" else 40.0)
    oracle = Oracle(subject)
    of_refused = changes(one for one in oracle.log if one.shard == refused)
    assert of_refused
    assert len(of_refused) < len(oracle.log)
    oracle.complete(but_for=dict.fromkeys(world.destinations, of_refused))
    if when != "live" and any(one.shard == refused for one in world.destinations["bus"].arrived):
        raise AssertionError("the shard was not refused: the scenario proves nothing")
    world.advance(600.0)
    oracle.look_again()
    oracle.complete()
    oracle.in_order()
    oracle.once(world.destinations)
    oracle.told(())
    oracle.done()
