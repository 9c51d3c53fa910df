"""Where a configuration was read: what its validators and its later messages need to know of the file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, ValidationInfo

from cdc.config.problems import Problems
from cdc.connector import AnySinkConnector, AnySourceConnector


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a configuration was read, and the connectors of its source and sinks."""

    base: Path
    problems: Problems
    source: AnySourceConnector | None = None
    sinks: tuple[tuple[str, AnySinkConnector], ...] = ()
    """Type and connector, in the order of `Config.sinks`."""


def _from_base(path: Path, info: ValidationInfo) -> Path:
    if not path.name:
        raise ValueError("is no path of a file or folder")
    return info.context.base / path if isinstance(info.context, Origin) else path


BasedPath = Annotated[Path, AfterValidator(_from_base)]
"""A path that is relative to the folder of the configuration file; absolute after loading."""
