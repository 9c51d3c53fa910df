"""`python -m tests.services start [--if-possible] | stop | status`: the services that integration tests share."""

import argparse
import fcntl
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.services.environment import ENV_FILE, FOLDER, ROOT, SERVICES, required, write_env
from tests.services.records import DATA_PREFIX, Record, read_records, write_records
from tests.services.server import Server, ServerFailedError
from tests.services.unavailable import UnavailableError
from tests.services.way import Way, decision

FAILED, UNAVAILABLE, NOT_RUNNING = 1, 2, 3


def start(*, if_possible: bool) -> int:
    """Starts what does not run yet. 0, 1 (a server failed) or 2 (this machine cannot run one; see the remedy)."""
    try:
        decided = decision()
    except UnavailableError as unavailable:
        print(f"cannot run any service: {unavailable}", file=sys.stderr)
        return UNAVAILABLE
    print(decided)
    if decided.way is Way.CONTAINERS:
        from tests.services.containers import outlive_this_process

        outlive_this_process()
    records = {variable: record for variable, record in read_records().items() if _alive_or_removed(record)}
    for record in records.values():
        print(f"already running: {record.variable}={record.endpoint} ({record})")
    missing = [server for server in decided.servers if server.service.variable not in records]
    possible = []
    for server, reason in _prepare(missing):
        if reason is None:
            possible.append(server)
        elif required() or not if_possible:
            print(f"cannot run {server.service.name}: {reason}", file=sys.stderr)
            return UNAVAILABLE
        else:
            print(
                f"*** {server.service.name} IS NOT STARTED, ITS TESTS WILL BE SKIPPED: {reason}",
                file=sys.stderr,
            )
    try:
        _launch(possible, records)
    except ServerFailedError as failure:
        print(f"{failure}\n(log in {FOLDER})", file=sys.stderr)
        return FAILED
    return 0


def _prepare(servers: Sequence[type[Server]]) -> list[tuple[type[Server], UnavailableError | None]]:
    """Gets what they need, all at once: one is built while others are downloaded. Each with why it cannot run."""

    def prepare(server: type[Server]) -> UnavailableError | None:
        try:
            server.prepare()
        except UnavailableError as reason:
            return reason
        return None

    if not servers:
        return []
    with ThreadPoolExecutor(len(servers)) as threads:
        return list(zip(servers, threads.map(prepare, servers), strict=True))


def _launch(servers: Sequence[type[Server]], records: dict[str, Record]) -> None:
    began = time.monotonic()
    launched: list[Server] = []
    started = False
    try:
        for kind in servers:
            FOLDER.mkdir(exist_ok=True)
            directory = Path(tempfile.mkdtemp(prefix=DATA_PREFIX))
            server = kind(directory, log=FOLDER / f"{kind.__name__.lower()}.log")
            launched.append(server)
            server.launch()
            records[kind.service.variable] = server.record
            write_records(records)
        for server in launched:
            server.wait_ready()
            print(f"{server.service.name}: {server.endpoint}, {time.monotonic() - began:.1f} s")
        write_env({record.variable: record.endpoint for record in records.values()})
        started = True
    finally:
        if not started:
            for server in launched:
                server.discard()
                shutil.rmtree(server.directory)
                records.pop(server.service.variable, None)
            write_records(records)


def stop() -> int:
    """Ends what `start` started, nothing else, and removes their data, logs and `.services`. 0."""
    records = read_records()
    for record in records.values():
        if not record.alive:
            print(f"had ended already: {record.variable}={record.endpoint}")
        elif record.end():
            print(f"stopped: {record.variable}={record.endpoint}")
        else:
            print(f"killed, it did not stop when asked: {record.variable}={record.endpoint}", file=sys.stderr)
        record.remove()
    if not records:
        print("nothing to stop")
    if FOLDER.exists():
        shutil.rmtree(FOLDER)
    return 0


def status() -> int:
    """0 if all run, else 3, as `systemctl status` has it."""
    records = read_records()
    running = 0
    for service in SERVICES:
        record = records.get(service.variable)
        alive = record is not None and record.alive
        running += alive
        told = f"{record.endpoint} ({record})" if record and alive else "ended" if record else "not started"
        print(f"{service.name}: {told}")
    return 0 if running == len(SERVICES) else NOT_RUNNING


def _alive_or_removed(record: Record) -> bool:
    if record.alive:
        return True
    print(f"had ended: {record.variable}={record.endpoint}")
    record.remove()
    return False


@contextmanager
def _alone() -> Iterator[None]:
    """One `start` or `stop` of this checkout at a time. The lock is on its directory: nothing stays behind."""
    checkout = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(checkout, fcntl.LOCK_EX)
        yield
    finally:
        os.close(checkout)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.services", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    starting = commands.add_parser(
        "start", help=f"start what does not run yet, write {ENV_FILE.relative_to(ROOT)}"
    )
    starting.add_argument(
        "--if-possible",
        action="store_true",
        help="exit 0 where this machine cannot, unless CDC_REQUIRE_SERVICES=1",
    )
    commands.add_parser("stop", help="end them, remove their data")
    commands.add_parser("status", help="say what runs; exit 3 unless all do")
    chosen = parser.parse_args(arguments)
    with _alone():
        if chosen.command == "start":
            return start(if_possible=chosen.if_possible)
        return stop() if chosen.command == "stop" else status()


if __name__ == "__main__":
    sys.exit(main())
