"""Each mutant is caught by what is noted to have caught it; `make mutants` is the long form.

A mutant survives: `python -m tests.mutants NAME` tells whether other seeds catch it; then `--write-docs` notes which.
"""

import subprocess
import sys

import pytest

from tests.mutants import record
from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import Edit, Mutant
from tests.mutants.patching import PatchError, sources


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=list(MUTANTS))
def test_every_patch_fits_the_code(mutant: Mutant) -> None:
    assert sources(mutant)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("no such text", ""),
        ("world", "w"),
        ("class Reading:", "class Reading:"),
        ("class Reading:", "class:"),
    ],
)
def test_a_patch_that_does_not_fit_is_no_mutant(old: str, new: str) -> None:
    with pytest.raises(PatchError):
        sources(Mutant("misfit", "", (Edit("cdc.core.reading", old, new),)))


@pytest.mark.timeout(600)
def test_every_mutant_is_caught() -> None:
    command = [sys.executable, "-m", "tests.mutants", "--recorded"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, "\n".join(
        line for line in done.stdout.splitlines() if "SURVIVED" in line
    ) + (done.stderr or done.stdout)
    assert f"{len(MUTANTS)} of {len(MUTANTS)} mutants caught" in done.stdout


def test_the_page_tells_what_is_noted() -> None:
    known = record.load()
    assert set(known) == set(MUTANTS), "make mutants MUTANTS_ARGS=--write-docs"
    assert record.PAGE.read_text("utf-8") == record.page(known), "make mutants MUTANTS_ARGS=--write-docs"
