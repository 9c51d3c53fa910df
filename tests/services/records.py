"""What `start` started, kept on disk so that `stop`, another process, ends it and nothing else."""

import json
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.services.environment import FOLDER
from tests.services.process import GRACE_SECONDS, ProcessIdentity

if TYPE_CHECKING:
    from docker.models.containers import Container

RECORDS_FILE = FOLDER / "records.json"
KILLED = 137  # 128 + SIGKILL: the exit code of a container that did not stop when asked
DATA_PREFIX = "dynamodb-cdc-services-"


@dataclass(frozen=True, kw_only=True)
class Record(ABC):
    """A started server: the variable that names its address, the address, and the directory made for it."""

    variable: str
    endpoint: str
    directory: str

    @property
    @abstractmethod
    def alive(self) -> bool: ...

    @abstractmethod
    def end(self) -> bool:
        """Asks it to end, and kills it if it does not. Whether it ended by itself."""

    def remove(self) -> None:
        """Removes what is left of an ended server. Raises ValueError for a directory that `start` did not make."""
        directory = Path(self.directory)
        if not directory.name.startswith(DATA_PREFIX):
            raise ValueError(f"{RECORDS_FILE} names {directory}, which `start` did not make: nothing removed")
        if directory.exists():
            shutil.rmtree(directory)

    @abstractmethod
    def __str__(self) -> str:
        """For people: which process or container."""


@dataclass(frozen=True, kw_only=True)
class ProcessRecord(Record):
    """A process of this machine, known by its id and its start; its data are in the directory."""

    pid: int
    started: str

    @property
    def alive(self) -> bool:
        return self._process.alive()

    @property
    def _process(self) -> ProcessIdentity:
        return ProcessIdentity(pid=self.pid, started=self.started)

    def end(self) -> bool:
        return self._process.end()

    def __str__(self) -> str:
        return f"pid {self.pid}"


@dataclass(frozen=True, kw_only=True)
class ContainerRecord(Record):
    """A container of this machine's Docker daemon; its data are in it."""

    container: str

    @property
    def alive(self) -> bool:
        with self._found() as found:
            return found is not None and found.status in ("running", "paused")

    def end(self) -> bool:
        with self._found() as found:
            if found is None:
                return True
            if found.status == "paused":
                found.unpause()
            found.stop(timeout=int(GRACE_SECONDS))
            return int(found.wait()["StatusCode"]) != KILLED

    def remove(self) -> None:
        with self._found() as found:
            if found is not None:
                found.remove(v=True, force=True)
        super().remove()

    @contextmanager
    def _found(self) -> Iterator["Container | None"]:
        import docker
        from docker.errors import NotFound

        client = docker.from_env()
        try:
            try:
                found = client.containers.get(self.container)
            except NotFound:
                found = None
            yield found
        finally:
            client.close()

    def __str__(self) -> str:
        return f"container {self.container[:12]}"


def read_records() -> dict[str, Record]:
    """By variable; empty where nothing was started."""
    if not RECORDS_FILE.exists():
        return {}
    return {entry["variable"]: _record(entry) for entry in json.loads(RECORDS_FILE.read_text("utf-8"))}


def write_records(records: Mapping[str, Record]) -> None:
    unfinished = RECORDS_FILE.with_suffix(".new")
    unfinished.write_text(json.dumps([asdict(record) for record in records.values()], indent=2), "utf-8")
    unfinished.replace(RECORDS_FILE)


def _record(entry: dict[str, Any]) -> Record:
    return ContainerRecord(**entry) if "container" in entry else ProcessRecord(**entry)
