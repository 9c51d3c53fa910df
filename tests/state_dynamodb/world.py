"""Two processes on one table in memory, and every state that they can bring it to."""

from collections.abc import Iterator, Sequence
from functools import cache
from random import Random
from typing import Any, NamedTuple

from cdc.errors import StateError
from tests.state_dynamodb.model import (
    LEASE_SECONDS,
    READS,
    Answer,
    Log,
    Place,
    Process,
    Progress,
    Request,
    Weak,
    execute,
    place_of,
    progress,
    value_in,
    weakened,
)

FAULTY = 0.15
"""How many of the requests of a random walk go wrong."""


class State(NamedTuple):
    place: Place
    logs: tuple[Log, ...]
    """What each process was answered."""
    late: tuple[Request, ...] = ()
    """Requests that were given up, and may arrive at any time or never."""
    faults: int = 0
    """How many may still happen."""
    value: int = 0
    """What was saved, as of the state before."""
    inherited: int | None = None
    """What was saved when the second process became the owner."""


class World:
    """Two processes on one table: the second finds that the lease of the first has ended, at any time."""

    def __init__(
        self,
        first: Sequence[int],
        second: Sequence[int],
        *,
        weak: Weak | None = None,
        faulty_reads: bool = False,
        acquisitions: int = 1,
    ) -> None:
        self.processes = (
            Process("first.invalid", 0.0, tuple(first), acquisitions),
            Process("second.invalid", 10 * LEASE_SECONDS, tuple(second), acquisitions),
        )
        self._weak = weak
        self._faulty_reads = faulty_reads
        self._progress = cache(self._progress_of)
        self._value = cache(self._value_of)

    def start(self, *, faults: int) -> State:
        return State(place_of(None, ()), (Log(),) * len(self.processes), faults=faults)

    def steps(self, state: State) -> Iterator[State]:
        """Every state that may come next."""
        for number, arriving in enumerate(state.late):
            place, _ = execute(state.place, arriving, self._weak)
            late = (*state.late[:number], *state.late[number + 1 :])
            yield self._seen(state._replace(place=place, late=late), state.place)
        for index in range(len(self.processes)):
            request = self._progress(index, state.logs[index]).asks
            if request is not None:
                yield from self._answers(state, index, request)

    def problem(self, state: State) -> str:
        """What is wrong with a state; empty if nothing is."""
        try:
            value = self._value(state.place)
        except (AssertionError, StateError) as error:
            return str(error)
        first, second = (self._progress(index, log) for index, log in enumerate(state.logs))
        inherited, values = state.inherited, self.processes[1].values
        found = {
            first.broken or second.broken: bool(first.broken or second.broken),
            f"{value} is there, who was told of more": value < max(first.saved, second.saved),
            f"{value} came back in place of {state.value}": value < state.value,
            f"{value} of the first landed over {inherited}, with which the second began": (
                inherited is not None and value < values[0] and value != inherited
            ),
            "the first was told that it is no owner, and nobody else was": (
                first.refused and inherited is None
            ),
        }
        return "; ".join(text for text, holds in found.items() if holds)

    def _answers(self, state: State, index: int, request: Request) -> Iterator[State]:
        def after_it(place: Place, answer: object, **more: Any) -> State:
            logs = tuple(
                log.then(answer) if number == index else log for number, log in enumerate(state.logs)
            )
            return self._seen(state._replace(place=place, logs=logs, **more), state.place)

        place, answer = execute(state.place, request, self._weak)
        yield after_it(place, answer)
        if not state.faults or (request.verb in READS and not self._faulty_reads):
            return
        left = state.faults - 1
        yield after_it(state.place, Answer.THROTTLED, faults=left)
        yield after_it(place, Answer.UNKNOWN, faults=left)
        if request.verb not in READS:
            yield after_it(state.place, Answer.UNKNOWN, faults=left, late=(*state.late, request))
            again, answer = execute(place, request, self._weak)  # it was repeated on its way
            yield after_it(again, answer, faults=left)

    def _seen(self, state: State, before: Place) -> State:
        """With what was saved before it."""
        value = self._value(before)
        root = state.place.root
        if root is None or root.owner is None or root.owner.host != self.processes[1].host:
            return state._replace(value=value)
        took = before.root is None or before.root.epoch != root.epoch
        return state._replace(value=value, inherited=value if took else state.inherited)

    def _progress_of(self, index: int, log: Log) -> Progress:
        with weakened(self._weak):
            return progress(self.processes[index], log, self._weak)

    def _value_of(self, place: Place) -> int:
        return value_in(place)


def problems(world: World, *, faults: int) -> Iterator[str]:
    """Of every state that can be reached, once."""
    start = world.start(faults=faults)
    reached, todo = {start}, [start]
    while todo:
        for state in world.steps(todo.pop()):
            if state not in reached:
                reached.add(state)
                if problem := world.problem(state):
                    yield problem
                else:
                    todo.append(state)


def walk(world: World, rng: Random, *, faults: int) -> str:
    """One path, taken at random to its end; the first problem on it."""
    state = world.start(faults=faults)
    while following := list(world.steps(state)):
        well = [one for one in following if one.faults == state.faults]
        wrong = [one for one in following if one.faults < state.faults]
        state = rng.choice(wrong if wrong and rng.random() < FAULTY else well)
        if problem := world.problem(state):
            return problem
    return ""
