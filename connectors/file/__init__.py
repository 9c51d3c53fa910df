"""Changes as lines of JSON, appended to a file: to look at, to test, to feed a tool that reads lines. At least once."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from cdc.connector import SinkConfig, SinkConnector, SinkContext
from connectors.file.appender import examine
from connectors.file.sink import FileSink


class FileConfig(SinkConfig):
    """JSON lines, appended to a file."""

    type: Literal["file"]
    path: Path
    """The file; its folder exists. Relative to the configuration file. It may be moved away (rotated) at any time."""
    flush_after_seconds: Annotated[float, Field(gt=0, le=60)] = 0.2
    """How long changes may wait for others, so that one fsync makes many of them durable."""


def _build(config: FileConfig, context: SinkContext) -> FileSink:
    return FileSink(
        config.name,
        context.base / config.path,
        flush_after_seconds=config.flush_after_seconds,
        executor=context.executor,
    )


def _probe(config: FileConfig, context: SinkContext) -> Sequence[str]:
    return examine(context.base / config.path)


CONNECTOR = SinkConnector(FileConfig, _build, _probe, envelope=None)
