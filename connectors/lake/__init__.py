"""A data lake of Avro files in Hive partitions; in this version on a file system.

    sinks:
      - name: lake
        type: lake
        url: file:///var/lib/orders-lake

Layout under the url, by the time of the change in UTC:

    {table}/dt=YYYY-MM-DD/hour=HH/{writer}-{uuid}.avro
    _cdc/                                  the sink's own; Hive, Spark and Trino pass over names that begin with _

A file appears whole or not at all. Late changes go to a new file in the partition of their own time: partitions never
close. At least once: a crash after files have appeared and before the position is saved writes their rows again, in
other files. Rows carry `__version`, which orders the states of an item and finds the doubles.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import Field, field_validator

from cdc.connector import SinkConfig, SinkConnector, SinkContext
from cdc.ports import Sink

OWN_FOLDER = "_cdc"

_URLS = "allowed: file:///path, or file:./path relative to the configuration file"
_LATER_URLS = ("s3",)
_LATER_FORMATS = ("parquet", "jsonl")
_LATER_CODECS = ("snappy", "zstandard", "bzip2", "xz")


class LakeConfig(SinkConfig):
    """Avro files in Hive partitions by hour, on a file system."""

    type: Literal["lake"]
    url: str
    """`file:///path`, or `file:./path` relative to the configuration file. %-escapes are decoded (RFC 8089)."""
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

    @field_validator("url")
    @classmethod
    def _known_url(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme in _LATER_URLS:
            raise ValueError(f"{parts.scheme}:// is not in this version; {_URLS}")
        if parts.scheme != "file" or not parts.path or parts.query or parts.fragment:
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

    def check_tables(self, tables: Sequence[str]) -> None:
        for table in tables:
            if table.casefold() == OWN_FOLDER:
                raise ValueError(
                    f"the lake keeps its own files in {OWN_FOLDER}/: it cannot take the table {table}"
                )

    def folder(self, base: Path) -> Path:
        """Where `url` points to; `base` is the folder of the configuration file."""
        return base / unquote(urlsplit(self.url).path)


def _build(config: LakeConfig, context: SinkContext) -> Sink:
    from connectors.lake.sink import LakeSink

    return LakeSink(config, context)


def _probe(config: LakeConfig, context: SinkContext) -> Sequence[str]:
    from connectors.lake.probe import probe

    return probe(config.folder(context.base))


CONNECTOR = SinkConnector(LakeConfig, _build, _probe, envelope="flat", needs_new_image=True)
