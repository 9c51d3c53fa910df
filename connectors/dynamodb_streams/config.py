"""The keys of `source:` for `type: dynamodb-streams`."""

import re
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import field_validator

from cdc.connector import AwsAccess, SourceConfig

_TABLE = re.compile(r"[a-zA-Z0-9_.-]{3,255}")
"""A table's name (Developer Guide, Naming Rules)."""

_LATER = {"start": ("snapshot",), "on_gap": ("snapshot", "skip")}
"""Values that the design has and this version does not."""


class DynamoDBStreamsConfig(AwsAccess, SourceConfig):
    """Credentials come from the SDK's usual places: environment, profile, container, instance."""

    type: Literal["dynamodb-streams"]
    streams_endpoint_url: str | None = None
    """Where the Streams API answers, if elsewhere than `endpoint_url`."""

    @field_validator("start", "on_gap", mode="before")
    @classmethod
    def _of_this_version(cls, value: Any, info: Any) -> Any:
        if isinstance(value, str) and value in _LATER[info.field_name]:
            raise ValueError(f"{info.field_name}: {value} is not in this version")
        return value

    @field_validator("tables")
    @classmethod
    def _tables(cls, tables: tuple[str, ...]) -> tuple[str, ...]:
        for table in tables:
            if not _TABLE.fullmatch(table):
                raise ValueError(f"{table!r} is no table name: 3 to 255 of a-z, A-Z, 0-9, '_', '-' and '.'")
        if len(set(tables)) < len(tables):
            raise ValueError("a table stands here twice")
        return tables

    @field_validator("endpoint_url", "streams_endpoint_url")
    @classmethod
    def _url(cls, url: str | None) -> str | None:
        if url is not None:
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError("expected http://HOST[:PORT] or https://HOST[:PORT]")
            if parts.username or parts.password:
                raise ValueError("credentials do not belong into a URL")
        return url
