"""Two processes on one state store, and the way back after a kill."""

import os
import socket
from pathlib import Path

import pytest

from tests.integration.pipeline.process import Pipeline
from tests.integration.pipeline.proof import Proof
from tests.integration.pipeline.workload import REGION, client_of, create_table

pytestmark = pytest.mark.integration

LEASE_SECONDS = 60
AT_ONCE_SECONDS = 20.0
"""For a start of Python and of the pipeline on a busy machine; well below the lease."""


def test_the_second_refuses_and_names_the_first(tmp_path: Path, dynamodb_endpoint: str, proof: Proof) -> None:
    client = client_of(dynamodb_endpoint)
    table = f"orders-{os.getpid()}-{tmp_path.name[-40:]}"
    create_table(client, table)
    client.close()
    source = {
        "type": "dynamodb-streams",
        "tables": [table],
        "region": REGION,
        "endpoint_url": dynamodb_endpoint,
    }
    with Pipeline(
        tmp_path,
        source=source,
        sinks=[{"name": "file", "type": "file", "path": "./changes"}],
        lease_seconds=LEASE_SECONDS,
    ) as pipeline:
        pipeline.start().wait_ready()
        second = pipeline.command("run")
        assert second.returncode == 1, second.stderr
        assert str(pipeline.pid) in second.stderr
        assert socket.gethostname() in second.stderr
        assert "Traceback" not in second.stderr
        assert pipeline.ready(), "the first one goes on"

        pipeline.kill()
        seconds = pipeline.start().wait_ready(seconds=AT_ONCE_SECONDS)
        assert pipeline.status()["owner"]["pid"] == pipeline.pid
        assert pipeline.terminate().code == 0
    last = second.stderr.strip().splitlines()
    proof(f"refused: {' '.join(last[-2:])}")
    proof(f"after kill -9 under a lease of {LEASE_SECONDS} s ready again in {seconds:.1f} s")
