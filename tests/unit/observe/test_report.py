import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from cdc.core.lineage import LaneState
from cdc.core.messages import Stop
from cdc.core.status import Status
from cdc.errors import CdcError, ErrorKind
from cdc.model import ShardKey, after, end_of_shard
from cdc.observe.document import Report, from_json, schema, to_dict, to_json
from cdc.observe.figures import Watermarks
from cdc.observe.page import to_text
from cdc.observe.report import Facts, report
from cdc.ports import Saved, SavedCursor
from tests.unit.observe.statuses import AT, GAP, HALTED, OWNER, STATUS, STREAM, lane, sink

SCHEMAS = Path(__file__).parents[3] / "schemas"
FACTS = Facts(
    "orders",
    ["orders", "customers"],
    {"bus": "kafka", "lake": "lake", "dr": "replica"},
    running=True,
    owner=OWNER,
    dead_letters={"bus": 4},
    gaps=[GAP],
)
SAVED = Saved(
    cursors=(
        SavedCursor(
            "bus",
            ShardKey(STREAM, "shardId-1"),
            after("17"),
            "orders",
            kept_by_sink=True,
            saved_at=AT,
            through=AT - 300,
        ),
        SavedCursor(
            "bus",
            ShardKey(STREAM, "shardId-0"),
            end_of_shard("16"),
            "orders",
            kept_by_sink=True,
            saved_at=AT - 900,
        ),
        SavedCursor(
            "lake", ShardKey(STREAM, "shardId-1"), after("3"), "orders", kept_by_sink=True, saved_at=AT
        ),
        SavedCursor(
            "old", ShardKey(STREAM, "shardId-1"), after("2"), "orders", kept_by_sink=False, saved_at=AT
        ),
    ),
    gaps=(GAP,),
)
OFFLINE = replace(FACTS, running=False, owner=None, gaps=())


def tables(found: Report, sink: str) -> dict[str, Any]:
    (entry,) = (entry for entry in found.sinks if entry.name == sink)
    return {table.table: table for table in entry.tables}


def validate(document: Mapping[str, Any]) -> None:
    committed = json.loads((SCHEMAS / "status.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(committed)
    jsonschema.Draft202012Validator(committed).validate(document)


def test_the_committed_schema_is_that_of_the_code() -> None:
    committed = (SCHEMAS / "status.schema.json").read_text()
    assert committed == json.dumps(schema(), indent=2) + "\n", (
        "write it anew: python -c 'import json; from cdc.observe.document import schema; "
        "print(json.dumps(schema(), indent=2))' > schemas/status.schema.json"
    )


def test_the_committed_example_is_what_the_code_says() -> None:
    document = to_dict(report(STATUS, FACTS, at=AT))
    assert json.loads((SCHEMAS / "status.example.json").read_text()) == json.loads(json.dumps(document))


@pytest.mark.parametrize(
    "found",
    [
        report(STATUS, FACTS, at=AT),
        report(SAVED, OFFLINE, at=AT),
        report(Status((), (), "", (), 0), Facts("p", [], {}, running=True), at=AT),
        report(Saved(), Facts("p", ["t"], {"a": "null"}, running=False), at=AT),
        report(STATUS, replace(FACTS, exit=Stop(3, "gap", "decide"), running=False), at=AT),
    ],
)
def test_every_report_is_of_the_schema_and_comes_back(found: Report) -> None:
    document = to_dict(found)
    assert document["version"] == 1
    validate(json.loads(json.dumps(document)))
    assert from_json(to_json(found)) == found


def test_the_schema_refuses_what_is_no_report() -> None:
    document = to_dict(report(STATUS, FACTS, at=AT))
    faults: list[dict[str, Any]] = [{"version": 2}, {"running": "yes"}, {"sinks": [{}]}, {"at": "yesterday"}]
    for broken in faults:
        with pytest.raises(jsonschema.ValidationError):
            validate(json.loads(json.dumps({**document, **broken})))


def test_a_running_pipeline() -> None:
    found = report(STATUS, FACTS, at=AT)
    assert (found.pipeline, found.running, found.at, found.finished_shards) == (
        *("orders", True, "2026-01-01T00:01:00Z", 7),
    )
    bus, lake, dr = found.sinks
    assert (bus.type, bus.state, bus.delivered, bus.redelivered) == ("kafka", "up", 10, 3)
    assert (bus.dead_letters, bus.dead_letters_written, lake.dead_letters) == (4, 1, 0)
    assert (dr.state, dr.error, dr.remedy) == ("down", "table orders is not there", "create it")
    orders = tables(found, "bus")["orders"]
    assert orders.lag_seconds == 3.5
    assert orders.retention_headroom_seconds == 86_396.5
    assert orders.complete_through == "2025-12-31T23:58:56Z"
    assert orders.shards == {"flowing": 2, "waiting": 1}
    assert tables(found, "lake")["orders"].gaps == 1
    assert tables(found, "dr")["orders"].lag_seconds is None
    assert tables(found, "bus")["customers"].shards == {}
    assert (found.source.listed, found.source.missing) == (("orders",), ("customers",))
    assert len(found.shards) == 5
    assert found.owner is not None
    assert found.owner.heartbeat == "2026-01-01T00:00:58Z"


def test_complete_through_goes_on_from_report_to_report() -> None:
    marks = Watermarks()
    first = tables(report(STATUS, FACTS, at=AT, watermarks=marks), "bus")["orders"]
    later = replace(STATUS, lanes=(lane("bus", "shardId-9", lag=9_999),))
    assert tables(report(later, FACTS, at=AT, watermarks=marks), "bus")["orders"] == msgspec.structs.replace(
        tables(report(later, FACTS, at=AT), "bus")["orders"], complete_through=first.complete_through
    )


def test_a_sink_before_its_first_status_is_down() -> None:
    found = report(replace(STATUS, sinks=()), FACTS, at=AT)
    assert {entry.state for entry in found.sinks} == {"down"}


def test_from_what_is_saved() -> None:
    found = report(SAVED, OFFLINE, at=AT)
    assert not found.running
    assert {entry.name: entry.state for entry in found.sinks} == {
        "bus": "stopped",
        "lake": "stopped",
        "dr": "stopped",
        "old": "not configured",
    }
    orders = tables(found, "bus")["orders"]
    assert (orders.lag_seconds, orders.retention_headroom_seconds) == (300, 86_100)
    assert orders.complete_through is None
    assert found.finished_shards == 1
    bus = next(shard for shard in found.shards if shard.sink == "bus")
    assert (bus.position.place, bus.position.sequence, bus.state) == ("after", "17", "unclaimed")
    assert bus.through == "2025-12-31T23:54:00Z"
    assert tables(found, "lake")["orders"].lag_seconds is None
    halted = next(shard for shard in found.shards if shard.state == "halted")
    assert (halted.shard, halted.gap, halted.waits_for) == ("shardId-2", True, GAP.reason)


def test_a_gap_on_a_saved_shard_halts_it_until_it_is_decided() -> None:
    gap = replace(GAP, sink="bus", shard=ShardKey(STREAM, "shardId-1"))
    undecided = report(replace(SAVED, gaps=(gap,)), OFFLINE, at=AT)
    decided = report(replace(SAVED, gaps=(replace(gap, decision="reset"),)), OFFLINE, at=AT)
    assert tables(undecided, "bus")["orders"].shards == {"halted": 1}
    assert tables(decided, "bus")["orders"].shards == {"unclaimed": 1}
    assert tables(decided, "bus")["orders"].gaps == 1


def test_a_position_from_before_a_reset_does_not_count() -> None:
    found = report(replace(SAVED, epochs={"bus": 2}), OFFLINE, at=AT)
    shards = {shard.shard: shard for shard in found.shards if shard.sink == "bus"}
    assert {shard.position.place for shard in shards.values()} == {"beginning"}
    assert {shard.position.epoch for shard in shards.values()} == {2}
    assert set(shards) == {"shardId-0", "shardId-1"}
    assert tables(found, "bus")["orders"].lag_seconds is None


def alarmed(status: Status | Saved, facts: Facts) -> list[tuple[str, str, str]]:
    return [(alarm.severity, alarm.about, alarm.message) for alarm in report(status, facts, at=AT).alarms]


HEALTHY = Status((sink("bus"),), (lane("bus", "shardId-1"),), "", ("orders",), 0)
ONE = Facts("orders", ["orders"], {"bus": "kafka"}, running=True)


def test_nothing_is_wrong() -> None:
    assert alarmed(HEALTHY, ONE) == []


def test_all_alarms_the_worst_first() -> None:
    assert alarmed(STATUS, FACTS) == [
        (
            "error",
            "sink lake, table orders, shardId-2",
            f"halted at a gap: {GAP.reason}",
        ),
        ("error", "sink dr", "is down: table orders is not there"),
        ("warning", "sink bus", "4 dead letters"),
        ("warning", "table customers", "its shards have not been listed yet"),
    ]


@pytest.mark.parametrize(
    ("lag", "alarm"),
    [
        (12 * 3600, None),
        (12 * 3600 + 1, ("warning", "undelivered changes expire in 11h 59m")),
        (20 * 3600, ("warning", "undelivered changes expire in 4h 00m")),
        (20 * 3600 + 1, ("error", "undelivered changes expire in 3h 59m")),
        (24 * 3600, ("error", "undelivered changes may have expired")),
    ],
)
def test_the_time_that_is_left(lag: float, alarm: tuple[str, str] | None) -> None:
    found = alarmed(replace(HEALTHY, lanes=(lane("bus", "shardId-1", lag=lag),)), ONE)
    assert found == ([] if alarm is None else [(alarm[0], "sink bus, table orders", alarm[1])])


def test_a_halted_shard_without_a_gap() -> None:
    halted = replace(lane("bus", "shardId-1", LaneState.HALTED), waits_for="refused", remedy="see the reason")
    (alarm,) = report(replace(HEALTHY, lanes=(halted,)), ONE, at=AT).alarms
    assert (alarm.severity, alarm.message, alarm.remedy) == ("error", "halted: refused", "see the reason")


def test_one_gap_is_one_alarm() -> None:
    status = replace(HEALTHY, lanes=(replace(HALTED, sink="bus", headroom_seconds=80_000.0),))
    gap = replace(GAP, sink="bus")
    assert len(alarmed(status, replace(ONE, gaps=[gap]))) == 1
    assert len(alarmed(HEALTHY, replace(ONE, gaps=[gap]))) == 1
    assert alarmed(HEALTHY, replace(ONE, gaps=[replace(gap, decision="reset")])) == []
    assert alarmed(HEALTHY, replace(ONE, gaps=[replace(gap, decision="skipped")])) == []


def test_snapshots_that_are_requested_are_one_alarm_for_each_table_at_a_sink() -> None:
    asked = replace(GAP, sink="bus", decision="snapshot requested")
    gaps = [asked, replace(asked, shard=ShardKey("", "sum"), count=4), replace(asked, table="parcels")]
    assert alarmed(HEALTHY, replace(ONE, gaps=gaps)) == [
        ("error", "sink bus, table orders", f"a snapshot is requested, for 5 gaps: {GAP.reason}"),
        ("error", "sink bus, table parcels", f"a snapshot is requested, for 1 gap: {GAP.reason}"),
    ]
    (alarm, _) = report(HEALTHY, replace(ONE, gaps=gaps), at=AT).alarms
    assert "this version cannot take the snapshot" in alarm.remedy


def test_gaps_and_what_was_set_by_hand_are_told_apart() -> None:
    by_hand = replace(GAP, kind="reset", decision="reset to latest", decided_at=AT)
    summed = replace(
        GAP,
        shard=ShardKey("", "sum"),
        decision="skipped",
        decided_at=AT,
        certain=True,
        count=4,
        last_found_at=AT,
    )
    found = report(HEALTHY, replace(ONE, gaps=[GAP, summed, by_hand]), at=AT)
    waits, passed = found.gaps
    assert (waits.kind, waits.open, waits.certain, waits.count) == ("trimmed", True, False, 1)
    assert (passed.stream, passed.shard, passed.open, passed.certain, passed.count) == (
        "",
        "",
        False,
        True,
        4,
    )
    assert passed.decided_at == passed.last_found_at == "2026-01-01T00:01:00Z"
    (reset,) = found.resets
    assert (reset.sink, reset.at, reset.decision) == ("lake", "2026-01-01T00:01:00Z", "reset to latest")


def test_the_source() -> None:
    assert alarmed(replace(HEALTHY, source_error="no credentials"), ONE) == [
        ("error", "source", "no credentials")
    ]
    assert ("warning", "pipeline", "is not running: what is shown is what was saved") in alarmed(
        SAVED, OFFLINE
    )


@pytest.mark.parametrize("state", ["opening", "probing"])
def test_a_sink_that_opens_is_no_alarm_until_it_failed(state: str) -> None:
    opening = sink("bus", state)
    assert alarmed(replace(HEALTHY, sinks=(opening,)), ONE) == []
    assert len(alarmed(replace(HEALTHY, sinks=(replace(opening, error="gone"),)), ONE)) == 1


@pytest.mark.parametrize("body", [b"", b"{}", b"<html>", b"\xff\xfe", b'{"version":2}', b"[1]"])
def test_what_another_process_answers_may_be_no_report(body: bytes) -> None:
    with pytest.raises(CdcError) as caught:
        from_json(body)
    assert caught.value.kind is ErrorKind.MALFORMED
    assert caught.value.remedy


def test_a_newer_program_may_know_more_fields() -> None:
    document = {**to_dict(report(STATUS, FACTS, at=AT)), "later": 1}
    validate(json.loads(json.dumps(document)))
    assert from_json(msgspec.json.encode(document)).pipeline == "orders"


def test_what_cannot_be_written_is_an_error_with_its_remedy() -> None:
    bus = replace(sink("bus"), letters_error="no space", letters_remedy="make room")
    status = replace(HEALTHY, sinks=(bus,), save_error="throttled", save_remedy="more capacity")
    found = report(status, Facts("orders", ["orders"], {"bus": "kafka"}, running=True), at=AT)
    assert (found.sinks[0].dead_letters_error, found.sinks[0].dead_letters_remedy) == (
        "no space",
        "make room",
    )
    assert (found.state.error, found.state.remedy) == ("throttled", "more capacity")
    letters, state = found.alarms
    assert (letters.severity, letters.about, letters.remedy) == ("error", "sink bus", "make room")
    assert letters.message.endswith("no space")
    assert (state.severity, state.about, state.remedy) == ("error", "state", "more capacity")
    assert state.message == "cannot be saved: throttled"
    text = " ".join(to_text(found).split())
    for part in ("no space", "make room", "cannot be saved: throttled", "more capacity"):
        assert part in text
    validate(json.loads(to_json(found)))


def test_a_report_of_before_there_were_these_fields_is_read() -> None:
    document = to_dict(report(HEALTHY, Facts("orders", ["orders"], {"bus": "kafka"}, running=True), at=AT))
    del document["state"]
    for entry in document["sinks"]:
        del entry["dead_letters_error"], entry["dead_letters_remedy"]
    validate(json.loads(json.dumps(document)))
    assert from_json(json.dumps(document).encode()).state.error == ""
