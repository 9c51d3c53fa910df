"""A process that tries to own a pipeline: `python -m tests.sim.lease_holder STATE`.

Opens the state, says "open", waits for a line, acquires, and says "owner EPOCH" or "refused"; an owner then saves
numbers, one after the other, and says each that is saved, until it is killed or its input ends.
"""

import sys
import time
from pathlib import Path

from cdc.errors import ErrorKind, StateError
from cdc.model import ShardKey, after
from cdc.ports import SavedCursor, StateChange
from cdc.process import this_process
from connectors.state_sqlite import SqliteStateStore


def say(what: str) -> None:
    print(what, flush=True)


def main(path: Path) -> None:
    store = SqliteStateStore(path, "pipeline")
    store.open()
    say("open")
    sys.stdin.readline()
    try:
        lease = store.acquire(this_process(), lease_seconds=600, now=time.time())
    except StateError as error:
        say("refused" if error.kind is ErrorKind.NOT_OWNER else error.kind)
        return
    say(f"owner {lease.epoch}")
    number = 0
    while sys.stdin.readline():
        number += 1
        cursor = SavedCursor(
            "lake", ShardKey("arn", "shard"), after(str(number)), "orders", False, time.time()
        )
        store.save(lease, StateChange(cursors=[cursor]))
        say(f"saved {number}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
