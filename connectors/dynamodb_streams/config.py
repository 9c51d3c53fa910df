"""The keys of `source:` for `type: dynamodb-streams`."""

import re
from typing import Any, Literal

from pydantic import field_validator

from cdc.connector import AwsAccess, EndpointUrl, SourceConfig

_TABLE = re.compile(r"[a-zA-Z0-9_.-]{3,255}")
"""A table's name (Developer Guide, Naming Rules)."""

_LATER = ("snapshot",)
"""Values of `start` that the design has and this version does not."""


class DynamoDBStreamsConfig(AwsAccess, SourceConfig):
    """Credentials come from the SDK's usual places: environment, profile, container, instance."""

    type: Literal["dynamodb-streams"]
    streams_endpoint_url: EndpointUrl | None = None
    """Where the Streams API answers, if elsewhere than `endpoint_url`."""

    @field_validator("start", mode="before")
    @classmethod
    def _of_this_version(cls, value: Any) -> Any:
        if isinstance(value, str) and value in _LATER:
            raise ValueError(f"start: {value} is not in this version")
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
