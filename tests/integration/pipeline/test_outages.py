"""One sink of three goes down: the other two go on, everyone sees which it is, and it catches up when it returns."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.pipeline.process import lag_of, sink_of
from tests.integration.pipeline.proof import Proof
from tests.integration.pipeline.relay import Relay
from tests.integration.pipeline.scene import BUS, LAKE, REPLICA, SINKS, Scene, redelivered
from tests.services.dynamodb_local import DynamoDBLocal
from tests.services.kafka import KafkaBroker

pytestmark = pytest.mark.integration

BEFORE = 200
CHANGES = 1_000
KEYS = 100
LAG_SECONDS = 5.0
"""How far behind the broken sink has to be seen to be."""


@pytest.fixture
def relay(dynamodb_local: DynamoDBLocal) -> Iterator[Relay]:
    """The replica's endpoint."""
    with Relay(dynamodb_local.endpoint) as relay:
        yield relay


@pytest.fixture
def scene(
    tmp_path: Path, kafka_broker: KafkaBroker, dynamodb_local: DynamoDBLocal, relay: Relay
) -> Iterator[Scene]:
    with Scene(
        tmp_path / "pipeline",
        kafka=kafka_broker.endpoint,
        dynamodb=dynamodb_local.endpoint,
        replica=relay.url,
    ) as scene:
        yield scene


@pytest.mark.timeout(180)
@pytest.mark.parametrize("broken", SINKS)
def test_one_sink_down_is_its_own_trouble(
    broken: str, scene: Scene, kafka_broker: KafkaBroker, relay: Relay, seed: int, proof: Proof
) -> None:
    pipeline = scene.pipeline
    aside = scene.lake_folder.with_name("lake-aside")

    def replace_lake() -> None:
        scene.lake_folder.rename(aside)
        scene.lake_folder.write_text("not a folder")

    def restore_lake() -> None:
        scene.lake_folder.unlink()
        aside.rename(scene.lake_folder)

    ways: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        BUS: (kafka_broker.stop, kafka_broker.start),
        LAKE: (replace_lake, restore_lake),
        REPLICA: (relay.down, relay.up),
    }
    fail, recover = ways[broken]
    others = [sink for sink in SINKS if sink != broken]

    def delivered() -> dict[str, int]:
        return {sink["name"]: sink["delivered"] for sink in pipeline.live_status()["sinks"]}

    with scene.workload(seed=seed, changes=CHANGES, key_count=KEYS) as workload:
        pipeline.start().wait_ready()
        workload.start().wait(BEFORE)
        workload.trickle()
        pipeline.wait(lambda: min(delivered().values()) >= BEFORE, "every sink got the first changes")
        fail()  # while the writer goes on
        journal = workload.finish()
        pipeline.wait(
            lambda: all(delivered()[sink] == workload.written for sink in others), "the others got all"
        )
        behind = workload.written - delivered()[broken]
        assert behind > 0, f"nothing proved: {broken} went down too late"

        def seen() -> bool:
            report = pipeline.live_status()
            return lag_of(report, broken) > LAG_SECONDS and sink_of(report, broken)["state"] == "down"

        pipeline.wait(seen, f"{broken} is seen to be down and behind")
        report = pipeline.status()
        assert sink_of(report, broken)["state"] != "up"
        assert sink_of(report, broken)["error"]
        assert [sink_of(report, sink)["state"] for sink in others] == ["up", "up"]
        assert lag_of(report, broken) > max(lag_of(report, sink) for sink in others)
        assert [alarm["about"] for alarm in report["alarms"]] == [f"sink {broken}"]
        pipeline.wait(
            lambda: pipeline.metric("cdc_sink_up", sink=broken) == 0, "the metrics show it"
        )  # not while it tries
        assert [pipeline.metric("cdc_sink_up", sink=sink) for sink in others] == [1, 1]
        lags = {sink: pipeline.metric("cdc_lag_seconds", sink=sink) for sink in SINKS}
        assert max(lags, key=lambda sink: lags[sink]) == broken

        recover()
        seconds = pipeline.wait(lambda: delivered()[broken] >= workload.written, f"{broken} has caught up")
        report = pipeline.status()
        assert [sink_of(report, sink)["state"] for sink in SINKS] == ["up"] * 3
        changes = {sink: pipeline.metric("cdc_changes_total", sink=sink) for sink in others}
        assert changes == dict.fromkeys(others, workload.written), "another sink was given something twice"
        ended = pipeline.terminate()
        assert ended.code == 0, ended.stderr[-3000:]

    verdicts = scene.judge(journal)
    twice = {BUS: redelivered(scene.topic.deliveries), LAKE: redelivered(scene.lake.deliveries)}
    proof(
        f"{behind} of {workload.written} changes behind while down, lags {lags}; caught up in {seconds:.1f} s; {twice=}"
    )
    for verdict in verdicts:
        proof(str(verdict))
    assert all(verdict.faultless for verdict in verdicts), "\n".join(
        verdict.findings() for verdict in verdicts
    )
    assert all(twice.get(sink, 0) == 0 for sink in others), f"another sink saw something twice: {twice}"
