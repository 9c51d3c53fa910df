import logging
import sys
import threading
from collections.abc import Iterator

import pytest
import structlog

from cdc.observe.log import FOREIGN


@pytest.fixture
def restored() -> Iterator[None]:
    """Logging and the hooks are the process's own: put back what `configure` changes."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    levels = {name: logging.getLogger(name).level for name in FOREIGN}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    for name, was in levels.items():
        logging.getLogger(name).setLevel(was)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()
