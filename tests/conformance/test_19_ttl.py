"""Scenario 19: deletes by Time to Live are told from a user's: in the record, and in both envelopes."""

from collections.abc import Mapping, Sequence

from tests.conformance.oracle import Kind, Oracle
from tests.conformance.scenario import Trial, conformance
from tests.conformance.values import ENVELOPES, Received, by_hand, shipped
from tests.conformance.world import MINUTE, World


@conformance(19, "both kinds, one table")
def test_who_deleted_is_told(trial: Trial, case: str) -> None:
    world = trial.world(seed=19)
    subject = trial.subject(world)
    world.sim.call(
        "UpdateTimeToLive",
        {
            "TableName": World.TABLE,
            "TimeToLiveSpecification": {"Enabled": True, "AttributeName": "expires"},
        },
    )
    subject.start()
    world.advance(20.0)
    for number in range(6):
        # Two are over soon, two much later, and two have text there: that never is.
        expires = {"N": str(int(world.now) + (60 if number < 2 else 10**6))} if number < 4 else {"S": "never"}
        item = {"pk": {"S": f"item-{number}"}, "expires": expires}
        world.sim.call("PutItem", {"TableName": World.TABLE, "Item": item})
    world.advance(3 * MINUTE)
    for number in (2, 4):
        world.delete(f"item-{number}")
    if world.sim.tables.expire(World.TABLE) != 2:
        raise AssertionError("other items expired than were made to: the scenario proves nothing")
    world.put("item-0", "again")
    world.delete("item-0")
    world.advance(2 * MINUTE)
    oracle = Oracle(subject)
    oracle.complete()
    oracle.in_order()
    oracle.once()
    by_ttl = {one.sequence: one.by_ttl for one in oracle.log}
    if sum(by_ttl.values()) != 2:
        raise AssertionError("not two deletes by Time to Live: the scenario proves nothing")
    for place in world.destinations.values():
        if subject.name == "naive":
            compare(oracle, by_ttl, f"{place.name} by hand", by_hand(place.arrived))
            continue
        for envelope in ENVELOPES:
            read = shipped(subject, World.TABLE, place.arrived, envelope)
            compare(oracle, by_ttl, f"{place.name} {envelope}", read)
    oracle.done()


def compare(oracle: Oracle, by_ttl: Mapping[int, bool], how: str, read: Sequence[Received]) -> None:
    for change in read:
        if change.by_ttl is not by_ttl[change.sequence]:
            oracle.wrong(Kind.ALTERED, f"{how} {change.sequence}: {change.by_ttl}")
    told = {one.sequence for one in read if one.op == "d" and one.by_ttl}
    if told != {sequence for sequence, is_so in by_ttl.items() if is_so}:
        oracle.wrong(Kind.ALTERED, f"{how}: other deletes by Time to Live")
