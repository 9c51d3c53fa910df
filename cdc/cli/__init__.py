"""The command line. Exit codes: 0 done; 1 a failure while running; 2 bad usage or configuration; 3 a gap."""

import importlib.metadata
import sys
from typing import Annotated, Any, NoReturn

import typer

from cdc.cli.conventions import fail, leave, not_in_this_version, print_json, reports_errors
from cdc.cli.dead_letters import dead_letters_app
from cdc.cli.pipeline import check, run, status
from cdc.cli.positions import positions_app

app = typer.Typer(
    name="cdc",
    help="Change data capture for DynamoDB: from its streams to Kafka, a data lake and replica tables.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)
schema_app = typer.Typer(help="The schema of the configuration.", no_args_is_help=True)
for _command in (run, check, status):
    app.command()(_command)
app.add_typer(positions_app, name="positions")
app.add_typer(schema_app, name="schema")
app.add_typer(dead_letters_app, name="dead-letters")


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
        leave(1)
    leave(0)


@schema_app.command("config")
def schema_config() -> None:
    """The JSON Schema of the configuration."""
    from cdc.config import json_schema

    print_json(json_schema())


@app.command()
@reports_errors
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
        fail(2, f"the demonstration needs {error.name}", "pip install 'dynamodb-cdc[demo]'")
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
        not_in_this_version(f"cdc {full_name}")


for _group, _name, _full_name in (
    (app, "snapshot", "snapshot"),
    (app, "sim", "sim"),
    (positions_app, "forget", "positions forget"),
    (schema_app, "infer", "schema infer"),
):
    _announced(_group, _name, _full_name)
