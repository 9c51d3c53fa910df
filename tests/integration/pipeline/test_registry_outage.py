"""A schema registry that stops for a minute: what is known goes on, also after a kill, and nothing is lost."""

import time
from pathlib import Path

import pytest

from tests.integration.pipeline.places import Servers
from tests.integration.pipeline.proof import Proof
from tests.integration.pipeline.scene import SINKS, Scene
from tests.services.dynamodb_local import DynamoDBLocal
from tests.services.schema_registry import ApicurioRegistry

pytestmark = pytest.mark.integration

CHANGES = 3_000
BEFORE = 300
OUTAGE_SECONDS = 60.0


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_a_registry_that_stops_for_a_minute(
    tmp_path: Path,
    kafka_bootstrap: str,
    s3_endpoint: str,
    dynamodb_local: DynamoDBLocal,
    schema_registry: ApicurioRegistry,
    seed: int,
    proof: Proof,
) -> None:
    places = Servers(s3=s3_endpoint, registry=schema_registry.endpoint, dynamodb=dynamodb_local.endpoint)
    with (
        Scene(tmp_path, kafka=kafka_bootstrap, dynamodb=dynamodb_local.endpoint, places=places) as scene,
        scene.workload(seed=seed, changes=CHANGES, key_count=200) as workload,
    ):
        pipeline = scene.pipeline

        def delivered() -> dict[str, int]:
            return {sink["name"]: sink["delivered"] for sink in pipeline.live_status()["sinks"]}

        pipeline.start().wait_ready()
        workload.start().wait(BEFORE)
        workload.trickle()
        pipeline.wait(lambda: min(delivered().values()) >= BEFORE, "every sink got the first changes")

        scene.newest()  # readers know the schemas too
        schema_registry.stop()
        stopped = time.monotonic()
        reached = delivered()
        pipeline.wait(
            lambda: all(now > reached[sink] for sink, now in delivered().items()), "known schemas go on"
        )
        # The ids are in the state: also a new process needs no registry for them.
        pipeline.kill()
        before = scene.newest()
        pipeline.start().wait_ready()
        pipeline.wait(
            lambda: all(now > before[sink] for sink, now in scene.newest().items()),
            "they go on after a restart without the registry",
        )
        while_stopped = workload.written
        pipeline.wait(
            lambda: time.monotonic() - stopped > OUTAGE_SECONDS, "a minute has passed", seconds=OUTAGE_SECONDS
        )
        states = {sink["name"]: sink["state"] for sink in pipeline.live_status()["sinks"]}
        schema_registry.start()
        workload.hurry()
        journal = workload.finish()
        assert pipeline.terminate().code == 0
        pipeline.run_until_caught_up()
        verdicts = scene.judge(journal)

    proof(f"the registry was away from before change {while_stopped} for {OUTAGE_SECONDS:g} s")
    for verdict in verdicts:
        proof(str(verdict))
    assert states == dict.fromkeys(SINKS, "up")
    assert all(verdict.faultless for verdict in verdicts), "\n".join(
        verdict.findings() for verdict in verdicts
    )
