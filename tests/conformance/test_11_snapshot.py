"""Scenario 11: a snapshot racing updates, deletes and re-inserts of the same keys.

This version takes no snapshots. What is missing: `start: snapshot`, `cdc snapshot`, and with them the window that keeps a row
from overwriting what the stream has said since. What is here, and what a snapshot will have to keep:

- `start: snapshot` is refused by name, and so is a snapshot behind a gap, or it is recorded that one is asked for.
- The stream alone: a replica that applies what arrives by its versions ends as the table, whatever was delivered again, in
  whichever order a zombie or a retry writes it. `tests/sim/test_replica_guard_model.py` has every interleaving of the guard
  that does it.
"""

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml

from cdc.config import load
from cdc.errors import ConfigError
from cdc.model import version
from cdc.testing.sim.behaviour import Behaviour
from tests.conformance.oracle import Kind, Oracle
from tests.conformance.scenario import Trial, conformance
from tests.conformance.subject import Subject
from tests.conformance.world import MINUTE, Arrival, Destination, World
from tests.dynamodb_streams.sim_api import source_on


@conformance(11, "the stream alone", "and a late second hand")
def test_a_replica_ends_as_the_table(trial: Trial, case: str) -> None:
    """Keys that are written, deleted and written again, through splits and kills; in the second case another hand writes
    what it had once more, later and out of order."""
    world = trial.world(
        seed=11, behaviour=Behaviour(ends_with_records=0.0), destinations=[Destination("bus")]
    )
    subject = trial.subject(world)
    chance = Random(11)
    subject.start()
    for turn in range(6):
        for _ in range(20):
            key = f"item-{chance.randrange(8)}"
            if chance.random() < 0.4:
                world.delete(key)
            else:
                world.put(key, chance.randrange(1000))
            world.advance(chance.random())
        if turn % 2:
            world.split(chance.choice(world.leaves()))
        else:
            subject.kill()
            world.advance(5.0)
            subject.start()
    world.advance(3 * MINUTE)
    oracle = Oracle(subject)
    oracle.complete()
    arrived = list(world.destinations["bus"].arrived)
    if case == "and a late second hand":
        arrived += chance.sample(arrived, len(arrived) // 2)
    replica = _guarded(subject, arrived) if subject.name == "service" else _as_it_comes(arrived)
    items = world.sim.call("Scan", {"TableName": World.TABLE, "ConsistentRead": True})["Items"]
    table = {one["pk"]["S"]: one["value"]["S"] for one in items}
    if replica != table:
        wrong = {key for key in replica | table if replica.get(key) != table.get(key)}
        oracle.wrong(Kind.ALTERED, f"{len(wrong)} items are not as in the table")
    oracle.done()


def _guarded(subject: Subject, arrived: list[Arrival]) -> dict[str, str]:
    """By versions, as the replica's guard decides: what is older than what is there, or was deleted, is passed over."""
    created_ms = source_on(subject.world.sim, World.TABLE).stream(World.TABLE).created_ms
    newest: dict[str, tuple[str, str | None]] = {}
    for one in arrived:
        key, value = _item(one)
        mine = version(created_ms, str(one.sequence))
        if key not in newest or newest[key][0] < mine:
            newest[key] = (mine, value)
    return {key: value for key, (_, value) in newest.items() if value is not None}


def _as_it_comes(arrived: list[Arrival]) -> dict[str, str]:
    replica: dict[str, str] = {}
    for one in arrived:
        key, value = _item(one)
        if value is None:
            replica.pop(key, None)
        else:
            replica[key] = value
    return replica


def _item(one: Arrival) -> tuple[str, str | None]:
    block: Any = one.record["dynamodb"]
    image = block.get("NewImage")
    return block["Keys"]["pk"]["S"], image["value"]["S"] if image else None


@pytest.mark.parametrize(("key", "value"), [("start", "snapshot")])
def test_what_this_version_does_not_have_is_refused_by_name(key: str, value: str, tmp_path: Path) -> None:
    path = tmp_path / "pipeline.yaml"
    source = {"type": "dynamodb-streams", "tables": ["orders"], "region": "eu-west-1", key: value}
    path.write_text(
        yaml.safe_dump(
            {
                "version": 1,
                "pipeline": "orders",
                "source": source,
                "sinks": [{"name": "none", "type": "null"}],
            }
        )
    )
    with pytest.raises(ConfigError, match=f"{key}.*not in this version") as refused:
        load(path)
    assert json.dumps(value).strip('"') in str(refused.value)
