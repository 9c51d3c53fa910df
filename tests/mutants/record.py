"""What the last long run found, and the page that tells it: `caught.json`, `docs/mutants.md`."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.mutants.catalogue import MUTANTS, PARTS
from tests.mutants.mutant import Mutant

RECORD = Path(__file__).with_name("caught.json")
PAGE = Path(__file__).parents[2] / "docs" / "mutants.md"

_HEAD = """\
# Mutants

What the tests are worth: the shipped code, broken on purpose in one place at a time. Each of these {count} mistakes is one that a
reader of DynamoDB Streams has made, or could; most look harmless, and some make everything faster. {by_whole} of them are caught by
the simulation at some seed, or by a [scenario](conformance.md) that is about it; the others by a test of the part, which is named.

`make mutants` breaks, runs and prints all of it, and runs the code as it is on the same seeds and tests, which has to pass. One
mutant alone: `make mutants MUTANTS_ARGS=child-at-read`. A mutant is a patch to the source of a module, made on its way into a process
of its own (`tests/mutants`): no file changes. `make test` proves with every change that each patch still fits, and that each
mutant is still caught.

*Seeds* is how many runs of the simulation it took, from seed 0 on; where there is none, the simulation cannot show it, or needs
longer than the test that is named. Behind *the simulation* stands the promise that was broken:

| What the simulation says | What happened |
|---|---|
| *passed over* | a sink was given what comes behind a change that it was owed and had not been given |
| *position ahead* | a position passed a change that is not durable |
| *child before parent* | a sink was given a shard before the end of its parent was durable there |
| *two unaccepted* | a second batch of a shard was given to a sink that had not accepted the first |
| *twice* | a change came again to a sink that keeps its positions |
| *start* | something was given before it was saved where the sink begins |
| *claim* | a sink was to take a shard over before it was open, or while batches of it were on their way, or was given one that it had not |
| *dead letter*, *dead letters* | a change was put aside that nobody refused; more were than a minute allows |
| *gap*, *gap told* | a loss was told where nothing was lost |
| *open and finished* | a shard counts as read to its end, and is open |
| *waits for another* | a sink that was up did not get in time what could be read |
| *not caught up* | in calm weather the rest was not delivered, or `--until-caught-up` ended otherwise than it should |
| *not saved* | what is durable at a sink was not saved in time |
| *two saves* | a save was sent before the one before it was answered |
| *fenced and goes on* | a process went on that another one had taken the pipeline over from |
| *stop*, *does not stop* | an orderly end took too long, or had another exit code than 0 |
| *call budget*, *iterators* | more calls, or more readers on a shard, than the service allows |
| *memory* | more is kept than there is a use for |
| *KeyError*, *ValueError* | the engine itself raised this exception |
"""


@dataclass(frozen=True, slots=True)
class Caught:
    """How one mutant was caught."""

    seed: int | None
    """Of the simulation; None: by tests alone."""
    seeds: int
    """That it took, the last one included."""
    said: str
    """By whoever caught it first."""


def load() -> dict[str, Caught]:
    return {name: Caught(**row) for name, row in json.loads(RECORD.read_text("utf-8")).items()}


def save(record: Mapping[str, Caught]) -> None:
    """Keeps the order of the catalogue."""
    rows = {name: asdict(record[name]) for name in MUTANTS if name in record}
    RECORD.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", "utf-8")
    PAGE.write_text(page(record), "utf-8")


def page(record: Mapping[str, Caught]) -> str:
    by_whole = sum(
        record[name].seed is not None or any(map(_is_scenario, mutant.tests))
        for name, mutant in MUTANTS.items()
    )
    parts = [_HEAD.format(count=len(MUTANTS), by_whole=by_whole)]
    for part in PARTS:
        title = (part.__doc__ or "").strip().rstrip(".")
        parts.append(
            f"\n## {title}\n\n| Mutant | What is wrong with it | Caught by | Seeds |\n|---|---|---|---|\n"
        )
        parts.extend(_rows(part.MUTANTS, record))
    return "".join(parts)


def _rows(mutants: Iterable[Mutant], record: Mapping[str, Caught]) -> Iterable[str]:
    for mutant in mutants:
        caught = record[mutant.name]
        by = [] if caught.seed is None else [f"the simulation: *{_promise(caught.said)}*"]
        by += [_of_test(test) for test in mutant.tests]
        seeds = "" if caught.seed is None else str(caught.seeds)
        yield f"| `{mutant.name}` | {mutant.why} | {'; '.join(by)} | {seeds} |\n"


def _of_test(test: str) -> str:
    path, _, name = test.partition("::")
    if _is_scenario(test):
        file = Path(path).stem
        return f"scenario {int(file[5:7])}" + (f" (`{name}`)" if name else "")
    return f"`{path}::{name}`"


def _is_scenario(test: str) -> bool:
    return test.startswith("tests/conformance/test_") and Path(test).name[5:7].isdigit()


def _promise(said: str) -> str:
    """The name of the promise that was broken."""
    return said.partition(": ")[0]
