import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from cdc.process import this_process
from connectors.state_sqlite import SqliteStateStore


@contextmanager
def process(state: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.sim.lease_holder", str(state)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        try:
            yield running
        finally:
            running.kill()


def hear(running: subprocess.Popen[str]) -> str:
    assert running.stdout is not None
    return running.stdout.readline().strip()


def tell(running: subprocess.Popen[str]) -> None:
    assert running.stdin is not None
    running.stdin.write("\n")
    running.stdin.flush()


def test_of_several_processes_that_come_at_once_one_is_the_owner(tmp_path: Path) -> None:
    """They make the file at once as well."""
    with ExitStack() as stack:
        running = [stack.enter_context(process(tmp_path / "state.db")) for _ in range(4)]
        assert [hear(one) for one in running] == ["open"] * 4
        for one in running:
            tell(one)
        assert sorted(hear(one) for one in running) == ["owner 1", "refused", "refused", "refused"]


def test_a_killed_owner_is_followed_at_once_and_what_it_saved_is_there(tmp_path: Path) -> None:
    state = tmp_path / "state.db"
    reader = SqliteStateStore(state, "pipeline", read_only=True)
    with process(state) as owner:
        assert hear(owner) == "open"
        tell(owner)
        assert hear(owner) == "owner 1"
        for number in range(1, 6):
            tell(owner)
            assert hear(owner) == f"saved {number}"
        held = reader.owner()
        assert held is not None
        assert held.pid == owner.pid
        owner.send_signal(signal.SIGKILL)
        assert reader.load().cursors[0].position.sequence == "5"  # with the log that it left
        store = SqliteStateStore(state, "pipeline")
        store.open()
        owner.wait()
        lease = store.acquire(this_process(), lease_seconds=15, now=held.heartbeat + 1)
        assert lease.epoch == 2
        assert store.load().cursors[0].position.sequence == "5"
        store.close()


def test_a_stopped_owner_is_not_dead(tmp_path: Path) -> None:
    with process(tmp_path / "state.db") as owner, process(tmp_path / "state.db") as other:
        assert [hear(owner), hear(other)] == ["open", "open"]
        tell(owner)
        assert hear(owner) == "owner 1"
        owner.send_signal(signal.SIGSTOP)
        tell(other)
        assert hear(other) == "refused"
