"""python -m tests.mutants [NAME …] [--seeds 200] [--write-docs] [--recorded]

Runs the mutants, each before the simulation's seeds one by one until one of them catches it, and before its tests; and the
code as it is before the same seeds and tests. Prints what caught which. Ends with 1 if one survives.
"""

import argparse
import sys
import time
from collections.abc import Iterable, Sequence

from tests.mutants import record
from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import Mutant
from tests.mutants.record import Caught
from tests.mutants.trial import Trial, Verdict, hold_all

_MOST_SECONDS = 900.0
_OTHER_SEEDS = tuple(range(40))
"""Where the recorded seed does not catch it: a change of the code changes what happens at a seed."""
_SHARE = 10
"""Seeds of one trial of the code as it is."""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    mutants = [MUTANTS[name] for name in options.names] if options.names else list(MUTANTS.values())
    began = time.monotonic()
    if options.recorded:
        trials = [_as_recorded(mutant) for mutant in mutants]
    else:
        seeds = tuple(range(options.seeds))
        trials = [Trial(mutant, () if mutant.tests_only else seeds, mutant.tests) for mutant in mutants]
    verdicts = {}
    for verdict in hold_all(trials, processes=options.processes, most_seconds=_MOST_SECONDS):
        assert verdict.trial.mutant is not None
        verdicts[verdict.trial.mutant.name] = verdict
        print(_line(verdict), flush=True)
    wrong = [verdict for verdict in verdicts.values() if _fault(verdict)]
    if not options.recorded:
        wrong += _control(verdicts.values(), options.processes)
    caught = sum(not _fault(verdict) for verdict in verdicts.values())
    print(f"{caught} of {len(mutants)} mutants caught, in {time.monotonic() - began:.0f} s")
    if options.write_docs and not wrong:
        known = record.load() if options.names and record.RECORD.exists() else {}
        record.save(known | {name: _caught(verdict) for name, verdict in verdicts.items()})
    return 1 if wrong else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants")
    parser.add_argument("names", nargs="*", metavar="NAME", help="these; else all")
    parser.add_argument("--seeds", type=int, default=200, help="of the simulation, for each at most (200)")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--write-docs", action="store_true", help="note what caught which: docs/mutants.md")
    parser.add_argument(
        "--recorded",
        action="store_true",
        help="only what is noted to have caught it: the same again, quickly",
    )
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in MUTANTS]
    if unknown:
        parser.error(f"there is no mutant {', '.join(unknown)}; there are {', '.join(MUTANTS)}")
    return options


def _as_recorded(mutant: Mutant) -> Trial:
    """The seed that is noted, if there is one, else a test; what else there is, if that seed is about something else by
    now."""
    noted = record.load().get(mutant.name)
    seed = () if noted is None or noted.seed is None else (noted.seed,)
    others = () if mutant.tests else _OTHER_SEEDS
    return Trial(mutant, tuple(dict.fromkeys((*seed, *others))), mutant.tests[:1], once=True)


def _control(verdicts: Iterable[Verdict], processes: int) -> list[Verdict]:
    """The code as it is, on every seed and test that a mutant was caught by."""
    verdicts = list(verdicts)
    most = max((verdict.tried for verdict in verdicts), default=0)
    tests = tuple(dict.fromkeys(test for verdict in verdicts for test in verdict.trial.tests))
    trials = [
        *(Trial(None, tuple(range(first, min(first + _SHARE, most)))) for first in range(0, most, _SHARE)),
        *(Trial(None, tests=tests[first : first + _SHARE]) for first in range(0, len(tests), _SHARE)),
    ]
    wrong = []
    for verdict in hold_all(trials, processes=processes, most_seconds=_MOST_SECONDS):
        if verdict.is_caught or verdict.broken:
            wrong.append(verdict)
            print(f"THE CODE AS IT IS FAILS: {_line(verdict)}", flush=True)
    if not wrong:
        print(f"the code as it is passes the same {most} seeds and {len(tests)} tests")
    return wrong


def _fault(verdict: Verdict) -> str:
    """Why this does not count as caught; empty: it does."""
    mutant, trial = verdict.trial.mutant, verdict.trial
    assert mutant is not None
    survived = [test for test in trial.tests if test not in verdict.failed]
    if trial.seeds and verdict.seed is None:
        survived.insert(0, f"{verdict.tried} seeds")
    if verdict.broken:
        return verdict.broken
    if not verdict.is_caught or (survived and not trial.once):
        return f"SURVIVED {', '.join(survived)}"
    if verdict.seed is not None and not mutant.is_shown_by(verdict.said):
        return f"caught, but not for what it is ({mutant.shows}): {verdict.said}"
    return ""


def _line(verdict: Verdict) -> str:
    name = verdict.trial.mutant.name if verdict.trial.mutant is not None else "-"
    how = _fault(verdict) if verdict.trial.mutant is not None else verdict.broken
    if not how:
        by_seed = (
            "" if verdict.seed is None else f"seed {verdict.seed} ({verdict.tried}): {verdict.said[:100]}"
        )
        by_tests = [f"{test.rpartition('/')[2]}: {said[:60]}" for test, said in verdict.failed.items()]
        how = "; ".join(filter(None, [by_seed, *by_tests]))
    return f"{name:40} {verdict.seconds:6.1f} s  {how}"


def _caught(verdict: Verdict) -> Caught:
    said = verdict.said or next(iter(verdict.failed.values()))
    return Caught(verdict.seed, verdict.tried if verdict.seed is not None else 0, said)


if __name__ == "__main__":
    sys.exit(main())
