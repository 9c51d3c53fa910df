"""Connectors that exist only in these tests, and a file that is right."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, SecretStr

from cdc.config import Config, Connectors, load
from cdc.connector import (
    AnySinkConnector,
    ConfigModel,
    EnvelopeName,
    SinkConfig,
    SinkConnector,
    SourceConfig,
    SourceConnector,
)
from cdc.errors import ConfigError


class RiverConfig(SourceConfig):
    type: Literal["river"]
    region: str | None = None


class LimitsConfig(ConfigModel):
    per_second: Annotated[int, Field(ge=1, le=1000)] = 10


class BusConfig(SinkConfig):
    """A sink with one of each kind of key."""

    type: Literal["bus"]
    topic: str = "cdc.{table}"
    format: Literal["avro", "json"] = "avro"
    compress: bool = False
    password: SecretStr | None = None
    limits: LimitsConfig = LimitsConfig()
    partitions: int | tuple[int, ...] = 1
    properties: Mapping[str, str] = {}

    def check_tables(self, tables: Sequence[str]) -> None:
        if len(tables) > 1 and "{table}" not in self.topic:
            raise ValueError("several tables need {table} in topic")


class PlainConfig(SinkConfig):
    type: Literal["null"]


def unused(*_: object) -> Any:
    raise AssertionError("loading a configuration builds nothing")


def sink(config: type[SinkConfig], envelope: EnvelopeName | None) -> AnySinkConnector:
    return SinkConnector(config, unused, unused, envelope)


def broken() -> AnySinkConnector:
    raise ConfigError("its connector cannot be imported: No module named 'quux'; install what is missing")


RIVER = SourceConnector(RiverConfig, unused, unused)
BUS = sink(BusConfig, "debezium")
PLAIN = sink(PlainConfig, None)
CONNECTORS = Connectors(
    sources={"river": lambda: RIVER},
    sinks={"bus": lambda: BUS, "null": lambda: PLAIN, "broken": broken},
)

RIGHT = """\
version: 1
pipeline: orders
source:
  type: river
  tables: [orders]
sinks:
  - name: one
    type: bus
"""


class Folder:
    """A folder with one configuration file in it."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.file = base / "orders.yaml"

    def load(self, text: str | bytes, **environ: str) -> Config:
        self.file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load(self.file, environ=environ, connectors=CONNECTORS)

    def problems(self, text: str | bytes, **environ: str) -> list[str]:
        """What is said about the file, without its name: `LINE: KEY: ...`."""
        with pytest.raises(ConfigError) as caught:
            self.load(text, **environ)
        assert caught.value.__cause__ is None
        lines = caught.value.message.split("\n")
        assert all(line.startswith(f"{self.file}:") for line in lines)
        return [line.removeprefix(f"{self.file}:") for line in lines]
