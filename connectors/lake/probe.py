"""What `cdc check` can find out about a lake without changing anything."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from cdc.errors import ErrorKind, SinkError


def probe(root: Path) -> Sequence[str]:
    """
    Raises:
        SinkError: `ACCESS_DENIED` where this process may not write, `NOT_FOUND` where no folder can be.
    """
    existing = root
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir():
        raise SinkError(
            ErrorKind.NOT_FOUND,
            f"the lake {root} cannot be a folder: {existing} is not",
            remedy="name another `url`",
        )
    if not os.access(existing, os.W_OK | os.X_OK):
        raise SinkError(
            ErrorKind.ACCESS_DENIED,
            f"this process may not write to {existing}",
            remedy="give its user the right to write there, or name another `url`",
        )
    free = shutil.disk_usage(existing).free
    found = "is there" if existing == root else f"will be made in {existing}"
    return [f"folder {root} {found} and can be written", f"{free / 1e9:.1f} GB free"]
