"""`cdc run`, `check` and `status`: a pipeline as a whole."""

import sys
import time
from contextlib import suppress
from enum import StrEnum
from typing import Annotated

import typer

from cdc.cli.conventions import ConfigPath, Json, leave, not_in_this_version, print_json, reports_errors


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    AUTO = "auto"
    JSON = "json"
    CONSOLE = "console"


class Runtime(StrEnum):
    LOCAL = "local"
    KCL = "kcl"


@reports_errors
def run(
    config: ConfigPath,
    until_caught_up: Annotated[
        bool, typer.Option(help="End when everything that can be read is delivered.")
    ] = False,
    runtime: Annotated[
        Runtime, typer.Option(help="local: one process. More are not in this version.")
    ] = Runtime.LOCAL,
    log_level: Annotated[LogLevel, typer.Option(help="Logs go to stderr.")] = LogLevel.INFO,
    log_format: Annotated[
        LogFormat, typer.Option(help="auto: json, unless stderr is a terminal.")
    ] = LogFormat.AUTO,
) -> None:
    """Run a pipeline until it is stopped."""
    if runtime is not Runtime.LOCAL:
        not_in_this_version(f"--runtime {runtime.value}")
    from cdc import config as configuration
    from cdc.observe.log import configure
    from cdc.runtime.app import run as run_pipeline

    configure(log_level.value, log_format.value)
    outcome = run_pipeline(configuration.load(config), until_caught_up=until_caught_up)
    stop = outcome.stop
    if stop.exit_code:
        sys.stderr.write(f"cdc: {stop.reason}\n" + (f"     remedy: {stop.remedy}\n" if stop.remedy else ""))
    if outcome.left_behind:
        sys.stderr.write(f"cdc: left hanging in calls to the outside: {', '.join(outcome.left_behind)}\n")
        leave(stop.exit_code)
    raise typer.Exit(stop.exit_code)


@reports_errors
def check(config: ConfigPath, as_json: Json = False) -> None:
    """Look whether a run would work, with read-only calls: parts, permissions, estimates. Changes nothing."""
    from cdc import config as configuration
    from cdc.observe.check import to_dict
    from cdc.observe.log import configure
    from cdc.observe.text import print_check
    from cdc.runtime.checks import check as check_pipeline
    from cdc.runtime.clock import SystemClock

    configure("warning", "auto")
    report = check_pipeline(configuration.load(config), SystemClock())
    if as_json:
        print_json(to_dict(report))
    else:
        print_check(report)
    for part, problem in report.problems():
        remedy = f"\n     remedy: {problem.remedy}" if problem.remedy else ""
        sys.stderr.write(f"cdc: {part}: {problem.text}{remedy}\n")
    if not report.ok:
        raise typer.Exit(2)


@reports_errors
def status(
    config: ConfigPath,
    as_json: Json = False,
    watch: Annotated[bool, typer.Option(help="Again every two seconds, until interrupted.")] = False,
) -> None:
    """Positions, lag, retention headroom, gaps and dead letters."""
    from rich.console import Console

    from cdc import config as configuration
    from cdc.observe.document import to_dict
    from cdc.observe.page import render, to_text
    from cdc.runtime.clock import SystemClock
    from cdc.runtime.inspection import current_report

    loaded = configuration.load(config)

    def show() -> None:
        report = current_report(loaded, SystemClock())
        if as_json:
            print_json(to_dict(report))
            return
        console = Console()
        if watch and console.is_terminal:
            console.clear()
        console.print(render(report)) if console.is_terminal else print(to_text(report))

    show()
    with suppress(KeyboardInterrupt):
        while watch:
            time.sleep(2.0)
            show()
