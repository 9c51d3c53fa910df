"""The main promise, under the hardest end that a process can have: 20,000 changes, five of `kill -9`, nothing missing."""

import time
from bisect import bisect_right
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

from tests.integration.pipeline.destinations import Deliveries
from tests.integration.pipeline.places import Folders, Places, Servers
from tests.integration.pipeline.proof import Proof
from tests.integration.pipeline.scene import SINKS, Scene, redelivered
from tests.services.dynamodb_local import DynamoDBLocal

pytestmark = pytest.mark.integration

CHANGES = 20_000
KEYS = 1_500
KILLS = 5
TERM_SECONDS = 10.0
FLUSH_SECONDS = 1.5
"""Longer than between two saves of positions: at most times the lake has accepted what is not durable."""


class Kill(NamedTuple):
    written: int
    """Changes that were acknowledged before it."""
    newest: dict[str, str]
    """By sink, what it held after it."""


def undelivered(kills: list[Kill], topic: Deliveries) -> list[dict[str, int]]:
    """By kill and sink how many of the written changes had not arrived; at least so many.

    DynamoDB Local has one shard per table, hence one order of all changes: a sink that holds a version has at most what
    comes before it.
    """
    versions = sorted({change.version for changes in topic.values() for change in changes})
    return [
        {sink: max(0, kill.written - bisect_right(versions, kill.newest[sink])) for sink in SINKS}
        for kill in kills
    ]


@pytest.fixture(params=["folders", "servers"])
def places(request: pytest.FixtureRequest, tmp_path: Path, dynamodb_local: DynamoDBLocal) -> Places:
    """SQLite, schemas and the lake in folders; or positions in DynamoDB, a schema registry, and the lake on S3."""
    if request.param == "folders":
        return Folders(tmp_path)
    return Servers(
        s3=request.getfixturevalue("s3_endpoint"),
        registry=request.getfixturevalue("schema_registry_url"),
        dynamodb=dynamodb_local.endpoint,
    )


@pytest.mark.timeout(600)
def test_nothing_is_missing_after_five_kills(
    tmp_path: Path,
    kafka_bootstrap: str,
    dynamodb_local: DynamoDBLocal,
    places: Places,
    seed: int,
    proof: Proof,
) -> None:
    random = Random(seed)
    # One at some point of each portion, so that the writer is at work between any two.
    marks = [round(CHANGES * 0.18 * (number + random.uniform(0.3, 1.0))) for number in range(KILLS)]
    kills = []
    with (
        Scene(
            tmp_path,
            kafka=kafka_bootstrap,
            dynamodb=dynamodb_local.endpoint,
            flush_seconds=FLUSH_SECONDS,
            places=places,
        ) as scene,
        scene.workload(seed=seed, changes=CHANGES, key_count=KEYS) as workload,
    ):
        began = time.monotonic()
        workload.start()
        for mark in marks:
            scene.pipeline.start().wait_ready()
            workload.hurry()
            workload.wait(mark)
            time.sleep(random.uniform(0.0, 0.5))  # a random moment, not one that the writer chose
            written = workload.written
            scene.pipeline.kill()
            workload.trickle()  # and goes on while nothing runs
            kills.append(Kill(written, scene.newest()))

        # Asked to end instead, while there is still much to do.
        scene.pipeline.start().wait_ready()
        journal = workload.finish()
        scene.pipeline.wait(
            lambda: all(now > kills[-1].newest[sink] for sink, now in scene.newest().items()),
            "each sink went on",
        )
        ended = scene.pipeline.terminate()
        assert ended.code == 0, ended.stderr[-3000:]
        assert ended.seconds < TERM_SECONDS
        drained = [redelivered(scene.topic.read()), redelivered(scene.lake.read())]

        scene.pipeline.run_until_caught_up()
        seconds = time.monotonic() - began
        verdicts = scene.judge(journal)
        missing = undelivered(kills, scene.topic.deliveries)
        again = [redelivered(scene.topic.deliveries), redelivered(scene.lake.deliveries)]
        unfinished = places.unfinished_uploads()
        dead = [sink["dead_letters"] for sink in scene.pipeline.status()["sinks"]]

    proof(f"{workload.written} changes written at {workload.rate:.0f}/s, all delivered after {seconds:.0f} s")
    for kill, counts in zip(kills, missing, strict=True):
        proof(f"kill -9 after {kill.written} changes; undelivered then: {counts}")
    proof(f"SIGTERM: exit 0 after {ended.seconds:.1f} s")
    for verdict in verdicts:
        proof(str(verdict))
    assert all(verdict.faultless for verdict in verdicts), "\n".join(
        verdict.findings() for verdict in verdicts
    )
    assert again == drained, "what was saved on SIGTERM was not all that was delivered"
    assert dead == [0, 0, 0]
    assert unfinished == [], "what a killed process had begun to upload is still there"
    for counts in missing:
        assert max(counts.values()) > 0, f"nothing proved: a kill found nothing undelivered: {missing}"
    assert sum(again) > 0, "nothing proved: no kill led to a second delivery"
