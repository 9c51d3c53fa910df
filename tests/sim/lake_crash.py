"""A process that is killed before each call to the disk in turn: `python -m tests.sim.lake_crash FOLDER`.

Each life writes to `FOLDER/{number}`, and the numbers of its durable batches to `FOLDER/{number}/durable`, until it is
killed; the last one lives to its end.
"""

import os
import sys
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from cdc.model import Batch, Durability
from cdc.testing.batches import Table
from cdc.testing.encoding import encode
from connectors.lake.sink import LakeSink
from tests.lake_batches import at_hours, lake_sink
from tests.lake_disks import KillingDisk

FLUSH_AFTER = 2


def history() -> list[Batch]:
    """Batches of two shards in turn, over three hours; the first shard ends."""
    table = Table()
    feeds = [table.shard(0), table.shard(1)]
    batches = []
    for number in range(3):
        for feed in feeds:
            for item in ("a", "b"):
                feed.put(f"{item}-{feed.key.shard}", n={"N": str(number)})
            end = number == 2 and feed is feeds[0]
            batches.append(at_hours(feed.batch(end=end), [number, number + 0.5 if number else 1]))
    return batches


def live(base: Path, sink: LakeSink, batches: list[Batch]) -> None:
    noted = os.open(base / "durable", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    sink.open()
    sink.claim({batch.shard for batch in batches})
    for number, batch in enumerate(batches):

        def note(_: "Future[Durability]", number: int = number) -> None:
            os.write(noted, b"%d\n" % number)

        sink.write(encode(batch)).durable.add_done_callback(note)
        if number == FLUSH_AFTER:
            sink.flush(deadline=60).result(0)
    sink.close(deadline=60)


def lives(folder: Path, life: Callable[[Path, int], None]) -> None:
    """Each in a process and a folder of its own, until one lives to its end."""
    kill_at = 0
    while True:
        base = folder / str(kill_at)
        base.mkdir()
        child = os.fork()
        if child == 0:
            life(base, kill_at)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            sys.exit(os.WEXITSTATUS(status))
        kill_at += 1


def main(folder: Path) -> None:
    lives(folder, lambda base, kill_at: live(base, lake_sink(base, disk=KillingDisk(kill_at)), history()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
