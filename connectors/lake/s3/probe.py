"""What `cdc check` can find out about a lake on S3 without changing anything."""

from collections.abc import Sequence

from cdc.connector import Access, Note, Seen, SinkContext
from connectors.lake.config import LakeConfig
from connectors.lake.permissions import bucket_arn
from connectors.lake.s3.storage import open_bucket
from connectors.lake.storage import Names


def probe(config: LakeConfig, context: SinkContext) -> Sequence[Seen]:
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
    seen: list[Seen] = [
        f"bucket {bucket.place.bucket} answers, its uploads may be listed",
        Access("s3:ListBucketMultipartUploads", bucket_arn(config), allowed=True),
        Note("whether this sink may write there is not tried: it would leave an object"),
    ]
    if left:
        seen.append(
            f"{len(left)} uploads of {names.owner} are in progress: of a running process, or left by a dead one"
        )
    return seen
