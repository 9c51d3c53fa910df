import subprocess
import sys
from collections.abc import Callable

import pytest

from cdc.errors import ErrorKind, StateError
from cdc.observe.crash import crash_report, describe
from tests.unit.observe.faults import FAULTS, SECRET, caught, caused, during_another, endless, group, os_error


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_report_says_where_and_what_and_no_value(fault: Callable[[], None]) -> None:
    error = caught(fault)
    report = crash_report(error)
    assert SECRET not in report
    assert type(error).__qualname__ in report.splitlines()[-1] or isinstance(error, ExceptionGroup)
    assert "faults.py" in report
    assert fault.__name__ in report or fault is endless


def test_the_chain_is_there_with_our_own_messages_alone() -> None:
    report = crash_report(caught(caused))
    first, second = report.split("The above exception was the direct cause of the following exception:")
    assert first.rstrip().endswith("KeyError")
    assert "item[SECRET]" in first
    assert "cdc.errors.SinkError: [unavailable] sink bus at host:9092 is gone (look there)" in second


def test_what_happened_while_another_was_handled_is_told_apart() -> None:
    first, second = crash_report(caught(during_another)).split("During handling of the above exception")
    assert first.rstrip().endswith("KeyError")
    assert second.rstrip().endswith("ValueError")


def test_all_members_of_a_group_are_reported() -> None:
    report = crash_report(caught(group))
    assert "member 1 of 2" in report
    assert "member 2 of 2" in report
    assert "sink bus at host:9092 is gone" in report


def test_a_suppressed_context_stays_away() -> None:
    error = ValueError()
    error.__context__ = KeyError()
    assert "KeyError" in crash_report(error)
    error.__suppress_context__ = True
    assert "KeyError" not in crash_report(error)


def test_a_circle_of_causes_ends() -> None:
    one, two = ValueError(), KeyError()
    one.__cause__, two.__cause__ = two, one
    assert crash_report(one).count("KeyError") == 1


def test_a_runaway_recursion_is_short() -> None:
    assert len(crash_report(caught(endless)).splitlines()) < 150


def test_one_line() -> None:
    assert describe(caught(os_error)) == "FileNotFoundError [ENOENT]"
    assert describe(KeyError(SECRET)) == "KeyError"
    assert describe(StateError(ErrorKind.NOT_OWNER, "p")) == "cdc.errors.StateError: [not-owner] p"


PROGRAM = """
import gc, sys, threading
from cdc.observe.crash import install_crash_hooks
from cdc.observe.log import configure
from tests.unit.observe.faults import SECRET, during_another, key_error

class Odd:
    def __repr__(self): return SECRET
    def __del__(self): key_error()

mode = sys.argv[1]
install_crash_hooks() if mode == "bare" else configure("debug", mode)
odd = Odd()
del odd
gc.collect()
thread = threading.Thread(target=during_another, name=f"cdc-worker")
thread.start()
thread.join()
leaves = threading.Thread(target=sys.exit)
leaves.start()
leaves.join()
if mode == "closed":
    sys.stderr.close()
during_another()
"""


@pytest.mark.parametrize("mode", ["bare", "json", "console"])
def test_nobody_catches_it(mode: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, mode], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert SECRET not in done.stderr
    for event in ("exception ignored", "thread crashed", "crashed"):
        assert event in done.stderr
    assert "cdc-worker" in done.stderr
    assert "Odd.__del__" in done.stderr
    assert done.stderr.count("ValueError") == 2
    assert "SystemExit" not in done.stderr


BROKEN = """
import sys, logging
from cdc.observe.log import configure
from tests.unit.observe.faults import during_another
configure("debug", "json")
{fault}
during_another()
"""


@pytest.mark.parametrize(
    "fault",
    ["sys.stderr.close()", "import os; os.close(2)", "import cdc.observe.crash as c; c.crash_report = None"],
)
def test_a_report_that_fails_gives_no_value_away(fault: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BROKEN.format(fault=fault)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode != 0
    assert SECRET not in done.stderr
    if "report" in fault:
        assert "crashed: ValueError, not reported: TypeError" in done.stderr
