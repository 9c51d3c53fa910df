"""A process that is killed before and after each call to the store in turn: `python -m tests.sim.lake_crash_on_s3 URL FOLDER`.

Each life writes to `s3://lake/{number}`, and the numbers of its durable batches to `FOLDER/{number}/durable`, until it is
killed; the last one lives to its end.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from connectors.lake import in_progress
from connectors.lake.s3.client import create_client
from tests.s3.lakes import s3_config, s3_sink
from tests.sim.lake_crash import history, live, lives


def kill(client: Any, at: int) -> Any:
    """Has this process ended with SIGKILL at moment number `at`: before a call, or after it was carried out."""
    left = [at]

    def moment(**_: Any) -> None:
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left[0] -= 1

    client.meta.events.register("before-send.s3", moment)
    client.meta.events.register_first("before-parse.s3", moment)
    return client


def main(url: str, folder: Path) -> None:
    in_progress.BLOCK_BYTES = 200  # a few rows are an upload of several parts
    client = create_client(s3_config(url), connections=1)  # once: to make it takes longer than a life

    def life(base: Path, kill_at: int) -> None:
        config = s3_config(url, url=f"s3://lake/{kill_at}", codec="null")
        live(base, s3_sink(config, connect=lambda: kill(client, kill_at)), history())

    lives(folder, life)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
