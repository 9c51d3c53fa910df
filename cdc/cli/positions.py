"""`cdc positions`: what is saved."""

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cdc.cli.conventions import ConfigPath, Json, print_json, reports_errors

positions_app = typer.Typer(help="Saved positions: show, reset, export, import.", no_args_is_help=True)


class To(StrEnum):
    TRIM_HORIZON = "trim-horizon"
    LATEST = "latest"


@positions_app.command("show")
@reports_errors
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
        print_json(to_dict(loaded.pipeline, saved, at=SystemClock().now().wall))
    else:
        print_positions(saved)


@positions_app.command("reset")
@reports_errors
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


@positions_app.command("export")
@reports_errors
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
        print_json(exported.document)
    else:
        write_export(output, json.dumps(exported.document, indent=2).encode() + b"\n")
    if exported.warning:
        sys.stderr.write(f"cdc: {exported.warning}\n")


@positions_app.command("import")
@reports_errors
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
