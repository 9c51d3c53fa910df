"""The test cases of sinks that keep positions (`Sink.claim` answers with them), and of those that fence other writers off.

They extend `cdc.testing.sink_contract`, which says how cases are used.
"""

from dataclasses import replace
from pathlib import Path

from cdc.errors import ErrorKind
from cdc.testing.batches import Table
from cdc.testing.sink_contract import SinkCases, history


class PositionCases(SinkCases):
    """Cases for a sink that keeps positions."""

    def test_claim_answers_with_the_last_durable_position(self, tmp_path: Path) -> None:
        table = Table()
        written, ended, unknown = table.shard(0), table.shard(1), table.shard(2)
        ended.put("b")
        with self.run(tmp_path, written, ended) as run:
            run.deliver([*history(written), ended.batch(end=True)])
        with self.run(tmp_path, written, ended, unknown) as run:
            assert run.claimed == {written.key: written.position, ended.key: ended.position}

    def test_an_empty_batch_carries_its_position(self, tmp_path: Path) -> None:
        shard = Table().shard()
        shard.put("a")
        with self.run(tmp_path, shard) as run:
            run.deliver([shard.batch(), shard.batch(end=True)])
        with self.run(tmp_path, shard) as run:
            assert run.claimed == {shard.key: shard.position}

    def test_what_is_replayed_is_no_place_to_go_on_from(self, tmp_path: Path) -> None:
        shard = Table().shard()
        first, last = history(shard, batches=2)
        with self.run(tmp_path, shard) as run:
            run.deliver([first, last])
            run.deliver([replace(first, replayed=True)])
        with self.run(tmp_path, shard) as run:
            assert run.claimed == {shard.key: last.end}


class FencingCases(PositionCases):
    """Cases for a sink whose `claim` shuts out whoever wrote the shard before."""

    def test_another_claim_fences_the_first_writer(self, tmp_path: Path) -> None:
        shard = Table().shard()
        first, late = history(shard, batches=2)
        with self.run(tmp_path, shard) as zombie:
            zombie.deliver([first])
            with self.run(tmp_path, shard) as run:
                assert run.claimed == {shard.key: first.end}
                receipt = zombie.write(late)
                zombie.sink.flush(deadline=self.patience).exception(self.patience)
                assert zombie.failure(receipt).kind is ErrorKind.FENCED
                run.deliver([late])
        with self.run(tmp_path, shard) as run:
            assert run.claimed == {shard.key: late.end}
