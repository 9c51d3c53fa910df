"""A process that has begun an upload: `python -m tests.integration.lake.writer ENDPOINT BUCKET`; says so, and waits to be
killed."""

import sys
import threading
from concurrent.futures import Executor, ThreadPoolExecutor

from cdc.testing.encoding import encode
from cdc.testing.sink_run import SystemClock
from connectors.lake import CONNECTOR
from tests.integration.lake.rows import many
from tests.s3.lakes import s3_config, s3_context


def main(endpoint: str, bucket: str) -> None:
    part = threading.Event()

    def count_call(operation: str, outcome: str) -> None:
        if (operation, outcome) == ("UploadPart", "ok"):
            part.set()

    def executor(threads: int) -> Executor:
        return ThreadPoolExecutor(threads)

    config = s3_config(endpoint, url=f"s3://{bucket}/lake", codec="null")
    context = s3_context(clock=SystemClock(), executor=executor, count_call=count_call)
    sink = CONNECTOR.build(config, context)
    sink.open()
    batches = many(10_000_000)
    sink.claim({batch.shard for batch in batches})
    for batch in batches:
        sink.write(encode(batch)).accepted.result(60)
    part.wait(60)
    print("uploading", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
