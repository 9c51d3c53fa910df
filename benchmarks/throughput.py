"""Rounds of interleaved runs: every design once in each, so that the machine's moods meet all of them."""

import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import certificates, check
from benchmarks.designs import Design, Place, Run, run
from benchmarks.feed import Spec
from benchmarks.kafka_target import KafkaTarget, kafka
from benchmarks.processes import Server, serving
from benchmarks.records import Shape

Tell = Callable[[str], None]
"""Told of each step."""

PROBE_LOOPS = 3_000_000
_NESTED_IS_LARGER = 10
"""A nested record has about as many times the bytes of a middling one."""


@dataclass(frozen=True)
class Case:
    shape: Shape
    shards: int
    records: int
    """For a design whose share is one."""

    @property
    def name(self) -> str:
        return f"{self.shape}, {self.shards} shard{'s' if self.shards > 1 else ''}"

    def spec(self, share: int) -> Spec:
        """At least a record in each shard, as many in all of them."""
        wanted = self.records // share // (_NESTED_IS_LARGER if self.shape == "nested" else 1)
        return Spec(self.shape, self.shards, max(1, wanted // self.shards) * self.shards)


@dataclass
class Results:
    """`runs[case][design]`, and the probe's seconds: one entry for each round."""

    runs: dict[Case, dict[str, list[Run]]] = field(default_factory=dict)
    probes: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Bench:
    """What all runs share."""

    files: certificates.Files
    target: Server
    cluster: KafkaTarget
    folder: Path

    @contextmanager
    def place(self, source: Server, spec: Spec, *, replica: Server | None = None) -> Iterator[Place]:
        """A folder and a topic for one run, gone after it."""
        folder = Path(tempfile.mkdtemp(prefix="run-", dir=self.folder))
        place = Place(self.files, source, replica or self.target, self.cluster, folder, spec)
        self.cluster.create(place.topic)
        try:
            yield place
        finally:
            self.cluster.delete(place.topic)
            shutil.rmtree(folder)


@contextmanager
def bench(*, built_in_kafka: bool) -> Iterator[Bench]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cdc-bench-")))
        files = certificates.make(folder)
        data = folder / "kafka"
        data.mkdir()
        cluster = stack.enter_context(kafka(data, built_in=built_in_kafka))
        target = stack.enter_context(serving(files, []))
        yield Bench(files, target, cluster, folder)


def probe() -> float:
    """Seconds of a loop that needs nothing but a core: what it differs by, the machine does."""
    began = time.perf_counter()
    total = 0
    for number in range(PROBE_LOOPS):
        total ^= number * number
    return time.perf_counter() - began


def check_output(
    of: Bench, designs: Sequence[Design], cases: Sequence[Case], records: int, tell: Tell
) -> None:
    """A small run of each design, of which all that comes out is compared.

    Raises:
        BenchmarkError: it is not what the source had.
    """
    for shape in dict.fromkeys(case.shape for case in cases):
        spec = Case(shape, 2, records).spec(1)
        with serving(of.files, [spec.name]) as source, serving(of.files, [], "--keep-items") as replica:
            for design in designs:
                tell(f"checking the output of {design.name} ({spec.records} {shape} records)")
                with of.place(source, spec, replica=replica) as place:
                    run(design, place)
                    check.check(design, place, check.source_of(spec))


def measure(of: Bench, designs: Sequence[Design], cases: Sequence[Case], rounds: int, tell: Tell) -> Results:
    """One case after the other, in each `rounds` rounds."""
    results = Results()
    for case in cases:
        specs = {design.name: case.spec(design.share) for design in designs}
        runs = results.runs[case] = {design.name: [] for design in designs}
        tables = list(dict.fromkeys(spec.name for spec in specs.values()))
        with serving(of.files, tables) as source:
            for number in range(1, rounds + 1):
                results.probes.append(probe())
                # Not always the same one after the same other.
                turn = (number - 1) % len(designs)
                for design in (*designs[turn:], *designs[:turn]):
                    tell(f"{case.name}, round {number} of {rounds}: {design.name}")
                    with of.place(source, specs[design.name]) as place:
                        runs[design.name].append(run(design, place))
    return results


def ratios(of: Sequence[float], to: Sequence[float]) -> list[float]:
    """Round by round."""
    return [one / other for one, other in zip(of, to, strict=True)]


def median(values: Sequence[float]) -> float:
    return statistics.median(values)
