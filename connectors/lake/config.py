"""The configuration of a lake, on a file system or on S3."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self
from urllib.parse import unquote, urlsplit

from pydantic import Field, field_validator, model_validator

from cdc.connector import AwsAccess, ConfigModel, SinkConfig

OWN_FOLDER = "_cdc"

_URLS = "allowed: s3://bucket/prefix; file:///path, or file:./path relative to the configuration file"
_LATER_FORMATS = ("parquet", "jsonl")
_LATER_CODECS = ("snappy", "zstandard", "bzip2", "xz")

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,62}")
"""Amazon S3 user guide, "General purpose bucket naming rules"; other stores also take capitals and underscores."""

_PREFIX = re.compile(r"[A-Za-z0-9!_.*'()=/-]*")
"""The characters that need no care anywhere (Amazon S3 user guide, "Naming Amazon S3 objects": safe characters)."""

_MAX_PREFIX = 512
"""A key has 1,024 bytes; the table's name, the partition and the file's name take the others."""

_ONLY_S3 = (
    *AwsAccess.model_fields,
    *("path_style", "checksum", "encryption", "expected_bucket_owner", "acl", "storage_class"),
    *("uploads", "memory_megabytes"),
)


class EncryptionConfig(ConfigModel):
    """How the store encrypts the files."""

    type: Literal["sse-s3", "sse-kms"]
    """`sse-s3`: with the store's own keys. `sse-kms`: with a key of AWS KMS."""
    kms_key_id: Annotated[str, Field(min_length=1, max_length=2048)] | None = None
    """With `sse-kms`: the key's ARN, which a key of another account needs, or its id; null: the account's `aws/s3`."""
    bucket_key: bool = True
    """With `sse-kms`: the bucket asks KMS seldom instead of for every file (S3 Bucket Keys)."""

    @model_validator(mode="after")
    def _kms_has_keys_of_its_own(self) -> Self:
        if self.type != "sse-kms" and {"kms_key_id", "bucket_key"} & self.model_fields_set:
            raise ValueError("kms_key_id and bucket_key go with type sse-kms")
        return self


class S3Place(NamedTuple):
    bucket: str
    prefix: str
    """Of all keys: empty, or with a `/` at its end."""


class LakeConfig(AwsAccess, SinkConfig):
    """Avro files in Hive partitions by hour, on a file system or on S3."""

    type: Literal["lake"]
    url: str
    """`s3://bucket/prefix`; `file:///path`, or `file:./path` relative to the configuration file, where %-escapes are
    decoded (RFC 8089)."""
    format: Literal["avro"] = "avro"
    """Avro object container files."""
    codec: Literal["null", "deflate"] = "deflate"
    """Compression of the files' blocks."""
    partition: Literal["hour"] = "hour"
    """Partitions by event time, in UTC."""
    flush_after_seconds: Annotated[float, Field(gt=0, le=86_400)] = 300
    """A file appears at the latest so long after its first row. Also how long a change may take to be durable."""
    flush_after_megabytes: Annotated[float, Field(gt=0, le=10_000)] = 128
    """A file appears when it has this size (10^6 bytes)."""
    path_style: bool | None = None
    """S3: whether the bucket is in the URL's path and not in its host name; null: yes where `endpoint_url` is set."""
    checksum: Literal["crc32", "none"] = "crc32"
    """S3: what every upload carries beside its signature, which covers the data in any case. `none` is for stores that
    refuse `x-amz-checksum-crc32`."""
    encryption: EncryptionConfig | None = None
    """S3: how files are encrypted; null: as the bucket does by itself."""
    expected_bucket_owner: Annotated[str, Field(pattern=r"^[0-9]{12}$")] | None = None
    """S3: the account that the bucket must belong to; every call is refused (403) if it belongs to another."""
    acl: Literal["bucket-owner-full-control"] | None = None
    """S3: for a bucket of another account that still uses ACLs, so that its owner may read the files."""
    storage_class: Annotated[str, Field(pattern=r"^[A-Z0-9_-]{1,64}$")] | None = None
    """S3: `INTELLIGENT_TIERING`, `STANDARD_IA`, ...; null: the bucket's own."""
    uploads: Annotated[int, Field(ge=1, le=64)] = 4
    """S3: how many uploads run at once."""
    memory_megabytes: Annotated[float, Field(ge=16, le=100_000)] = 128
    """S3: how much may be in memory (10^6 bytes): half of it in files in progress, half on its way to the store."""

    @field_validator("url")
    @classmethod
    def _known_url(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("file", "s3") or parts.query or parts.fragment:
            raise ValueError(f"not an address of a lake; {_URLS}")
        if parts.scheme == "s3":
            _check_place(parts.netloc, parts.path)
            return url
        if not parts.path:
            raise ValueError(f"not an address of a lake; {_URLS}")
        if parts.netloc not in ("", "localhost"):
            raise ValueError(f"a file URL names no other host; {_URLS}")
        return url

    @field_validator("format", mode="before")
    @classmethod
    def _built_format(cls, value: Any) -> Any:
        if value in _LATER_FORMATS:
            raise ValueError(f"{value} is not in this version; allowed: avro")
        return value

    @field_validator("codec", mode="before")
    @classmethod
    def _built_codec(cls, value: Any) -> Any:
        if value in _LATER_CODECS:
            raise ValueError(f"{value} is not in this version; allowed: null, deflate")
        return "null" if value is None else value  # YAML reads an unquoted null as nothing

    @model_validator(mode="after")
    def _keys_go_with_the_place(self) -> Self:
        if self.is_s3:
            return self
        foreign = [key for key in _ONLY_S3 if getattr(self, key) != type(self).model_fields[key].default]
        if foreign:
            raise ValueError(f"only a lake on s3:// has {', '.join(foreign)}")
        return self

    @property
    def is_s3(self) -> bool:
        return urlsplit(self.url).scheme == "s3"

    def check_tables(self, tables: Sequence[str]) -> None:
        for table in tables:
            if table.casefold() == OWN_FOLDER:
                raise ValueError(
                    f"the lake keeps its own files in {OWN_FOLDER}/: it cannot take the table {table}"
                )

    def folder(self, base: Path) -> Path:
        """Where a `file:` URL points to; `base` is the folder of the configuration file."""
        return base / unquote(urlsplit(self.url).path)

    def place(self) -> S3Place:
        """Where an `s3://` URL points to; nothing in it is escaped."""
        parts = urlsplit(self.url)
        prefix = parts.path.strip("/")
        return S3Place(parts.netloc, f"{prefix}/" if prefix else "")


def _check_place(bucket: str, path: str) -> None:
    if not _BUCKET.fullmatch(bucket):
        raise ValueError(f"not the name of a bucket; {_URLS}")
    prefix = path.strip("/")
    if len(prefix) > _MAX_PREFIX or not _PREFIX.fullmatch(prefix):
        raise ValueError(
            f"a prefix has at most {_MAX_PREFIX} characters, letters, digits and ! - _ . * ' ( ) = /; {_URLS}"
        )
    if prefix and any(part in ("", ".", "..") for part in prefix.split("/")):
        raise ValueError(f"a prefix has no empty parts and no . or ..; {_URLS}")
