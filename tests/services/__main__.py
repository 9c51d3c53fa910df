"""`python -m tests.services start [--if-possible] | stop | status`: the services that integration tests share."""

import argparse
import fcntl
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.services.dynamodb_local import DynamoDBLocal
from tests.services.environment import ENV_FILE, FOLDER, ROOT, required, write_env
from tests.services.java import UnavailableError
from tests.services.kafka import KafkaBroker
from tests.services.process import ProcessIdentity
from tests.services.server import JavaServer, ServerFailedError

# DynamoDB Local first: it comes up while Kafka's storage is formatted.
SERVERS: tuple[type[JavaServer], ...] = (DynamoDBLocal, KafkaBroker)
RECORDS_FILE = FOLDER / "processes.json"
DATA_PREFIX = "dynamodb-cdc-services-"
FAILED, UNAVAILABLE, NOT_RUNNING = 1, 2, 3


@dataclass(frozen=True, kw_only=True)
class Record:
    """A server that `start` started: what `stop` ends and removes."""

    variable: str
    endpoint: str
    pid: int
    started: str
    directory: str

    @property
    def process(self) -> ProcessIdentity:
        return ProcessIdentity(pid=self.pid, started=self.started)


def start(*, if_possible: bool) -> int:
    """Starts what does not run yet. 0, 1 (a server failed) or 2 (this machine cannot run one; see the remedy)."""
    records = {variable: record for variable, record in _read_records().items() if _alive_or_removed(record)}
    for record in records.values():
        print(f"already running: {record.variable}={record.endpoint} (pid {record.pid})")
    missing = [server for server in SERVERS if server.service.variable not in records]
    possible = []
    for server in missing:
        try:
            server.prepare()
        except UnavailableError as reason:
            if not if_possible or required():
                print(f"cannot run {server.service.name}: {reason}", file=sys.stderr)
                return UNAVAILABLE
            print(
                f"*** {server.service.name} IS NOT STARTED, ITS TESTS WILL BE SKIPPED: {reason}",
                file=sys.stderr,
            )
        else:
            possible.append(server)
    try:
        _launch(possible, records)
    except ServerFailedError as failure:
        print(f"{failure}\n(log in {FOLDER})", file=sys.stderr)
        return FAILED
    return 0


def _launch(servers: list[type[JavaServer]], records: dict[str, Record]) -> None:
    began = time.monotonic()
    launched: list[JavaServer] = []
    started = False
    try:
        for kind in servers:
            FOLDER.mkdir(exist_ok=True)
            directory = Path(tempfile.mkdtemp(prefix=DATA_PREFIX))
            server = kind(directory, log=FOLDER / f"{kind.__name__.lower()}.log")
            launched.append(server)
            process = server.launch()
            records[kind.service.variable] = Record(
                variable=kind.service.variable,
                endpoint=server.endpoint,
                directory=str(directory),
                **asdict(process),
            )
            _write_records(records)
        for server in launched:
            server.wait_ready()
            print(f"{server.service.name}: {server.endpoint}, {time.monotonic() - began:.1f} s")
        write_env({record.variable: record.endpoint for record in records.values()})
        started = True
    finally:
        if not started:
            for server in launched:
                server.kill()
                shutil.rmtree(server.directory)
                records.pop(server.service.variable, None)
            _write_records(records)


def stop() -> int:
    """Ends the processes that `start` started, no others, and removes their data, logs and `.services`. 0."""
    records = _read_records()
    for record in records.values():
        if not record.process.alive():
            print(f"had ended already: {record.variable}={record.endpoint}")
        elif record.process.end():
            print(f"stopped: {record.variable}={record.endpoint}")
        else:
            print(f"killed, it did not stop when asked: {record.variable}={record.endpoint}", file=sys.stderr)
        _remove_data(record)
    if not records:
        print("nothing to stop")
    if FOLDER.exists():
        shutil.rmtree(FOLDER)
    return 0


def status() -> int:
    """0 if all run, else 3, as `systemctl status` has it."""
    records = _read_records()
    running = 0
    for server in SERVERS:
        record = records.get(server.service.variable)
        alive = record is not None and record.process.alive()
        running += alive
        told = (
            f"{record.endpoint} (pid {record.pid})"
            if record and alive
            else "ended"
            if record
            else "not started"
        )
        print(f"{server.service.name}: {told}")
    return 0 if running == len(SERVERS) else NOT_RUNNING


def _alive_or_removed(record: Record) -> bool:
    if record.process.alive():
        return True
    print(f"had ended: {record.variable}={record.endpoint}")
    _remove_data(record)
    return False


def _remove_data(record: Record) -> None:
    directory = Path(record.directory)
    if not directory.name.startswith(DATA_PREFIX):
        raise ValueError(f"{RECORDS_FILE} names {directory}, which `start` did not make: nothing removed")
    if directory.exists():
        shutil.rmtree(directory)


def _read_records() -> dict[str, Record]:
    if not RECORDS_FILE.exists():
        return {}
    return {entry["variable"]: Record(**entry) for entry in json.loads(RECORDS_FILE.read_text("utf-8"))}


def _write_records(records: dict[str, Record]) -> None:
    unfinished = RECORDS_FILE.with_suffix(".new")
    unfinished.write_text(json.dumps([asdict(record) for record in records.values()], indent=2), "utf-8")
    unfinished.replace(RECORDS_FILE)


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
