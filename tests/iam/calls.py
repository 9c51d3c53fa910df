"""A request to AWS as one call of one API operation, read off the wire."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

_CREDENTIAL = re.compile(r"Credential=([^/]+)/[^/]+/[^/]+/([^/]+)/")
_CBOR = re.compile(r"/service/\w+/operation/(\w+)")
_LAMBDA = {("GET", "/2015-03-31/event-source-mappings"): "ListEventSourceMappings"}
_S3_QUERIES = (
    # (method, keys of the query that are there, operation): the first that fits (S3 API reference).
    ("POST", {"uploads"}, "CreateMultipartUpload"),
    ("POST", {"uploadId"}, "CompleteMultipartUpload"),
    ("POST", {"delete"}, "DeleteObjects"),
    ("PUT", {"uploadId", "partNumber"}, "UploadPart"),
    ("DELETE", {"uploadId"}, "AbortMultipartUpload"),
    ("GET", {"uploadId"}, "ListParts"),
    ("GET", {"uploads"}, "ListMultipartUploads"),
    ("GET", {"list-type"}, "ListObjectsV2"),
    ("GET", {"location"}, "GetBucketLocation"),
    ("GET", {"versioning"}, "GetBucketVersioning"),
    ("GET", {"encryption"}, "GetBucketEncryption"),
)
_S3_PLAIN = {
    ("PUT", True): "PutObject",
    ("GET", True): "GetObject",
    ("HEAD", True): "HeadObject",
    ("DELETE", True): "DeleteObject",
    ("HEAD", False): "HeadBucket",
    ("GET", False): "ListObjects",
    ("PUT", False): "CreateBucket",
    ("DELETE", False): "DeleteBucket",
}

_S3_HEADERS = {
    "x-amz-acl": "Acl",
    "x-amz-server-side-encryption-aws-kms-key-id": "KmsKey",
}
"""Those that take permissions of their own: their names among the arguments."""


@dataclass(frozen=True)
class Call:
    key: str
    """The access key id of the caller."""
    service: str
    """As the signature names it: `dynamodb` for streams too."""
    operation: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """The JSON body; of a form its last values; of S3 `Bucket`, `Key` and what the headers say of encryption and ACL."""


def call_of(method: str, url: str, headers: Mapping[str, str], body: bytes) -> Call:
    """Raises ValueError for a request that is none of the known services'."""
    named = {name.lower(): _text(value) for name, value in headers.items()}
    signed = _CREDENTIAL.search(named.get("authorization", ""))
    key, service = (signed[1], signed[2]) if signed else ("", "")
    parts = urlsplit(url)
    if target := named.get("x-amz-target"):
        return Call(key, service, target.rpartition(".")[2], json.loads(body or b"{}"))
    if service == "s3":
        return _s3(key, method, parts.path, parts.query, named)
    if rpc := _CBOR.search(parts.path):
        return Call(key, service, rpc[1])
    if rest := _LAMBDA.get((method, parts.path.rstrip("/"))):
        return Call(key, service, rest)
    form = {name: values[-1] for name, values in parse_qs(body.decode()).items()}
    if "Action" in form:
        return Call(key, service, form["Action"], form)
    raise ValueError(f"{method} {parts.path} of {service or 'nobody'}: which operation is this?")


def _s3(key: str, method: str, path: str, query: str, headers: Mapping[str, str]) -> Call:
    """Path style, which is what clients use at an endpoint of their own."""
    bucket, _, name = unquote(path).lstrip("/").partition("/")
    keys = set(parse_qs(query, keep_blank_values=True))
    special = next((op for verb, needed, op in _S3_QUERIES if verb == method and needed <= keys), None)
    told = {argument: headers[header] for header, argument in _S3_HEADERS.items() if header in headers}
    arguments = {"Bucket": bucket, "Key": name, **told}
    return Call(key, "s3", special or _S3_PLAIN[method, bool(name)], arguments)


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
