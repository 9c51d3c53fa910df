"""What S3 does with the calls that the lake makes, in memory, and as strictly as its documentation says: whole objects
alone are visible, checksums are compared with what arrived, an upload that ended is unknown."""

import hashlib
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import uuid4
from xml.etree import ElementTree as ET
from zlib import crc32


@dataclass(frozen=True)
class Request:
    operation: str
    bucket: str
    key: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def access_key(self) -> str:
        return self.headers.get("authorization", "").partition("Credential=")[2].partition("/")[0]


class Answer(NamedTuple):
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = {}


class Refusal(Exception):  # noqa: N818 - it is what a store answers
    def __init__(self, code: str, status: int = 400) -> None:
        super().__init__(code)
        self.code = code
        self.status = status


@dataclass
class MultipartUpload:
    key: str
    parts: dict[int, bytes] = field(default_factory=dict)


def crc_text(data: bytes) -> str:
    return b64encode(crc32(data).to_bytes(4, "big")).decode()


class Store:
    """One bucket. `objects` are what readers see.

    Args:
        least_part_bytes: of all parts but the last.
        page: how many uploads one listing tells of.
    """

    def __init__(
        self, bucket: str = "lake", *, least_part_bytes: int = 5 * 1024 * 1024, page: int = 1000
    ) -> None:
        self.bucket = bucket
        self.objects: dict[str, bytes] = {}
        self.uploads: dict[str, MultipartUpload] = {}
        self.least_part_bytes = least_part_bytes
        self.page = page
        self.encrypts = True
        """Whether it does what it is asked for, and says so."""

    def answer(self, request: Request) -> Answer:  # noqa: PLR0911 - one for each call
        if request.bucket != self.bucket:
            raise Refusal("NoSuchBucket", 404)
        _check_body(request)
        match request.operation:
            case "PutObject":
                self.objects[request.key] = request.body
                return Answer(headers=self._stored(request))
            case "CreateMultipartUpload":
                upload = uuid4().hex
                self.uploads[upload] = MultipartUpload(request.key)
                body = _xml("InitiateMultipartUploadResult", f"<UploadId>{upload}</UploadId>")
                return Answer(body=body, headers=self._encryption(request))
            case "UploadPart":
                self._upload(request).parts[int(request.query["partNumber"])] = request.body
                return Answer(headers=self._stored(request))
            case "CompleteMultipartUpload":
                return self._complete(request)
            case "AbortMultipartUpload":
                self._upload(request)
                del self.uploads[request.query["uploadId"]]
                return Answer(204)
            case "HeadObject":
                if request.key not in self.objects:
                    raise Refusal("NoSuchKey", 404)
                return Answer(headers={"Content-Length": str(len(self.objects[request.key]))})
            case "ListMultipartUploads":
                return self._list(request.query)
            case _:
                raise Refusal("NotImplemented", 501)

    def _stored(self, request: Request) -> dict[str, str]:
        checksum = {"x-amz-checksum-crc32": crc_text(request.body)}
        asked = "x-amz-checksum-crc32" in request.headers
        return {"ETag": _etag(request.body), **self._encryption(request), **(checksum if asked else {})}

    def _encryption(self, request: Request) -> dict[str, str]:
        names = ("x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id")
        asked = {name: request.headers[name] for name in names if name in request.headers}
        return asked if self.encrypts else {}

    def _upload(self, request: Request) -> MultipartUpload:
        upload = self.uploads.get(request.query["uploadId"])
        if upload is None or upload.key != request.key:
            raise Refusal("NoSuchUpload", 404)
        return upload

    def _complete(self, request: Request) -> Answer:
        upload = self._upload(request)
        parts = []
        for listed in ET.fromstring(request.body).iterfind("{*}Part"):  # noqa: S314 - written by this test
            data = upload.parts.get(int(listed.findtext("{*}PartNumber", "0")))
            crc = listed.findtext("{*}ChecksumCRC32")
            if data is None or listed.findtext("{*}ETag") != _etag(data) or crc not in (None, crc_text(data)):
                raise Refusal("InvalidPart")
            parts.append(data)
        if any(len(part) < self.least_part_bytes for part in parts[:-1]):
            raise Refusal("EntityTooSmall")
        del self.uploads[request.query["uploadId"]]
        self.objects[request.key] = b"".join(parts)
        crcs = b"".join(crc32(part).to_bytes(4, "big") for part in parts)
        checksum = f"<ChecksumCRC32>{crc_text(crcs)}-{len(parts)}</ChecksumCRC32>"
        return Answer(body=_xml("CompleteMultipartUploadResult", checksum))

    def _list(self, query: Mapping[str, str]) -> Answer:
        after = (query.get("key-marker", ""), query.get("upload-id-marker", ""))
        found = sorted((u.key, id_) for id_, u in self.uploads.items() if u.key.startswith(query["prefix"]))
        found = [place for place in found if place > after]
        page = found[: min(self.page, int(query.get("max-uploads", self.page)))]
        body = "".join(f"<Upload><Key>{key}</Key><UploadId>{id_}</UploadId></Upload>" for key, id_ in page)
        if len(page) < len(found):
            key, id_ = page[-1]
            body += f"<NextKeyMarker>{key}</NextKeyMarker><NextUploadIdMarker>{id_}</NextUploadIdMarker>"
        body += f"<IsTruncated>{str(len(page) < len(found)).lower()}</IsTruncated>"
        return Answer(body=_xml("ListMultipartUploadsResult", body))


def _check_body(request: Request) -> None:
    if request.headers.get("x-amz-content-sha256") != hashlib.sha256(request.body).hexdigest():
        raise Refusal("XAmzContentSHA256Mismatch")
    if request.headers.get("x-amz-checksum-crc32") not in (None, crc_text(request.body)):
        raise Refusal("XAmzContentChecksumMismatch")


def _etag(data: bytes) -> str:
    return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'


def _xml(name: str, body: str) -> bytes:
    return f'<{name} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{body}</{name}>'.encode()
