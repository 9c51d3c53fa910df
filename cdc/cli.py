"""The command line. Exit codes: 0 done; 1 a failure while running; 2 bad usage or configuration; 3 a gap."""

import importlib.metadata
import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, NoReturn, ParamSpec, TypeVar

import typer

from cdc.errors import CdcError, ConfigError, ErrorKind

app = typer.Typer(
    name="cdc",
    help="Change data capture for DynamoDB: from its streams to Kafka, a data lake and replica tables.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)
positions_app = typer.Typer(help="Saved positions: show, reset, export, import.", no_args_is_help=True)
schema_app = typer.Typer(help="Schemas of the configuration and of tables.", no_args_is_help=True)
dead_letters_app = typer.Typer(
    help="Changes that a sink refused: list them, show one, send them again.", no_args_is_help=True
)
app.add_typer(positions_app, name="positions")
app.add_typer(schema_app, name="schema")
app.add_typer(dead_letters_app, name="dead-letters")

P = ParamSpec("P")
R = TypeVar("R")

ConfigPath = Annotated[Path, typer.Argument(metavar="CONFIG", help="The configuration file (YAML).")]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
OfSink = Annotated[str | None, typer.Option("--sink", help="Only those of this sink.")]
OfTable = Annotated[str | None, typer.Option("--table", help="Only those of this table.")]


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


class To(StrEnum):
    TRIM_HORIZON = "trim-horizon"
    LATEST = "latest"


def main() -> NoReturn:
    """The command `cdc`."""
    from cdc.observe.crash import crash_report, install_crash_hooks

    install_crash_hooks()
    try:
        app()
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001 - the last one to see it: printed without what could be secret
        sys.stderr.write(crash_report(error))
        _leave(1)
    _leave(0)


def _reports_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Errors with a known cause end with their message and remedy; all others with a traceback."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except CdcError as error:
            # Saved state that cannot be read is as wrong the next time, and nothing of it was changed.
            mended_first = isinstance(error, ConfigError) or error.kind is ErrorKind.STATE_FORMAT
            _fail(2 if mended_first else 1, error.message, error.remedy)

    return wrapped


def _fail(code: int, message: str, remedy: str = "") -> NoReturn:
    sys.stderr.write(f"cdc: {message}\n")
    if remedy:
        sys.stderr.write(f"     remedy: {remedy}\n")
    raise typer.Exit(code)


def _leave(code: int) -> NoReturn:
    """Ends the process also where threads hang in a call to the outside."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _not_in_this_version(what: str) -> NoReturn:
    _fail(2, f"{what}: not in this version, which is {importlib.metadata.version('dynamodb-cdc')}")


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=2))


@app.command()
@_reports_errors
def run(
    config: ConfigPath,
    until_caught_up: Annotated[
        bool, typer.Option(help="End when everything that can be read is delivered.")
    ] = False,
    runtime: Annotated[Runtime, typer.Option(help="local, or kcl for many machines.")] = Runtime.LOCAL,
    log_level: Annotated[LogLevel, typer.Option(help="Logs go to stderr.")] = LogLevel.INFO,
    log_format: Annotated[
        LogFormat, typer.Option(help="auto: json, unless stderr is a terminal.")
    ] = LogFormat.AUTO,
) -> None:
    """Run a pipeline until it is stopped."""
    if runtime is not Runtime.LOCAL:
        _not_in_this_version(f"--runtime {runtime.value}")
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
        _leave(stop.exit_code)
    raise typer.Exit(stop.exit_code)


@app.command()
@_reports_errors
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
        _print_json(to_dict(report))
    else:
        print_check(report)
    for part, problem in report.problems():
        remedy = f"\n     remedy: {problem.remedy}" if problem.remedy else ""
        sys.stderr.write(f"cdc: {part}: {problem.text}{remedy}\n")
    if not report.ok:
        raise typer.Exit(2)


@app.command()
@_reports_errors
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
            _print_json(to_dict(report))
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


@positions_app.command("show")
@_reports_errors
def positions_show(config: ConfigPath, as_json: Json = False) -> None:
    """What is saved: one line for each sink and shard."""
    from cdc import config as configuration
    from cdc.observe.positions import to_dict
    from cdc.observe.text import print_positions
    from cdc.runtime.clock import SystemClock
    from cdc.runtime.positions import load

    loaded = configuration.load(config)
    saved = load(loaded)
    if as_json:
        _print_json(to_dict(loaded.pipeline, saved, at=SystemClock().now().wall))
    else:
        print_positions(saved)


@positions_app.command("reset")
@_reports_errors
def positions_reset(
    config: ConfigPath,
    sink: Annotated[str, typer.Option(help="The sink that goes on from there; the others are not touched.")],
    to: Annotated[To, typer.Option(help="The oldest record that there is, or only what comes from now on.")],
    shard: Annotated[str | None, typer.Option(help="Default: every shard that waits for a decision.")] = None,
    table: Annotated[str | None, typer.Option(help="Tells shards of the same name apart.")] = None,
) -> None:
    """Decide where a sink goes on: after a gap, or to deliver again. The pipeline must not be running."""
    from cdc import config as configuration
    from cdc.runtime.clock import SystemClock
    from cdc.runtime.positions import reset

    for done in reset(
        configuration.load(config), sink=sink, shard=shard, to=to.value, clock=SystemClock(), table=table
    ):
        print(f"{done.sink} {done.shard.shard}: {done.to}; positions of {done.dropped} descendants dropped")


@dead_letters_app.command("list")
@_reports_errors
def dead_letters_list(
    config: ConfigPath, sink: OfSink = None, table: OfTable = None, as_json: Json = False
) -> None:
    """What was put aside, a line each, without values of items. Also beside a running process."""
    from cdc import config as configuration
    from cdc.observe.letters import letter_as_json, print_letters
    from cdc.runtime.replay import Selection, kept

    letters = kept(configuration.load(config), Selection(sink=sink, table=table))
    if as_json:
        _print_json([letter_as_json(letter, record=False) for letter in letters])
    else:
        print_letters(letters)


@dead_letters_app.command("show")
@_reports_errors
def dead_letters_show(
    config: ConfigPath,
    id: Annotated[str, typer.Argument(metavar="ID", help="As `list` has it.")],  # noqa: A002
    as_json: Json = False,
) -> None:
    """All of one dead letter, with the record: what it prints are an item's values."""
    from cdc import config as configuration
    from cdc.observe.letters import letter_as_json, letter_text
    from cdc.runtime.replay import Selection, kept

    (letter,) = kept(configuration.load(config), Selection([id]))
    if as_json:
        _print_json(letter_as_json(letter, record=True))
    else:
        print(letter_text(letter))


@dead_letters_app.command("replay")
@_reports_errors
def dead_letters_replay(
    config: ConfigPath,
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="As `list` has them.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every one that is open.")] = False,
    sink: OfSink = None,
    table: OfTable = None,
    force: Annotated[
        bool, typer.Option(help="Also where an older state could come after a newer one, or once more.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Send dead letters to their sinks again, and mark those that were taken. The pipeline must not be running."""
    if bool(ids) == everything:
        _fail(2, "name the dead letters to replay, or all of them with --all")
    from cdc import config as configuration
    from cdc.observe.log import configure
    from cdc.runtime.clock import SystemClock
    from cdc.runtime.replay import Selection, replay
    from cdc.runtime.resend import Replayed

    configure("warning", "auto")
    told: list[Replayed] = []

    def tell(replayed: Replayed) -> None:
        told.append(replayed)
        if not as_json:
            letter = replayed.letter
            became = f"refused: {replayed.problem}" if replayed.problem else "replayed"
            print(f"{letter.id} {letter.sink} {letter.table}: {became}", flush=True)

    selection = Selection(ids or (), sink, table)
    try:
        left = replay(configuration.load(config), selection, force=force, clock=SystemClock(), tell=tell)
    finally:
        if as_json:
            _print_json([{"id": r.letter.id, "replayed": not r.problem, "problem": r.problem} for r in told])
    refused = sum(bool(replayed.problem) for replayed in told)
    if refused:
        sys.stderr.write(f"cdc: {refused} of {len(told)} dead letters stay what they are: see the reasons\n")
    if left:
        _leave(1 if refused else 0)
    raise typer.Exit(1 if refused else 0)


@positions_app.command("export")
@_reports_errors
def positions_export(
    config: ConfigPath,
    output: Annotated[Path | None, typer.Option(help="The file to write; default: standard output.")] = None,
) -> None:
    """Everything that is saved, as a file: for a backup, or for another state store. Changes nothing."""
    from cdc import config as configuration
    from cdc.runtime.clock import SystemClock
    from cdc.runtime.transfer import export_positions, write_export

    exported = export_positions(configuration.load(config), SystemClock())
    if output is None:
        _print_json(exported.document)
    else:
        write_export(output, json.dumps(exported.document, indent=2).encode() + b"\n")
    if exported.warning:
        sys.stderr.write(f"cdc: {exported.warning}\n")


@positions_app.command("import")
@_reports_errors
def positions_import(
    config: ConfigPath,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `export` wrote.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Instead of the positions that there are.")
    ] = False,
) -> None:
    """Put exported positions into the configured state store. The pipeline must not be running."""
    from cdc import config as configuration
    from cdc.runtime.clock import SystemClock
    from cdc.runtime.transfer import import_positions

    done = import_positions(configuration.load(config), file, replace=replace, clock=SystemClock())
    print(f"{done.positions} positions of {', '.join(done.sinks)}")
    for sentence in done.meaning:
        print(sentence)


@schema_app.command("config")
def schema_config() -> None:
    """The JSON Schema of the configuration."""
    from cdc.config import json_schema

    _print_json(json_schema())


@app.command()
@_reports_errors
def demo(
    keep: Annotated[bool, typer.Option(help="Leave the files, and say where.")] = False,
    plain: Annotated[bool, typer.Option(help="Plain lines instead of a live screen.")] = False,
    events: Annotated[int, typer.Option(min=300, help="How many changes to make.")] = 3000,
) -> None:
    """See it work, and see the proof. Needs the extra `demo`, and nothing else."""
    try:
        from cdc.demo import run as run_demo
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] in ("cdc", "connectors", "schemas"):
            raise
        _fail(2, f"the demonstration needs {error.name}", "pip install 'dynamodb-cdc[demo]'")
    raise typer.Exit(run_demo(keep=keep, plain=plain, events=events))


@app.command()
def version() -> None:
    """The version of this program."""
    print(importlib.metadata.version("dynamodb-cdc"))


_ANYTHING: dict[str, Any] = {"allow_extra_args": True, "ignore_unknown_options": True}


def _announced(group: typer.Typer, name: str, full_name: str) -> None:
    """A command that a later version has: refused by its name."""

    @group.command(name, context_settings=_ANYTHING, hidden=True)
    def refuse() -> None:
        _not_in_this_version(f"cdc {full_name}")


for _group, _name, _full_name in (
    (app, "snapshot", "snapshot"),
    (app, "sim", "sim"),
    (positions_app, "forget", "positions forget"),
    (schema_app, "infer", "schema infer"),
):
    _announced(_group, _name, _full_name)
