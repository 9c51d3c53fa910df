"""What is measured: the loop that everyone writes, and `cdc run` with its sinks, each as its own process."""

import json
import re
import signal
import sys
import time
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import yaml

from benchmarks.certificates import Files
from benchmarks.feed import REGION, Spec
from benchmarks.kafka_target import KafkaTarget
from benchmarks.processes import (
    POLL_SECONDS,
    START_SECONDS,
    BenchmarkError,
    Measured,
    Server,
    Use,
    environment,
)

Sink = Literal["null", "kafka", "lake", "replica"]
SCHEMAS = "cdc-schemas"
LAKE = "lake"
REPLICA = "replica-of-{table}"
DONE_SECONDS = 600.0


@dataclass(frozen=True)
class Place:
    """Where a run takes place."""

    files: Files
    source: Server
    replica: Server
    kafka: KafkaTarget | None
    folder: Path
    """Of this run alone."""
    spec: Spec

    @property
    def topic(self) -> str:
        return f"bench.{self.folder.name}"

    @property
    def bootstrap(self) -> str:
        if self.kafka is None:
            raise BenchmarkError("no Kafka was started")
        return self.kafka.bootstrap


@dataclass(frozen=True)
class Design(ABC):
    name: str
    """In tables."""
    sinks: tuple[Sink, ...]
    share: int
    """It is given one in so many records: its cost per record does not depend on how many there are, and time does."""

    @abstractmethod
    def start(self, place: Place) -> Measured:
        """Launches it; it comes to its first `GetRecords` and waits there."""

    @abstractmethod
    def wait_done(self, process: Measured, place: Place) -> None:
        """Until everything is delivered."""

    @abstractmethod
    def end(self, process: Measured) -> None: ...


@dataclass(frozen=True)
class Naive(Design):
    values: Literal["typed", "document"] = "typed"

    def start(self, place: Place) -> Measured:
        options = ["--endpoint", place.source.endpoint, "--table", place.spec.name, "--values", self.values]
        if "kafka" in self.sinks:
            options += ["--bootstrap", place.bootstrap, "--topic", place.topic]
        env = environment(place.files) | {"PYTHONPATH": str(Path(__file__).parents[1])}
        return Measured([sys.executable, "-m", "benchmarks.naive", *options], place.folder, env)

    def wait_done(self, process: Measured, place: Place) -> None:
        for _ in _waiting(process):
            if process.out().startswith("DONE "):
                break
        count = int(process.out().split()[1])
        if count != place.spec.records:
            raise BenchmarkError(f"{self.name}: {count} of {place.spec.records} records")

    def end(self, process: Measured) -> None:
        process.end(None)


@dataclass(frozen=True)
class Cdc(Design):
    COMMAND: ClassVar[Sequence[str]] = (
        sys.executable,
        "-c",
        "import sys; sys.argv[0] = 'cdc'; from cdc.cli import main; main()",
    )

    def start(self, place: Place) -> Measured:
        configuration = self.configuration(place)
        (place.folder / "pipeline.yaml").write_text(yaml.safe_dump(configuration, sort_keys=False), "utf-8")
        return Measured([*self.COMMAND, "run", "pipeline.yaml"], place.folder, environment(place.files))

    def configuration(self, place: Place) -> dict[str, Any]:
        """Everything that is not needed to name the places is left at its default."""
        return {
            "version": 1,
            "pipeline": "bench",
            "source": {
                "type": "dynamodb-streams",
                "tables": [place.spec.name],
                "region": REGION,
                "endpoint_url": place.source.endpoint,
            },
            "schema": {"registry": {"type": "files", "path": f"./{SCHEMAS}"}},
            "sinks": [{"name": sink, "type": sink, **self._sink(sink, place)} for sink in self.sinks],
            "admin": {"port": 0},
        }

    def _sink(self, sink: Sink, place: Place) -> Mapping[str, Any]:
        match sink:
            case "kafka":
                return {"bootstrap_servers": place.bootstrap, "topic": place.topic}
            case "lake":
                return {"url": f"file:./{LAKE}"}
            case "replica":
                return {"table": REPLICA, "region": "eu-west-2", "endpoint_url": place.replica.endpoint}
            case "null":
                return {}

    def wait_done(self, process: Measured, place: Place) -> None:
        """By its own counter of durable changes, which is asked once everything was served: to ask costs it time."""
        for _ in _waiting(process):
            if place.source.counts()["records"] >= place.spec.records:
                break
        address = admin_address(process)
        durable: dict[str, int] = {}
        for _ in _waiting(process):
            durable = self.durable(address)
            if all(durable.get(sink, 0) >= place.spec.records for sink in self.sinks):
                break
        if any(count != place.spec.records for count in durable.values()):
            raise BenchmarkError(f"{self.name}: {durable} of {place.spec.records} changes")

    def durable(self, address: str) -> dict[str, int]:
        """Changes that are durable, by sink."""
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=30) as answer:
            text = answer.read().decode()
        found: dict[str, int] = {}
        for labels, value in re.findall(r"^cdc_changes_total\{(.*)\} (\S+)$", text, re.MULTILINE):
            sink = re.search(r'sink="(\w+)"', labels)
            assert sink is not None
            found[sink[1]] = found.get(sink[1], 0) + round(float(value))
        letters = sum(map(float, re.findall(r"^cdc_dead_letters_total\{.*\} (\S+)$", text, re.MULTILINE)))
        if letters:
            raise BenchmarkError(f"{self.name}: {letters:g} dead letters")
        return found

    def end(self, process: Measured) -> None:
        process.end(signal.SIGTERM)


def admin_address(process: Measured) -> str:
    for line in process.err().splitlines():
        fields = json.loads(line) if line.startswith("{") else {}
        if fields.get("event") == "running":
            return str(fields["admin"])
    raise BenchmarkError(f"it does not run: {process.err()[-4000:]}")


def _waiting(process: Measured) -> Iterator[None]:
    deadline = time.monotonic() + DONE_SECONDS
    while True:
        yield
        process.check()
        if time.monotonic() > deadline:
            raise BenchmarkError(f"not done in {DONE_SECONDS:g} s: {process.err()[-4000:]}")
        time.sleep(POLL_SECONDS)


@dataclass(frozen=True)
class Run:
    """What one run cost, from its first page to its last change."""

    records: int
    cpu: float
    """CPU-seconds."""
    seconds: float
    start_cpu: float
    """CPU-seconds before the first page."""
    peak_bytes: int

    @property
    def cpu_per_million(self) -> float:
        return self.cpu / self.records * 1e6

    @property
    def rate(self) -> float:
        """Changes per second."""
        return self.records / self.seconds


@contextmanager
def started(design: Design, place: Place) -> Iterator[tuple[Measured, Use]]:
    """The process at its first page, which is held back, and what it has used up to there."""
    place.source.ask("hold")
    place.replica.ask("hold")
    process = design.start(place)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not place.source.counts()["waiting"]:
            process.check()
            if time.monotonic() > deadline:
                raise BenchmarkError(f"{design.name} asks for no records: {process.err()[-4000:]}")
            time.sleep(POLL_SECONDS)
        yield process, process.use()
    finally:
        process.kill()


def run(design: Design, place: Place) -> Run:
    with started(design, place) as (process, before):
        place.source.ask("go")
        design.wait_done(process, place)
        after = process.use()
        design.end(process)
    return Run(
        place.spec.records, after.cpu - before.cpu, after.at - before.at, before.cpu, process.peak_bytes
    )


DESIGNS: tuple[Design, ...] = (
    Naive("naive loop, null", ("null",), 10),
    Cdc("cdc, null", ("null",), 1),
    Naive("naive loop, kafka", ("kafka",), 10),
    Naive("naive loop, kafka, image as text", ("kafka",), 10, values="document"),
    Cdc("cdc, kafka", ("kafka",), 1),
    Cdc("cdc, lake", ("lake",), 1),
    Cdc("cdc, replica", ("replica",), 10),
    Cdc("cdc, kafka + lake + replica", ("kafka", "lake", "replica"), 10),
)
