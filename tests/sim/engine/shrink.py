"""The smallest plan that still breaks the same promise at the same sink: part after part is left out, and stays out if
the violation persists (delta debugging: Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input")."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

from cdc.testing.sim.behaviour import Behaviour
from tests.sim.engine.destination import Violation
from tests.sim.engine.plan import Plan, PlannedSink, SourceFaults
from tests.sim.engine.process import Troubles
from tests.sim.engine.run import Run, drive
from tests.sim.engine.sink import Temper
from tests.sim.engine.trace import Line, relevant, told

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Failure:
    """A plan, and the promise that its run breaks."""

    plan: Plan
    violation: Violation
    after: float
    """Seconds of the run."""


@dataclass(frozen=True, slots=True)
class Shrunk:
    first: Failure
    smallest: Failure
    runs: int


def try_out(plan: Plan, make: Callable[[Plan], Run] = Run) -> Failure | None:
    """None: every promise is kept."""
    run = make(plan)
    violation = drive(run)
    return None if violation is None else Failure(plan, violation, run.time.now - run.began)


def shrink(plan: Plan, *, make: Callable[[Plan], Run] = Run, most_runs: int = 600) -> Shrunk:
    """
    Raises:
        ValueError: the plan breaks no promise.
    """
    first = try_out(plan, make)
    if first is None:
        raise ValueError(f"seed {plan.seed} breaks no promise")
    shrinker = _Shrinker(first, make, most_runs)
    shrinker.shrink()
    return Shrunk(first, shrinker.best, shrinker.runs)


class _Shrinker:
    def __init__(self, first: Failure, make: Callable[[Plan], Run], most_runs: int) -> None:
        self.best, self.runs = first, 0
        self._make, self._most_runs = make, most_runs

    def shrink(self) -> None:
        while True:
            before = self.best.plan
            self._cut_off()
            for smaller in self._wholes():
                self._try(smaller)
            for name in ("reshapes", "dooms", "stops", "suspensions", "jumps", "writes"):
                self._thin_out(name)
            for smaller in self._sooner():
                self._try(smaller)
            for smaller in self._values():
                self._try(smaller)
            if self.best.plan == before or self.runs >= self._most_runs:
                return

    def _try(self, plan: Plan) -> bool:
        """Takes the plan over if the same promise is broken at the same sink."""
        if plan == self.best.plan or self.runs >= self._most_runs:
            return False
        self.runs += 1
        failure = try_out(plan, self._make)
        wanted = self.best.violation
        if failure is None or (failure.violation.kind, failure.violation.sink) != (wanted.kind, wanted.sink):
            return False
        self.best = failure
        return True

    def _cut_off(self) -> None:
        """What was to happen after the violation."""
        plan, after = self.best.plan, self.best.after
        self._try(
            replace(
                plan,
                writes=tuple(one for one in plan.writes if one.at <= after),
                reshapes=tuple(one for one in plan.reshapes if one.at <= after),
                suspensions=tuple(one for one in plan.suspensions if one.at <= after),
                jumps=tuple(one for one in plan.jumps if one.at <= after),
                stops=tuple(at for at in plan.stops if at <= after),
            )
        )

    def _wholes(self) -> Iterator[Plan]:
        """Without one concern altogether. Each is of the best plan at the time."""
        yield replace(self.best.plan, redeliver=False)
        for name in ("suspensions", "jumps", "stops", "dooms", "reshapes"):
            yield _changed(self.best.plan, **{name: ()})
        yield replace(self.best.plan, source_faults=SourceFaults())
        yield replace(
            self.best.plan, troubles=Troubles(source_latency=self.best.plan.troubles.source_latency)
        )
        for sink in self.best.plan.sinks:
            yield self._with(sink.name, None)
        for sink in self.best.plan.sinks:
            yield self._with(sink.name, replace(sink, temper=Temper()))
            yield self._with(sink.name, replace(self._sink(sink.name), poison=0, refuses=0))
            yield self._with(sink.name, replace(self._sink(sink.name), new=False))
        calm = Behaviour()
        for part in fields(Behaviour):
            value = getattr(calm, part.name)
            yield replace(self.best.plan, behaviour=_changed(self.best.plan.behaviour, **{part.name: value}))

    def _sooner(self) -> Iterator[Plan]:
        """Everything in less time."""
        last = max((write.at for write in self.best.plan.writes), default=0.0)
        if last + 1.0 < self.best.plan.writing:
            yield replace(self.best.plan, writing=last + 1.0)
        for share in (0.01, 0.1, 0.5) if last > 1.0 else ():
            plan = self.best.plan
            yield replace(
                plan,
                writes=tuple(replace(one, at=one.at * share) for one in plan.writes),
                reshapes=tuple(replace(one, at=one.at * share) for one in plan.reshapes),
                suspensions=tuple(replace(one, at=one.at * share) for one in plan.suspensions),
                stops=tuple(at * share for at in plan.stops),
                writing=max(1.0, plan.writing * share),
            )

    def _values(self) -> Iterator[Plan]:
        """Smaller ones."""
        for number in range(len(self.best.plan.dooms)):
            for share in (2, 4, 8):
                dooms = list(self.best.plan.dooms)
                dooms[number] = replace(dooms[number], commands=dooms[number].commands * (share - 1) // share)
                yield replace(self.best.plan, dooms=tuple(dooms))
        for sink in self.best.plan.sinks:
            for part in fields(Temper):
                value = getattr(Temper(), part.name)
                temper = _changed(self._sink(sink.name).temper, **{part.name: value})
                yield self._with(sink.name, replace(self._sink(sink.name), temper=temper))

    def _sink(self, name: str) -> PlannedSink:
        return next(sink for sink in self.best.plan.sinks if sink.name == name)

    def _with(self, name: str, other: PlannedSink | None) -> Plan:
        """The sink in another shape, or not at all."""
        sinks = [other if sink.name == name else sink for sink in self.best.plan.sinks]
        kept = tuple(sink for sink in sinks if sink is not None)
        return replace(self.best.plan, sinks=kept or self.best.plan.sinks)

    def _thin_out(self, name: str) -> None:
        """Halves, quarters, ... of what happens are left out."""
        parts = 2
        while True:
            present: Sequence[Any] = getattr(self.best.plan, name)
            if not present or self.runs >= self._most_runs:
                return
            parts = min(parts, len(present))
            if not self._leave_one_out(name, present, parts):
                if parts == len(present):
                    return
                parts *= 2

    def _leave_one_out(self, name: str, present: Sequence[T], parts: int) -> bool:
        size = -(-len(present) // parts)
        for begin in range(0, len(present), size):
            rest = (*present[:begin], *present[begin + size :])
            if self._try(_changed(self.best.plan, **{name: rest})):
                return True
        return False


def _changed(whole: T, **parts: Any) -> T:
    """`replace` of a dataclass whose parts are named at run time."""
    other: T = replace(whole, **parts)  # type: ignore[type-var]
    return other


def report(shrunk: Shrunk, *, make: Callable[[Plan], Run] = Run) -> Iterator[str]:
    """What is left of the plan, and what happens in it that concerns the violation."""
    first, small = shrunk.first, shrunk.smallest
    yield f"{shrunk.runs} runs: {_size(first.plan)} → {_size(small.plan)}"
    yield from _parts(small.plan)
    lines, whole = traced(small, make)
    yield f"{len(lines)} of {whole} lines of the trace:"
    yield from told(lines, small.violation)
    yield f"VIOLATION {small.violation}"


def traced(failure: Failure, make: Callable[[Plan], Run] = Run) -> tuple[list[Line], int]:
    """The lines that concern the violation, and how many there are in all."""
    run = make(failure.plan)
    run.checks.trace = []
    violation = drive(run)
    if violation is None:
        raise AssertionError("the same plan is the same run")
    return relevant(run.checks.trace, violation, run.truth), len(run.checks.trace)


def _size(plan: Plan) -> str:
    return (
        f"{len(plan.writes)} writes, {len(plan.reshapes)} closings, {len(plan.sinks)} sinks, "
        f"{len(plan.dooms) + len(plan.stops) + len(plan.suspensions)} ends"
    )


def _parts(plan: Plan) -> Iterator[str]:
    """What is not as usual."""
    usual = {"behaviour": Behaviour(), "source_faults": SourceFaults(), "troubles": Troubles()}
    for part in fields(plan):
        value = getattr(plan, part.name)
        if part.name in usual:
            differing = [
                f"{one.name}={getattr(value, one.name)!r}"
                for one in fields(value)
                if getattr(value, one.name) != getattr(usual[part.name], one.name)
            ]
            yield f"  {part.name}: {', '.join(differing) or 'as usual'}"
        elif isinstance(value, tuple):
            for one in value:
                yield f"  {part.name}: {one}"
        else:
            yield f"  {part.name}: {value}"
