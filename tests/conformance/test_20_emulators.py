"""Scenario 20: the quirks of DynamoDB Local and of moto, put in front of a service that has none of them.

A pipeline that is tried out on an emulator meets these first. On the emulators themselves:
`tests/integration/source/test_dynamodb_local.py` and `test_moto.py`, and every test of `tests/e2e`, which runs on moto.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from cdc.testing.sim.failures import ServiceError
from tests.conformance.front import Answer, intercept
from tests.conformance.oracle import Kind, Oracle, verify
from tests.conformance.scenario import Trial, conformance
from tests.conformance.subject import Options, Subject
from tests.conformance.values import shipped
from tests.conformance.world import MINUTE, Destination, World

Front = Callable[[Answer, str, Mapping[str, Any]], bytes]


def edited(edit: Callable[[dict[str, Any]], None]) -> Front:
    """Changes each record that is read."""

    def front(behind: Answer, operation: str, request: Mapping[str, Any]) -> bytes:
        body = behind(operation, request)
        if operation != "GetRecords":
            return body
        answer = json.loads(body)
        for record in answer["Records"]:
            edit(record)
        return json.dumps(answer).encode()

    return front


class SpuriousTrim:
    """DynamoDB Local: what began with LATEST on an empty stream is trimmed when the first record comes."""

    def __init__(self) -> None:
        self._latest: set[str] = set()
        self.refused = 0

    def __call__(self, behind: Answer, operation: str, request: Mapping[str, Any]) -> bytes:
        body = behind(operation, request)
        answer = json.loads(body)
        if operation == "GetShardIterator" and request["ShardIteratorType"] == "LATEST":
            self._latest.add(answer["ShardIterator"])
        elif operation == "GetRecords" and request["ShardIterator"] in self._latest:
            if answer["Records"]:
                self.refused += 1
                raise ServiceError(
                    "TrimmedDataAccessException", "The operation attempted to read past the oldest"
                )
            self._latest.add(answer.get("NextShardIterator", ""))
        return body


class NeverEnding:
    """moto: a closed shard has a next iterator for ever, and no ending sequence number either."""

    _DEAD = "nothing more"

    def __call__(self, behind: Answer, operation: str, request: Mapping[str, Any]) -> bytes:
        if operation == "GetRecords" and request["ShardIterator"] == self._DEAD:
            return json.dumps({"Records": [], "NextShardIterator": self._DEAD}).encode()
        answer = json.loads(behind(operation, request))
        if operation == "GetRecords":
            answer.setdefault("NextShardIterator", self._DEAD)
        for shard in answer.get("StreamDescription", {}).get("Shards", ()):
            shard["SequenceNumberRange"].pop("EndingSequenceNumber", None)
        return json.dumps(answer).encode()


class Pages:
    """moto: an HTML page with 500 where another service has an answer, or an error in JSON. Here it is the answer to every
    fifth call, and to the first that asks for a shard."""

    def __init__(self) -> None:
        self._calls = 0
        self._asked: set[str] = set()

    def __call__(self, behind: Answer, operation: str, request: Mapping[str, Any]) -> bytes:
        self._calls += 1
        shard = request.get("ShardId", "") if operation == "GetShardIterator" else ""
        if self._calls % 5 == 0 or (shard and shard not in self._asked):
            self._asked.add(shard)
            raise ServiceError("", "<!doctype html><title>500 Internal Server Error</title>", status=500)
        return behind(operation, request)


class Alike:
    """moto: every stream has one shard, of the same id, and numbers its records from the same number on."""

    SHARD = "shardId-00000001541626099285-f35f62ef"
    FIRST = 1_000_000_000_000_000_000_000

    def __init__(self, world: World, tables: tuple[str, ...]) -> None:
        self._world, self._tables = world, tables

    def __call__(self, behind: Answer, operation: str, request: Mapping[str, Any]) -> bytes:
        asked = dict(request)
        arn = request.get("StreamArn") or request.get("ShardIterator", "").partition("|")[0]
        real = self._real(arn) if arn else []
        if "ShardId" in asked:
            asked["ShardId"] = self._shard(arn)
        if "SequenceNumber" in asked:
            asked["SequenceNumber"] = str(real[int(asked["SequenceNumber"]) - self.FIRST])
        asked.pop("ShardFilter", None)
        answer = json.loads(behind(operation, asked))
        for shard in answer.get("StreamDescription", {}).get("Shards", ()):
            shard["ShardId"] = self.SHARD
            shard["SequenceNumberRange"] = {"StartingSequenceNumber": str(self.FIRST)}
        for record in answer.get("Records", ()) if operation == "GetRecords" else ():
            number = real.index(int(record["dynamodb"]["SequenceNumber"]))
            record["dynamodb"]["SequenceNumber"] = str(self.FIRST + number)
        return json.dumps(answer).encode()

    def undo(self) -> None:
        """What has arrived by its real names, for the oracle."""
        for place in self._world.destinations.values():
            place.arrived[:] = [
                replace(
                    one,
                    shard=self._shard(one.stream),
                    sequence=self._real(one.stream)[one.sequence - self.FIRST],
                )
                for one in place.arrived
            ]

    def _real(self, arn: str) -> list[int]:
        return [one.sequence for table in self._tables for one in self._world.log(table) if one.stream == arn]

    def _shard(self, arn: str) -> str:
        return self._world.leaves(arn)[0]


def minutes(record: dict[str, Any]) -> None:
    """DynamoDB Local: times are rounded down to the minute."""
    block = record["dynamodb"]
    block["ApproximateCreationDateTime"] = block["ApproximateCreationDateTime"] // 60 * 60


def milliseconds(record: dict[str, Any]) -> None:
    """moto: with fractions of a second."""
    record["dynamodb"]["ApproximateCreationDateTime"] += 0.123


def two_inserts(record: dict[str, Any]) -> None:
    """moto: an update that creates an item is an INSERT of the key alone, then one of the whole item."""
    if record["eventName"] == "MODIFY" and record["dynamodb"]["OldImage"] == record["dynamodb"]["Keys"]:
        record["eventName"] = "INSERT"
        del record["dynamodb"]["OldImage"]


def _started(trial: Trial, front: Front, *, latest: bool = False) -> tuple[World, Subject]:
    # One sink: the iterator at the newest record is its own, and stays.
    world = trial.world(seed=20, destinations=[Destination("lake", exactly_once=True)])
    intercept(world.sim, front)
    subject = trial.subject(world, Options(start="latest" if latest else "trim-horizon"))
    subject.start()
    world.advance(20.0)
    return world, subject


@conformance(20, "spurious trim", "spurious trim, trim-horizon")
def test_a_first_record_is_no_gap(trial: Trial, case: str) -> None:
    quirk = SpuriousTrim()
    world, subject = _started(trial, quirk, latest=case == "spurious trim")
    world.create_table("elsewhere")
    world.write(3, table="elsewhere")
    world.write(8)
    world.advance(30.0)
    world.write(8)
    world.advance(MINUTE)
    if case == "spurious trim" and not quirk.refused:
        raise AssertionError("nothing was refused: the scenario proves nothing")
    verify(subject, once=world.destinations)


@conformance(20, "minutes", "milliseconds")
def test_coarse_and_fine_times(trial: Trial, case: str) -> None:
    """What came right after `start: latest` seems to be from before it."""
    world, subject = _started(trial, edited(minutes if case == "minutes" else milliseconds), latest=True)
    world.write(8, seconds=MINUTE)
    world.advance(MINUTE)
    subject.terminate()
    world.write(8)
    subject.start()
    world.advance(2 * MINUTE)
    verify(subject)


@conformance(20, "one shard id for all streams")
def test_streams_that_look_alike(trial: Trial, case: str) -> None:
    tables = ("orders", "parcels")
    world = trial.world(seed=20)
    world.create_table("parcels")
    quirk = Alike(world, tables)
    intercept(world.sim, quirk)
    subject = trial.subject(world, Options(tables=tables))
    subject.start()
    world.advance(20.0)
    for turn in range(3):
        world.write(4 + turn)
        world.write(7, table="parcels")
        world.advance(15.0)
        if turn == 1:
            subject.terminate()
            subject.start()
    world.advance(MINUTE)
    quirk.undo()
    verify(subject, tables=tables)


@conformance(20, "closed shards never end")
def test_a_shard_without_an_end(trial: Trial, case: str) -> None:
    world, subject = _started(trial, NeverEnding())
    world.write(8)
    world.advance(10.0)
    world.write(4)
    world.enable_stream(enabled=False)
    world.advance(10 * MINUTE)
    oracle = Oracle(subject)
    oracle.complete()
    oracle.in_order()
    oracle.once(world.destinations)
    oracle.told(())
    if not subject.running():
        oracle.wrong(Kind.STOPPED, "a shard without an end ended the process")
    oracle.done()


@conformance(20, "pages with 500")
def test_answers_that_are_no_answers(trial: Trial, case: str) -> None:
    world, subject = _started(trial, Pages())
    world.write(8)
    world.advance(30.0)
    world.split(world.leaves()[0])
    world.write(8, seconds=30.0)
    world.advance(3 * MINUTE)
    verify(subject)
    if not subject.running():
        raise AssertionError("the process ended")


@conformance(20, "two INSERTs")
def test_an_insert_of_what_is_there(trial: Trial, case: str) -> None:
    world, subject = _started(trial, edited(two_inserts))
    for number in range(4):
        key = {"pk": {"S": f"item-{number}"}}
        world.sim.call("PutItem", {"TableName": World.TABLE, "Item": key})
        world.sim.call("PutItem", {"TableName": World.TABLE, "Item": key | {"value": {"S": "all of it"}}})
    world.advance(MINUTE)
    oracle = Oracle(subject)
    oracle.complete()
    oracle.in_order()
    oracle.once(world.destinations)
    if subject.name == "service":
        for place in world.destinations.values():
            read = shipped(subject, World.TABLE, place.arrived, "flat")
            if [one.op for one in read] != ["c"] * 8 or read[-1].item is None or len(read[-1].item) != 2:
                oracle.wrong(Kind.ALTERED, f"{place.name}: {[one.op for one in read]}")
    oracle.done()
