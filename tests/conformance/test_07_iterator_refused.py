"""Scenario 7: `GetShardIterator` is throttled, or answers 5xx, on one shard."""

from cdc.testing.sim.behaviour import Behaviour
from cdc.testing.sim.failures import NoAnswerError, ServiceError
from tests.conformance.oracle import Kind, Oracle, changes, verify
from tests.conformance.scenario import Trial, conformance

_ERRORS: dict[str, ServiceError | NoAnswerError] = {
    "throttled": ServiceError("ThrottlingException", "Rate exceeded"),
    "limit exceeded": ServiceError("LimitExceededException", "Too many operations for a given subscriber"),
    "5xx": ServiceError("InternalServerError", "Internal server error", status=500),
    "no answer": NoAnswerError(),
}


@conformance(7, *_ERRORS)
def test_one_shard_is_tried_again_and_the_others_go_on(trial: Trial, case: str) -> None:
    world = trial.world(seed=7, behaviour=Behaviour(ends_with_records=0.0))
    root = world.leaves()[0]
    world.split(root)
    refused = world.leaves()[0]
    world.write(40, keys=16)
    world.fail("GetShardIterator", _ERRORS[case], times=10, where={"ShardId": refused})
    subject = trial.subject(world)
    subject.start()
    world.advance(15.0)
    oracle = Oracle(subject)
    of_refused = changes(one for one in oracle.log if one.shard == refused)
    if not of_refused or len(of_refused) == len(oracle.log):
        raise AssertionError("a scenario needs changes on both shards")
    oracle.complete(but_for=dict.fromkeys(world.destinations, of_refused))
    if any(arrival.shard == refused for arrival in world.destinations["bus"].arrived):
        oracle.wrong(Kind.FALSE_ALARM, "the shard was not refused: the scenario proves nothing")
    oracle.done()
    world.advance(600.0)
    verify(subject, once=world.destinations)
