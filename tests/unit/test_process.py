import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cdc import process
from cdc.ports import Owner
from cdc.process import is_dead, started_ps, this_process

LINUX = sys.platform == "linux"


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        yield child
        child.kill()


def owner_of(pid: int) -> Owner:
    started = process._started(pid)
    assert started is not None
    return replace(this_process(), pid=pid, process_started=started)


def test_a_living_process_is_not_dead(child: subprocess.Popen[bytes]) -> None:
    assert not is_dead(this_process())
    assert not is_dead(owner_of(child.pid))
    assert not is_dead(owner_of(1))


def test_a_killed_process_is_dead_before_and_after_somebody_waits_for_it(
    child: subprocess.Popen[bytes],
) -> None:
    owner = owner_of(child.pid)
    child.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # a zombie now
    assert is_dead(owner)
    child.wait()
    assert is_dead(owner)


def test_another_process_with_the_pid_is_not_the_owner(child: subprocess.Popen[bytes]) -> None:
    owner = owner_of(child.pid)
    assert is_dead(replace(owner, process_started=f"{owner.process_started}0"))


@pytest.mark.skipif(not LINUX, reason="boots and pid namespaces have names on Linux alone")
@pytest.mark.parametrize("part", [0, 1])
def test_a_process_of_another_container_or_boot_cannot_be_judged(part: int) -> None:
    """Two pods may have one host name, and each a process 1."""
    parts = this_process().process_started.split("/")
    parts[part] = "another"
    elsewhere = replace(this_process(), pid=999_999_999, process_started="/".join(parts))
    assert not is_dead(elsewhere)
    assert is_dead(replace(this_process(), pid=999_999_999))


def test_a_process_on_another_host_cannot_be_judged() -> None:
    assert not is_dead(replace(this_process(), host="elsewhere.invalid", pid=999_999_999))


def test_a_name_with_blanks_and_parentheses_does_not_hide_the_start(tmp_path: Path) -> None:
    """proc(5): the second field of `stat` is the name, as it is."""
    program = tmp_path / "a) Z 1"
    program.symlink_to("/bin/cat")
    with subprocess.Popen([program], stdin=subprocess.PIPE) as odd:
        owner = owner_of(odd.pid)
        assert owner.process_started.rpartition("/")[2].isdigit() == LINUX
        assert not is_dead(owner)
        odd.kill()


@pytest.mark.skipif(not Path("/bin/ps").exists(), reason="no ps here")
def test_where_there_is_no_proc_ps_tells(
    child: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(process, "_PROC", tmp_path)
    owner = owner_of(child.pid)
    assert not is_dead(owner)
    assert is_dead(replace(owner, process_started="Thu Jan  1 00:00:00 1970"))
    child.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert started_ps(child.pid) == "ended"
    assert is_dead(owner)
    child.wait()
    assert started_ps(child.pid) is None
    assert is_dead(owner)
