"""Changes on standard output, to look at: a line each for people on a terminal, JSON elsewhere. At least once.

This sink shows the values of items: that is what it is for.
"""

from collections.abc import Sequence
from typing import Literal

from cdc.connector import SinkConfig, SinkConnector, SinkContext
from connectors.console.sink import ConsoleSink


class ConsoleConfig(SinkConfig):
    """Lines on standard output, to look at. Shows values of items."""

    type: Literal["console"]
    format: Literal["auto", "text", "json"] = "auto"
    """`auto`: text on a terminal, JSON (`schemas/file-line.schema.json`) elsewhere."""


def _build(config: ConsoleConfig, context: SinkContext) -> ConsoleSink:
    return ConsoleSink(config.name, config.format)


def _probe(config: ConsoleConfig, context: SinkContext) -> Sequence[str]:
    return ["writes to standard output, values included"]


CONNECTOR = SinkConnector(ConsoleConfig, _build, _probe, envelope=None)
