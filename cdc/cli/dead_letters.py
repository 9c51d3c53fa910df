"""`cdc dead-letters`: what sinks could not be given."""

import sys
from typing import Annotated

import typer

from cdc.cli.conventions import ConfigPath, Json, fail, leave, print_json, reports_errors

dead_letters_app = typer.Typer(
    help="Changes that a sink refused: list them, show one, send them again.", no_args_is_help=True
)

OfSink = Annotated[str | None, typer.Option("--sink", help="Only those of this sink.")]
OfTable = Annotated[str | None, typer.Option("--table", help="Only those of this table.")]


@dead_letters_app.command("list")
@reports_errors
def dead_letters_list(
    config: ConfigPath, sink: OfSink = None, table: OfTable = None, as_json: Json = False
) -> None:
    """What was put aside, a line each, without values of items. Also beside a running process."""
    from cdc import config as configuration
    from cdc.observe.letters import letter_as_json, print_letters
    from cdc.runtime.replay import Selection, kept

    letters = kept(configuration.load(config), Selection(sink=sink, table=table))
    if as_json:
        print_json([letter_as_json(letter, record=False) for letter in letters])
    else:
        print_letters(letters)


@dead_letters_app.command("show")
@reports_errors
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
        print_json(letter_as_json(letter, record=True))
    else:
        print(letter_text(letter))


@dead_letters_app.command("replay")
@reports_errors
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
        fail(2, "name the dead letters to replay, or all of them with --all")
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
            print_json([{"id": r.letter.id, "replayed": not r.problem, "problem": r.problem} for r in told])
    refused = sum(bool(replayed.problem) for replayed in told)
    if refused:
        sys.stderr.write(f"cdc: {refused} of {len(told)} dead letters stay what they are: see the reasons\n")
    if left:
        leave(1 if refused else 0)
    raise typer.Exit(1 if refused else 0)
