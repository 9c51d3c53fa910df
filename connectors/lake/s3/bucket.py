"""The calls to S3 that the lake makes, one method each: the settings that all of them carry, and what they answer."""

from base64 import b64encode
from collections.abc import Callable, Iterator
from threading import Lock
from typing import Any, NamedTuple
from zlib import crc32

from botocore import xform_name

from cdc import aws
from cdc.connector import CountCall
from cdc.errors import ErrorKind, SinkError
from connectors.lake.config import LakeConfig
from connectors.lake.s3.errors import CALLS, code_of, sink_error
from connectors.lake.storage import Data

ALGORITHMS = {"sse-s3": "AES256", "sse-kms": "aws:kms"}


class Part(NamedTuple):
    number: int
    etag: str
    crc: int
    """CRC-32 of its data."""


class AnswerError(SinkError):
    """A call failed, with the code that the store gave it; empty where it gave none."""

    def __init__(self, kind: ErrorKind, message: str, *, remedy: str = "", code: str = "") -> None:
        super().__init__(kind, message, remedy=remedy)
        self.code = code


class Bucket:
    """Calls for keys of one bucket, from several threads. None is tried twice, but one: where the credentials are said
    to be expired, they are looked for anew.

    Every upload carries the CRC-32 of its data as a header (Amazon S3 user guide, "Checking object integrity"), beside
    the SHA-256 that its signature covers; what the store says it got is compared. All raise `SinkError`.

    Args:
        connect: makes a client with credentials of its own.
    """

    def __init__(self, config: LakeConfig, connect: Callable[[], Any], count_call: CountCall) -> None:
        self.place = config.place()
        self._connect = connect
        self._count_call = count_call
        self._client: Any = None
        self._lock = Lock()
        self._checksum = config.checksum == "crc32"
        self._common: dict[str, Any] = {"Bucket": self.place.bucket}
        if config.expected_bucket_owner is not None:
            self._common["ExpectedBucketOwner"] = config.expected_bucket_owner
        self._new = _settings_of_new_objects(config)

    def put(self, key: str, data: Data) -> None:
        """PutObject."""
        checksum = {"ChecksumCRC32": _text(crc32(data))} if self._checksum else {}
        answer = self._call("PutObject", key, Body=data, **checksum, **self._new)
        self._compare(answer, _text(crc32(data)), key)
        self._check_encryption(answer, key)

    def begin(self, key: str) -> str:
        """CreateMultipartUpload: the upload's id."""
        checksum = {"ChecksumAlgorithm": "CRC32"} if self._checksum else {}
        answer = self._call("CreateMultipartUpload", key, **checksum, **self._new)
        upload = str(answer["UploadId"])
        try:
            self._check_encryption(answer, key)
        except SinkError:
            self.abort(key, upload)
            raise
        return upload

    def upload_part(self, key: str, upload: str, number: int, data: Data) -> Part:
        """UploadPart; again under the same number it replaces what was there."""
        crc = crc32(data)
        checksum = {"ChecksumCRC32": _text(crc)} if self._checksum else {}
        answer = self._call("UploadPart", key, UploadId=upload, PartNumber=number, Body=data, **checksum)
        self._compare(answer, _text(crc), key)
        return Part(number, str(answer["ETag"]), crc)

    def complete(self, key: str, upload: str, parts: list[Part]) -> None:
        """CompleteMultipartUpload. An error in the body of an answer with 200 is raised as the error that it is."""
        listed = [
            {"PartNumber": part.number, "ETag": part.etag}
            | ({"ChecksumCRC32": _text(part.crc)} if self._checksum else {})
            for part in parts
        ]
        answer = self._call(
            "CompleteMultipartUpload", key, UploadId=upload, MultipartUpload={"Parts": listed}
        )
        if "-" in answer.get(
            "ChecksumCRC32", ""
        ):  # that of the parts' checksums, and their number; else of the whole
            of_parts = crc32(b"".join(part.crc.to_bytes(4, "big") for part in parts))
            # Not a passing failure: the object is there now, and the same call would only find that out.
            self._compare(answer, f"{_text(of_parts)}-{len(parts)}", key, kind=ErrorKind.MALFORMED)

    def abort(self, key: str, upload: str) -> None:
        """AbortMultipartUpload; also of one that is gone."""
        try:
            self._call("AbortMultipartUpload", key, UploadId=upload)
        except AnswerError as error:
            if error.code != "NoSuchUpload":
                raise

    def size(self, key: str) -> int | None:
        """HeadObject: the bytes of an object; None where there is none. A caller who may not list the bucket is told
        403 for one that is not there."""
        try:
            return int(self._call("HeadObject", key)["ContentLength"])
        except AnswerError as error:
            if error.code in ("404", "403", "NoSuchKey"):
                return None
            raise

    def look(self) -> None:
        """Whether the bucket is there and answers: a listing of uploads, of one at most."""
        self._call("ListMultipartUploads", "", Prefix=self.place.prefix, MaxUploads=1)

    def uploads(self) -> Iterator[tuple[str, str]]:
        """ListMultipartUploads: (key, id) of all under the prefix, whoever began them."""
        more: dict[str, Any] = {}
        while True:
            answer = self._call("ListMultipartUploads", "", Prefix=self.place.prefix, **more)
            for upload in answer.get("Uploads", ()):
                yield str(upload["Key"]), str(upload["UploadId"])
            if not answer.get("IsTruncated"):
                return
            more = {
                "KeyMarker": answer["NextKeyMarker"],
                "UploadIdMarker": answer.get("NextUploadIdMarker", ""),
            }

    def close(self) -> None:
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _call(self, operation: str, key: str, **arguments: Any) -> dict[str, Any]:
        client = self._connected()
        try:
            return self._call_once(client, operation, key, arguments)
        except AnswerError as error:
            if error.code not in aws.EXPIRED:
                raise
        return self._call_once(self._connected(instead_of=client), operation, key, arguments)

    def _connected(self, instead_of: Any = None) -> Any:
        with self._lock:
            if self._client is None or self._client is instead_of:
                self._client = self._connect()
                if instead_of is not None:
                    instead_of.close()  # connections in use end with their call
            return self._client

    def _call_once(self, client: Any, operation: str, key: str, arguments: dict[str, Any]) -> dict[str, Any]:
        at = {"Key": key} if key else {}
        failed: SinkError
        try:
            call = getattr(client, xform_name(operation))
            answer: dict[str, Any] = call(**self._common, **at, **arguments)
        except CALLS as error:
            mapped = sink_error(error, operation, f"s3://{self.place.bucket}/{key or self.place.prefix}")
            if mapped is None:
                raise
            failed = AnswerError(mapped.kind, mapped.message, remedy=mapped.remedy, code=code_of(error))
        else:
            self._count_call(operation, "ok")
            return answer
        # Outside of the handler: the vendor's exception and its frames hold what was to be uploaded.
        self._count_call(operation, failed.kind)
        raise failed

    def _compare(
        self, answer: dict[str, Any], expected: str, key: str, *, kind: ErrorKind = ErrorKind.UNAVAILABLE
    ) -> None:
        got = answer.get("ChecksumCRC32")
        if self._checksum and got is not None and got != expected:
            raise SinkError(
                kind,
                f"s3://{self.place.bucket}/{key}: the store has another checksum than what was sent",
            )

    def _check_encryption(self, answer: dict[str, Any], key: str) -> None:
        asked = self._new.get("ServerSideEncryption")
        if asked is not None and answer.get("ServerSideEncryption") != asked:
            raise SinkError(
                ErrorKind.CONFIGURATION,
                f"s3://{self.place.bucket}/{key}: the store does not say that it encrypts with {asked}, as asked",
                remedy="take another store, or leave `encryption` to the bucket",
            )


def _settings_of_new_objects(config: LakeConfig) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    if config.encryption is not None:
        settings["ServerSideEncryption"] = ALGORITHMS[config.encryption.type]
        if config.encryption.type == "sse-kms":
            settings["BucketKeyEnabled"] = config.encryption.bucket_key
            if config.encryption.kms_key_id is not None:
                settings["SSEKMSKeyId"] = config.encryption.kms_key_id
    if config.acl is not None:
        settings["ACL"] = config.acl
    if config.storage_class is not None:
        settings["StorageClass"] = config.storage_class
    return settings


def _text(crc: int) -> str:
    return b64encode(crc.to_bytes(4, "big")).decode()
