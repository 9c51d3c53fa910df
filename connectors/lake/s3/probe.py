"""What `cdc check` can find out about a lake on S3 without changing anything."""

from collections.abc import Sequence

from cdc.connector import SinkContext
from connectors.lake.config import LakeConfig
from connectors.lake.s3.storage import open_bucket
from connectors.lake.storage import Names


def probe(config: LakeConfig, context: SinkContext) -> Sequence[str]:
    """Lists the uploads in progress, which every run does as well: the bucket, its region, its owner, the endpoint and
    the credentials are right if that is answered.

    Raises:
        SinkError: names the call, the place and, where one is known, the remedy.
    """
    bucket = open_bucket(config, context)
    try:
        names = Names(context.pipeline, config.name)
        left = [key for key, _ in bucket.uploads() if names.is_of_an_earlier_writer(key.rpartition("/")[2])]
    finally:
        bucket.close()
    lines = [
        f"bucket {bucket.place.bucket} answers, its uploads may be listed",
        "whether this sink may write there is not tried: it would leave an object",
    ]
    if left:
        lines.append(
            f"{len(left)} uploads of {names.owner} are in progress: of a running process, or left by a dead one"
        )
    return lines
