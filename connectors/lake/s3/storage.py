"""The lake as a prefix of a bucket."""

from functools import partial

from cdc.connector import SinkContext
from connectors.lake.config import LakeConfig
from connectors.lake.partition import Partition
from connectors.lake.s3.bucket import Bucket
from connectors.lake.s3.client import create_client
from connectors.lake.s3.upload import Upload
from connectors.lake.storage import Names, Terms

LEAST_PART_BYTES = 5 * 1024 * 1024
"""Of all parts but the last one (Amazon S3 user guide, "Amazon S3 multipart upload limits")."""

PART_BYTES = 8 * 1024 * 1024
"""10,000 of them, the most that a file may have, are more than `flush_after_megabytes` can ask for."""

ATTEMPTS = 5
"""Within four seconds; what lasts longer the engine tries again, later and later."""

_PARTS_OF_A_KEY = 4
"""Table, day, hour, name."""


class LakeBucket:
    """A `Storage` on S3.

    What a dead writer left in progress are multipart uploads, whose keys carry its name (`Names`): those of this owner
    are aborted, and nobody else's.
    """

    def __init__(self, bucket: Bucket, names: Names, terms: Terms) -> None:
        self.place = f"s3://{bucket.place.bucket}/{bucket.place.prefix}"
        self.terms = terms
        self._bucket = bucket
        self._names = names

    def open(self) -> None:
        self._names.begin_writer()
        self._bucket.look()

    def remove_leftovers(self) -> None:
        left = [(key, upload) for key, upload in self._bucket.uploads() if self._is_left(key)]
        for key, upload in left:
            self._bucket.abort(key, upload)

    def create(self, partition: Partition) -> Upload:
        key = f"{self._bucket.place.prefix}{partition.folder}/{self._names.new()}"
        return Upload(self._bucket, key)

    def close(self) -> None:
        self._bucket.close()

    def _is_left(self, key: str) -> bool:
        """By an earlier writer of this owner, in this lake: not in one that lies in a folder of it."""
        prefix = self._bucket.place.prefix
        parts = key.removeprefix(prefix).split("/")
        in_this_lake = key.startswith(prefix) and len(parts) == _PARTS_OF_A_KEY
        return in_this_lake and self._names.is_of_an_earlier_writer(parts[-1])


def open_bucket(config: LakeConfig, context: SinkContext) -> Bucket:
    """Connects with its first call."""
    connections = config.uploads + 1  # the sink's own thread
    return Bucket(config, partial(create_client, config, connections=connections), context.count_call)


def open_lake_bucket(config: LakeConfig, context: SinkContext) -> LakeBucket:
    """Connects with its first call."""
    terms = Terms(
        chunk_bytes=PART_BYTES,
        least_chunk_bytes=LEAST_PART_BYTES,
        memory_bytes=config.memory_megabytes * 1e6,
        attempts=ATTEMPTS,
        threads=config.uploads,
    )
    return LakeBucket(open_bucket(config, context), Names(context.pipeline, config.name), terms)
