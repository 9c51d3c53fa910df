import subprocess
import sys
from pathlib import Path

from cdc.testing.content import content_of, once
from cdc.testing.encoding import encode
from tests.lake_batches import lake_sink
from tests.lake_files import lake_content
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
