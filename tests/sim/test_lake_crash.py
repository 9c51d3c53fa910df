import subprocess
import sys
from pathlib import Path

import pytest

from cdc.testing.content import Content, content_of, once
from cdc.testing.encoding import encode
from connectors.lake.s3.client import create_client
from tests.lake_batches import lake_sink
from tests.lake_files import content_of_files, lake_content
from tests.s3.lakes import SMALL, s3_config, s3_sink, set_credentials
from tests.s3.server import S3Server, s3_server
from tests.s3.store import Store
from tests.sim.lake_crash import history


def test_killed_before_every_call_to_the_disk(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "tests.sim.lake_crash", tmp_path], check=True)
    batches = history()
    lives = sorted(tmp_path.iterdir(), key=lambda base: int(base.name))
    notes = []
    for base in lives:
        durable = {int(line) for line in (base / "durable").read_text().split()}
        notes.append(len(durable))
        visible = once(lake_content(base / "lake")) if (base / "lake").exists() else {}
        for key, versions in once(content_of(batches[number] for number in durable)).items():
            assert set(versions) <= set(visible[key]), f"{base}: durable, and lost"

        sink = lake_sink(base)
        sink.open()
        sink.claim({batch.shard for batch in batches})
        in_progress = base / "lake" / "_cdc" / "in-progress"
        assert not list(in_progress.rglob("*.avro")), f"{base}: leftovers"
        receipts = [sink.write(encode(batch)) for n, batch in enumerate(batches) if n not in durable]
        sink.flush(deadline=60).result(0)
        assert all(receipt.durable.exception(0) is None for receipt in receipts)
        sink.close(deadline=60)
        assert once(lake_content(base / "lake")) == once(content_of(batches))
    assert len(lives) > 50
    assert notes == sorted(notes)
    assert notes[0] == 0
    assert notes[-1] == len(batches)


def test_killed_before_and_after_every_call_to_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it left in progress goes with the next claim."""
    set_credentials(monkeypatch)
    batches = history()
    with s3_server(Store(least_part_bytes=SMALL.least_chunk_bytes)) as server:
        module = "tests.sim.lake_crash_on_s3"
        subprocess.run([sys.executable, "-m", module, server.url, tmp_path], check=True)
        lives = sorted(tmp_path.iterdir(), key=lambda base: int(base.name))
        client = create_client(s3_config(server.url), connections=1)
        notes, left = [], 0
        for base in lives:
            durable = {int(line) for line in (base / "durable").read_text().split()}
            notes.append(len(durable))
            visible = once(visible_to_readers(server, base.name))
            for key, versions in once(content_of(batches[number] for number in durable)).items():
                assert set(versions) <= set(visible[key]), f"{base}: durable, and lost"

            left += uploads(server, base.name)
            config = s3_config(server.url, url=f"s3://lake/{base.name}", codec="null")
            sink = s3_sink(config, connect=lambda: client)
            sink.open()
            sink.claim({batch.shard for batch in batches})
            assert not uploads(server, base.name), f"{base}: leftovers"
            receipts = [sink.write(encode(batch)) for n, batch in enumerate(batches) if n not in durable]
            sink.flush(deadline=60).result(0)
            assert all(receipt.durable.exception(0) is None for receipt in receipts)
            sink.close(deadline=60)
            assert once(visible_to_readers(server, base.name)) == once(content_of(batches))
    assert len(lives) > 20
    assert left > 3
    assert notes == sorted(notes)
    assert notes[0] == 0
    assert notes[-1] == len(batches)


def visible_to_readers(server: S3Server, prefix: str) -> Content:
    objects = server.store.objects.items()
    return content_of_files({key: data for key, data in objects if key.startswith(f"{prefix}/")})


def uploads(server: S3Server, prefix: str) -> int:
    return sum(upload.key.startswith(f"{prefix}/") for upload in server.store.uploads.values())
