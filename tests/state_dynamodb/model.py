"""The store's own code over a table in memory, where every answer can be lost and every request can arrive late.

A process is a function of the answers that it has had: to find out what it asks for next, it is run again from its
beginning on those. So it can be stopped at any request, and each interleaving of several is a path through states that
can be compared.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum
from functools import cache
from typing import NamedTuple, cast
from unittest.mock import patch

from cdc.errors import ErrorKind, StateError
from cdc.model import ShardKey, after
from cdc.ports import Lease, Owner, Saved, SavedCursor, StateChange
from connectors.state_dynamodb import store as protocol
from connectors.state_dynamodb.items import FORMAT, ConditionFailedError, Items, Root, Stored
from connectors.state_dynamodb.pages import Pages, Slot
from connectors.state_dynamodb.store import DynamoDBStateStore
from connectors.state_dynamodb.table import Table

SHARD = ShardKey("stream", "shard")
LEASE_SECONDS = 10.0


class Log:
    """The answers that a process has had. Two with the same answers, from one beginning, are one object."""

    def __init__(self, answers: tuple[object, ...] = ()) -> None:
        self.answers = answers
        self._longer: dict[object, Log] = {}

    def then(self, answer: object) -> "Log":
        if answer not in self._longer:
            self._longer[answer] = Log((*self.answers, answer))
        return self._longer[answer]


class Weak(Enum):
    """One rule of the protocol, left out."""

    TAKE_UNSEEN = "whoever comes becomes the owner, whatever has happened since it looked"
    FLIP_BY_ANYONE = "a flip does not ask for its epoch"
    FLIP_FROM_ANYWHERE = "a flip does not ask for the save that it follows"
    PAGES_OVER_ANYTHING = "a page is written over a later one"
    NUMBERS_WITHOUT_EPOCH = "a new owner goes on counting where the last save was"
    NEVER_SETTLED = "after a flip without an answer, pages are written at once"
    NO_SHADOW = "a page is written where it counts"


class PageTable(dict[str, int]):
    """A page table that can be part of a state."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))


class Answer(Enum):
    """What a request gets in place of a value."""

    DONE = "done"
    FAILED = "condition failed"
    THROTTLED = "throttled"
    UNKNOWN = "no answer"


class Request(NamedTuple):
    verb: str
    arguments: tuple[Hashable, ...] = ()


READS = frozenset({"root", "pages"})


@dataclass(frozen=True, eq=False)
class Place:
    """The table, as far as it is one pipeline's. Made by `place_of`: equal ones are one object."""

    root: Root | None
    pages: tuple[Stored, ...]


place_of = cache(Place)


def execute(place: Place, request: Request, weak: Weak | None) -> tuple[Place, object]:
    """What a request does when it arrives, and its answer."""
    if request.verb in READS:
        return place, place.root if request.verb == "root" else place.pages
    changed: tuple[Place, object] | None
    match request.arguments:
        case (Owner() as owner, float(lease_seconds), None | Root() as seen, int(epoch)):
            changed = _take(place, (owner, lease_seconds, epoch), seen, weak)
        case (int(epoch), int(expected), int(save), PageTable() as table):
            changed = _flip(place, (epoch, expected), (save, table), weak)
        case (Stored() as stored,):
            changed = _put(place, stored, weak)
        case _:
            raise AssertionError(request)
    return changed or (place, Answer.FAILED)


def _take(
    place: Place, new: tuple[Owner, float, int], seen: Root | None, weak: Weak | None
) -> tuple[Place, object] | None:
    root = place.root
    if weak is not Weak.TAKE_UNSEEN and not _as_seen(root, seen):
        return None
    owner, lease_seconds, epoch = new
    last, table = (root.save, root.table) if root is not None else (0, PageTable())
    taken = Root(FORMAT, epoch, last, table, owner, lease_seconds, owner.heartbeat)
    return place_of(taken, place.pages), taken


def _flip(
    place: Place, asked: tuple[int, int], new: tuple[int, PageTable], weak: Weak | None
) -> tuple[Place, object] | None:
    root = place.root
    assert root is not None
    if weak is not Weak.FLIP_BY_ANYONE and root.epoch != asked[0]:
        return None
    if weak is not Weak.FLIP_FROM_ANYWHERE and root.save != asked[1]:
        return None
    return place_of(replace(root, save=new[0], table=new[1]), place.pages), Answer.DONE


def _put(place: Place, stored: Stored, weak: Weak | None) -> tuple[Place, object] | None:
    there = {(page.page, page.slot): page for page in place.pages}
    old = there.get((stored.page, stored.slot))
    if weak is not Weak.PAGES_OVER_ANYTHING and old is not None and old.save > stored.save:
        return None
    there[stored.page, stored.slot] = stored
    return place_of(place.root, tuple(there[key] for key in sorted(there))), Answer.DONE


def _as_seen(root: Root | None, seen: Root | None) -> bool:
    if root is None or seen is None:
        return root is seen
    return (root.epoch, root.owner) == (seen.epoch, seen.owner)


class _AsksError(BaseException):
    """The process asks for something to which it has no answer yet. Nothing in it may catch this."""

    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self.request = request


class _Replayed:
    """`Items` that answers from a log, and then asks."""

    def __init__(self, log: Log) -> None:
        self._log = iter(log.answers)

    def root(self) -> Root | None:
        return cast("Root | None", self._ask("root"))

    def everything(self) -> tuple[Root | None, Sequence[Stored]]:
        return self.root(), cast("Sequence[Stored]", self._ask("pages"))

    def take(self, owner: Owner, *, lease_seconds: float, seen: Root | None, epoch: int) -> Root:
        return cast("Root", self._ask("take", owner, lease_seconds, seen, epoch))

    def renew(self, epoch: int, *, now: float, admin: str) -> None:
        raise AssertionError

    def flip(self, epoch: int, *, expected: int, save: int, table: Mapping[str, int]) -> None:
        self._ask("flip", epoch, expected, save, PageTable(table))

    def release(self, epoch: int) -> None:
        raise AssertionError

    def put_page(self, stored: Stored) -> None:
        self._ask("put_page", stored)

    def _ask(self, verb: str, *arguments: Hashable) -> object:
        for answer in self._log:
            match answer:
                case Answer.FAILED:
                    raise ConditionFailedError
                case Answer.THROTTLED:
                    raise StateError(ErrorKind.THROTTLED, "throttled")
                case Answer.UNKNOWN:
                    raise StateError(ErrorKind.UNAVAILABLE, "no answer")
                case _:
                    return answer
        raise _AsksError(Request(verb, arguments))


class _HastyStore(DynamoDBStateStore):
    def _settled(self, lease: Lease) -> Pages:
        self._in_doubt = False
        return super()._settled(lease)


class _NoTable:
    place = "the table"


def store_over(items: Items, weak: Weak | None) -> DynamoDBStateStore:
    kind = _HastyStore if weak is Weak.NEVER_SETTLED else DynamoDBStateStore
    return kind(cast("Table", _NoTable()), items, "pipeline")


@contextmanager
def weakened(weak: Weak | None) -> Iterator[None]:
    """Those rules that are no condition of a request."""
    if weak is Weak.NUMBERS_WITHOUT_EPOCH:
        with patch.object(protocol, "SAVES_PER_EPOCH", 0):
            yield
    elif weak is Weak.NO_SHADOW:

        def counting(_pages: Pages, _name: str) -> Slot:
            return "a"

        with patch.object(Pages, "free_slot", counting):
            yield
    else:
        yield


@dataclass(frozen=True)
class Process:
    """Acquires the pipeline and saves these values, one after the other. One that is not saved is not repeated: the next
    takes its place, as with positions."""

    host: str
    now: float
    values: tuple[int, ...]
    acquisitions: int
    """How often it tries to become the owner."""


class Progress(NamedTuple):
    """How far a process has come."""

    asks: Request | None
    """What it asks for now; None: it has ended."""
    saved: int = 0
    """The last value that it was told is saved."""
    refused: bool = False
    """It was told that it is no owner."""
    broken: str = ""
    """What it says is wrong with the state."""


def progress(process: Process, log: Log, weak: Weak | None) -> Progress:
    store = store_over(_Replayed(log), weak)
    saved = 0
    try:
        lease = _acquired(store, process)
        for value in process.values:
            try:
                store.save(lease, change_to(value))
            except StateError as error:
                if error.kind not in (ErrorKind.THROTTLED, ErrorKind.UNAVAILABLE):
                    raise
            else:
                saved = value
    except StateError as error:
        if error.kind in (ErrorKind.THROTTLED, ErrorKind.UNAVAILABLE, ErrorKind.NOT_OWNER):
            return Progress(None, saved, error.kind is ErrorKind.NOT_OWNER)
        return Progress(None, saved, broken=str(error))
    except _AsksError as asks:
        return Progress(asks.request, saved)
    return Progress(None, saved)


def _acquired(store: DynamoDBStateStore, process: Process) -> Lease:
    owner = Owner(process.host, 1, "then")
    for _ in range(process.acquisitions - 1):
        try:
            return store.acquire(owner, lease_seconds=LEASE_SECONDS, now=process.now)
        except StateError as error:
            if error.kind not in (ErrorKind.THROTTLED, ErrorKind.UNAVAILABLE):
                raise
    return store.acquire(owner, lease_seconds=LEASE_SECONDS, now=process.now)


def change_to(value: int) -> StateChange:
    """A cursor and a setting, which lie on two pages and belong together."""
    cursor = SavedCursor("bus", SHARD, after(str(value)), "orders", False, 0.0)
    return StateChange(cursors=[cursor], settings={"value": str(value)})


def value_of(saved: Saved) -> int:
    """Raises AssertionError where what belongs together is not together."""
    places = [int(cursor.position.sequence) for cursor in saved.cursors]
    settings = [int(value) for value in (saved.settings or {}).values()]
    assert places == settings, "half of a save"
    return places[0] if places else 0


class _Present(_Replayed):
    def __init__(self, place: Place) -> None:
        super().__init__(Log())
        self._place = place

    def _ask(self, verb: str, *arguments: Hashable) -> object:
        return execute(self._place, Request(verb, arguments), None)[1]


def value_in(place: Place) -> int:
    """What is saved there, as a reader finds it."""
    return value_of(store_over(_Present(place), None).load())
