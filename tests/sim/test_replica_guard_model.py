"""The guard `versioned` against everything that two or three writers of one item can do to each other.

The model runs the sink's own decisions (`connectors.replica.guard`) on a table in memory. A history is what happened to
one item at the source. Its writer goes through it in order, leaving out what a later change of the same batch
supersedes; any answer may be lost, whereupon the request is made again. Zombies go through any part of the history at
any later time, stop anywhere, and hold a request back for as long as they like. A tombstone expires once no writer is
left that would write something older.

Checked in every state after the writer is through: the item is as at the source, and stays so.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple, cast

import pytest

from connectors.replica.guard import (
    VERSIONED,
    Action,
    Condition,
    Guard,
    Place,
    Request,
    Seen,
    Verb,
    Verdict,
    decide,
    first_request,
)
from tests.replica.model import UNVERSIONED, VERSIONS, Table, Weak, execute, weak

History = str
"""One letter per change: i(nsert), u(pdate), r(emove); change n writes the value n."""


class Writer(NamedTuple):
    at: int
    """The change that comes next."""
    change: int | None = None
    """The change that is being written, which may be a later one: those before it were collapsed."""
    request: Request = ()


class State(NamedTuple):
    table: Table
    writers: tuple[Writer, ...]
    """The first is the rightful one."""


@dataclass(frozen=True)
class Protocol:
    guard: Guard = VERSIONED
    gives_up: bool = False
    """Takes every failed condition but a missing item for success, as a weaker guard would have to."""


def answered(protocol: Protocol, history: History, writer: Writer, failed: list[Seen | None]) -> Writer:
    """The writer once it has the answer."""
    change = cast("int", writer.change)
    if any(failed):
        verdict = decide(writer.request, VERSIONS[change], failed)
        if verdict is Verdict.MISSING and history[change] != "r":
            return writer._replace(request=protocol.guard.insert)
        if not protocol.gives_up:
            # Another verdict in a world without foreign writers is a mistake of the guard itself.
            assert verdict in {Verdict.APPLIED, Verdict.SUPERSEDED}, (verdict, writer, failed)
    return Writer(at=change + 1)


def begin(protocol: Protocol, history: History, writer: Writer, change: int) -> Writer:
    request = first_request(
        protocol.guard, removed=history[change] == "r", expected=history[writer.at] != "i"
    )
    return writer._replace(change=change, request=request)


def may_expire(state: State, history: History) -> bool:
    tombstone = state.table.tombstone
    if tombstone is None:
        return False
    return all(
        (writer.at if writer.change is None else writer.change) >= tombstone for writer in state.writers
    )


def steps(protocol: Protocol, history: History, state: State) -> Iterator[State]:
    """Every state that may come next."""
    if may_expire(state, history):
        yield state._replace(table=state.table._replace(tombstone=None))
    for index, writer in enumerate(state.writers):

        def became(new: Writer, table: Table = state.table, index: int = index) -> State:
            return State(table, (*state.writers[:index], new, *state.writers[index + 1 :]))

        if writer.change is None:
            for change in range(writer.at, len(history)):
                yield became(begin(protocol, history, writer, change))
        else:
            table, failed = execute(state.table, writer.request, writer.change)
            yield became(answered(protocol, history, writer, failed), table)
            yield became(writer, table)  # done, but the answer is lost
        if index > 0 and writer.at < len(history):
            yield became(Writer(at=len(history)))  # a zombie that stops


def is_wrong(history: History, state: State) -> bool:
    if state.writers[0].at < len(history):
        return False
    return state.table.item != (None if history[-1] == "r" else len(history) - 1)


def histories(length: int) -> Iterator[History]:
    """All that can happen to one item in so many changes, whether it was there before or not."""
    for letters in product("iur", repeat=length):
        history = "".join(letters)
        if not any(pair in history for pair in ("ii", "ui", "ru", "rr")):
            yield history


def reachable(protocol: Protocol, history: History, start: State) -> Iterator[State]:
    """Every state that can follow, once."""
    reached, todo = {start}, [start]
    while todo:
        for state in steps(protocol, history, todo.pop()):
            if state not in reached:
                reached.add(state)
                todo.append(state)
                yield state


def wrong_states(protocol: Protocol, *, longest: int) -> Iterator[tuple[History, State]]:
    """All histories up to a length, all zombies, every interleaving; on an empty replica and on a restored one."""
    for length in range(1, longest + 1):
        for history, zombie, item in product(histories(length), range(length), (None, UNVERSIONED)):
            start = State(Table(item, None), (Writer(0), Writer(zombie)))
            for state in reachable(protocol, history, start):
                if is_wrong(history, state):
                    yield history, state


WITHOUT_TOMBSTONES_OF_MISSING_ITEMS = Protocol(
    Guard(
        VERSIONED.update,
        VERSIONED.insert,
        (
            Action(Place.REPLICA, Verb.DELETE, Condition.EXISTS_AND_OLDER),
            Action(Place.TOMBSTONES, Verb.PUT, Condition.ABSENT_OR_OLDER),
        ),
    ),
    gives_up=True,
)
PUT_IF_NOT_EXISTS = Protocol(
    Guard(
        VERSIONED.update,
        (Action(Place.REPLICA, Verb.PUT, weak(Weak.ABSENT)),),
        VERSIONED.delete,
    ),
    gives_up=True,
)
PUT_IF_NOT_EXISTS_BUT_CHECKED = Protocol(
    Guard(
        VERSIONED.update,
        (
            Action(Place.REPLICA, Verb.PUT, weak(Weak.ABSENT)),
            Action(Place.TOMBSTONES, Verb.CHECK, Condition.ABSENT_OR_OLDER),
        ),
        VERSIONED.delete,
    ),
    gives_up=True,
)
UNCONDITIONAL_TOMBSTONES = Protocol(
    Guard(
        VERSIONED.update,
        VERSIONED.insert,
        (
            Action(Place.REPLICA, Verb.DELETE, Condition.ABSENT_OR_OLDER),
            Action(Place.TOMBSTONES, Verb.PUT, weak(Weak.ALWAYS)),
        ),
    )
)

WEAKENED = {
    "a remove that fails on a missing item": WITHOUT_TOMBSTONES_OF_MISSING_ITEMS,
    "put if not exists only": PUT_IF_NOT_EXISTS,
    "put if not exists, tombstone checked": PUT_IF_NOT_EXISTS_BUT_CHECKED,
    "an unconditional tombstone": UNCONDITIONAL_TOMBSTONES,
}


def test_one_zombie_never_makes_it_wrong() -> None:
    assert not list(wrong_states(Protocol(), longest=4))


@pytest.mark.parametrize("weakened", WEAKENED.values(), ids=WEAKENED.keys())
def test_each_part_of_the_guard_is_needed(weakened: Protocol) -> None:
    assert any(True for _ in wrong_states(weakened, longest=4))


def random_run(protocol: Protocol, rng: random.Random) -> int:
    """One long history with three zombies, walked at random; the number of wrong states on the way."""
    length = rng.randint(4, 10)
    there, history = rng.random() < 0.5, ""
    for _ in range(length):
        history += rng.choice("ur") if there else "i"
        there = history[-1] != "r"
    zombies = tuple(Writer(rng.randrange(length)) for _ in range(3))
    state = State(Table(rng.choice([None, UNVERSIONED]), None), (Writer(0), *zombies))
    wrong = 0
    while choices := [following for following in steps(protocol, history, state) if following != state]:
        state = rng.choice(choices)
        wrong += is_wrong(history, state)
    return wrong


def test_three_zombies_on_long_histories() -> None:
    rng = random.Random(20261121)
    assert sum(random_run(Protocol(), rng) for _ in range(3000)) == 0


@pytest.mark.parametrize("weakened", WEAKENED.values(), ids=WEAKENED.keys())
def test_the_random_walk_finds_weak_guards_too(weakened: Protocol) -> None:
    rng = random.Random(20261121)
    assert any(random_run(weakened, rng) for _ in range(3000))
