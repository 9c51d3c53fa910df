"""What all commands share: arguments, errors, output."""

import importlib.metadata
import json
import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, NoReturn, ParamSpec, TypeVar

import typer

from cdc.errors import CdcError, ConfigError, ErrorKind

ConfigPath = Annotated[Path, typer.Argument(metavar="CONFIG", help="The configuration file (YAML).")]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]

P = ParamSpec("P")
R = TypeVar("R")


def reports_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Errors with a known cause end with their message and remedy; all others with a traceback."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except CdcError as error:
            # Saved state that cannot be read is as wrong the next time, and nothing of it was changed.
            mended_first = isinstance(error, ConfigError) or error.kind is ErrorKind.STATE_FORMAT
            fail(2 if mended_first else 1, error.message, error.remedy)

    return wrapped


def fail(code: int, message: str, remedy: str = "") -> NoReturn:
    sys.stderr.write(f"cdc: {message}\n")
    if remedy:
        sys.stderr.write(f"     remedy: {remedy}\n")
    raise typer.Exit(code)


def leave(code: int) -> NoReturn:
    """Ends the process also where threads hang in a call to the outside."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def not_in_this_version(what: str) -> NoReturn:
    fail(2, f"{what}: not in this version, which is {importlib.metadata.version('dynamodb-cdc')}")


def print_json(value: object) -> None:
    print(json.dumps(value, indent=2))
