"""Credentials that expire while the pipeline runs: each part has a role of its own, and gets it renewed."""

import time
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest

from tests.integration.pipeline.places import Folders, Settings
from tests.integration.pipeline.proof import Proof
from tests.integration.pipeline.scene import Scene
from tests.integration.pipeline.sts import Gateway, Sts, serving
from tests.integration.pipeline.workload import REGION
from tests.services.dynamodb_local import DynamoDBLocal

pytestmark = pytest.mark.integration

CHANGES = 3_000


class _StateAtAws(Folders):
    """Schemas and the lake in folders; positions in a table, as another role."""

    def __init__(self, folder: Path, endpoint: str, role: str) -> None:
        super().__init__(folder)
        self._state = {
            "type": "dynamodb",
            "table": f"state-{uuid4().hex[:12]}",
            "region": REGION,
            "endpoint_url": endpoint,
            "role_arn": role,
        }

    @property
    def sections(self) -> Settings:
        return {**super().sections, "state": self._state}


LIVES_SECONDS = 4.0
RENEWALS = 3
"""At least so often the credentials of each role have to expire while changes are written."""
EARLY = 15 * 60 + 2
"""botocore renews credentials from a quarter of an hour before they expire."""


@pytest.mark.timeout(240)
@pytest.mark.parametrize("says", [EARLY, 3600], ids=["as they say", "earlier than they say"])
def test_expiring_credentials_are_renewed(
    says: float,
    tmp_path: Path,
    kafka_bootstrap: str,
    dynamodb_local: DynamoDBLocal,
    seed: int,
    proof: Proof,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The gateways refuse expired credentials. Said in time: nothing is refused. Expired early (revoked, a wrong clock):
    the refusal itself leads to new ones."""
    sts = Sts(lives=LIVES_SECONDS, says=says)
    roles = {name: f"arn:aws:iam::000000000000:role/cdc-{name}" for name in ("source", "replica", "state")}
    with ExitStack() as stack:
        stack.enter_context(serving(sts))
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
        gateways = {
            name: Gateway(sts, dynamodb_local.endpoint, role, "dynamodb") for name, role in roles.items()
        }
        for gateway in gateways.values():
            stack.enter_context(serving(gateway))
        scene = stack.enter_context(
            Scene(
                tmp_path,
                kafka=kafka_bootstrap,
                dynamodb=dynamodb_local.endpoint,
                places=_StateAtAws(tmp_path, gateways["state"].url, roles["state"]),
                source_access={"endpoint_url": gateways["source"].url, "role_arn": roles["source"]},
                replica_access={
                    "endpoint_url": gateways["replica"].url,
                    "role_arn": roles["replica"],
                    "external_id": "orders-dr",
                },
            )
        )
        workload = stack.enter_context(scene.workload(seed=seed, changes=CHANGES, key_count=200))
        scene.pipeline.start().wait_ready()
        workload.start()
        workload.trickle()
        began = time.monotonic()
        scene.pipeline.wait(
            lambda: time.monotonic() - began > (RENEWALS + 0.5) * LIVES_SECONDS,
            "the credentials have expired",
        )
        workload.hurry()
        journal = workload.finish()
        scene.pipeline.wait(
            lambda: all(
                sink["delivered"] >= workload.written for sink in scene.pipeline.live_status()["sinks"]
            ),
            "every sink has all of it",
        )
        assert scene.pipeline.terminate().code == 0
        verdicts = scene.judge(journal)

    times = {name: sts.times(role) for name, role in roles.items()}
    refused = {name: dict(gateway.answers) for name, gateway in gateways.items()}
    proof(f"credentials that live {LIVES_SECONDS:g} s and say {says:g} s: assumed {times}, answers {refused}")
    for verdict in verdicts:
        proof(str(verdict))
    assert all(verdict.faultless for verdict in verdicts), "\n".join(v.findings() for v in verdicts)
    assert min(times.values()) > RENEWALS
    assert {grant.external_id for grant in sts.grants.values() if grant.role == roles["replica"]} == {
        "orders-dr"
    }
    assert not any(answers.get("denied") for answers in refused.values())
    if says == EARLY:
        assert not any(answers.get("expired") for answers in refused.values())
    else:
        assert all(answers["expired"] for answers in refused.values()), "nothing proved: nothing expired"
