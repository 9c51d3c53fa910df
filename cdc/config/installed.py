"""The connectors that are installed, by type; each is imported when a configuration uses it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar

from cdc.connector import AnySinkConnector, AnySourceConnector, SinkConnector, SourceConnector
from cdc.errors import ConfigError

C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class Connectors:
    """What `type` can be. A call imports the connector.

    Raises (by the call):
        ConfigError: something that the connector imports is missing, or it is none.
    """

    sources: Mapping[str, Callable[[], AnySourceConnector]]
    sinks: Mapping[str, Callable[[], AnySinkConnector]]


def installed() -> Connectors:
    """The connectors under the entry points `cdc.sources` and `cdc.sinks`. Imports none of them."""
    return Connectors(
        sources={
            name: _importer(points, SourceConnector)
            for name, points in _by_name(entry_points(group="cdc.sources"))
        },
        sinks={
            name: _importer(points, SinkConnector)
            for name, points in _by_name(entry_points(group="cdc.sinks"))
        },
    )


def _by_name(points: Iterable[EntryPoint]) -> list[tuple[str, list[EntryPoint]]]:
    grouped: dict[str, dict[str, EntryPoint]] = {}
    for point in points:
        grouped.setdefault(point.name, {})[point.value] = point
    return [(name, list(grouped[name].values())) for name in sorted(grouped)]


def _importer(points: list[EntryPoint], kind: type[C]) -> Callable[[], C]:
    def load() -> C:
        if len(points) > 1:
            values = " and ".join(point.value for point in points)
            raise ConfigError(f"two connectors have this type: {values}; uninstall one of them")
        [point] = points
        try:
            connector = point.load()
        except ImportError as error:
            raise ConfigError(
                f"its connector cannot be imported: {error}; install what is missing"
            ) from error
        if not isinstance(connector, kind):
            raise ConfigError(f"the entry point {point.value} is no {kind.__name__}")
        return connector

    return load
