"""A file on its way to S3."""

from contextlib import suppress

from cdc.errors import SinkError
from connectors.lake.s3.bucket import AnswerError, Bucket, Part
from connectors.lake.storage import Data


class Upload:
    """A `NewFile` on S3. What fits into one chunk is one PutObject, all else a multipart upload; neither is visible
    before it is complete (Amazon S3 user guide, "Uploading and copying objects using multipart upload").

    Every call may be made again: a part replaces the one of its number, and the key is never used for other data.
    """

    def __init__(self, bucket: Bucket, key: str) -> None:
        self._bucket = bucket
        self._key = key
        self._upload = ""
        self._parts: list[Part] = []
        self._bytes = 0
        self._rest: Data = b""

    def write(self, data: Data) -> None:
        if not self._upload:
            self._upload = self._bucket.begin(self._key)
        self._parts.append(self._bucket.upload_part(self._key, self._upload, len(self._parts) + 1, data))
        self._bytes += len(data)

    def seal(self, data: Data) -> None:
        if not self._upload:
            self._rest = data
        elif data:
            self.write(data)

    def publish(self) -> None:
        if self._upload:
            self._complete()
        else:
            self._bucket.put(self._key, self._rest)

    def abandon(self) -> None:
        self._rest = b""
        if self._upload:
            with suppress(SinkError):
                self._bucket.abort(self._key, self._upload)

    def _complete(self) -> None:
        try:
            self._bucket.complete(self._key, self._upload, self._parts)
        except AnswerError as error:
            # Either an earlier call was carried out and its answer lost, or somebody aborted the upload.
            if error.code != "NoSuchUpload" or self._bucket.size(self._key) != self._bytes:
                raise
