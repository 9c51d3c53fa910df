"""The life of a lane and of a sink, pair by pair of the two tables: for each a history that leads to it.

A pair that no history leads to does not belong in the table: then the move is a fault of the engine, which the table
would hide.
"""

from collections.abc import Callable

import pytest

from cdc.core import messages as m
from cdc.core.lineage import LANE, Lane, LaneEvent, LaneState
from cdc.core.world import SINK, Settings, SinkEntry, SinkEvent, SinkState
from cdc.errors import ErrorKind, SinkError
from cdc.model import Reject, end_of_shard
from cdc.ports import Saved, SavedGap, SavedStart
from tests.unit.core.script import START, STREAM, Script, change, key, shard

Pair = tuple[LaneState, LaneEvent] | tuple[SinkState, SinkEvent]
L, E, S, F = LaneState, LaneEvent, SinkState, SinkEvent

PAIRS: list[Pair] = [*LANE, *SINK]
HISTORIES: dict[Callable[[], None], list[Pair]] = {}


def takes(*pairs: Pair) -> Callable[[Callable[[], None]], Callable[[], None]]:
    def named(history: Callable[[], None]) -> Callable[[], None]:
        HISTORIES[history] = list(pairs)
        return history

    return named


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> set[Pair]:
    """The pairs that the engine takes."""
    found: set[Pair] = set()
    lane_moves, sink_moves = Lane.move, SinkEntry.move

    def lane_move(lane: Lane, event: LaneEvent) -> None:
        found.add((lane.state, event))
        lane_moves(lane, event)

    def sink_move(sink: SinkEntry, event: SinkEvent) -> None:
        found.add((sink.state, event))
        sink_moves(sink, event)

    monkeypatch.setattr(Lane, "move", lane_move)
    monkeypatch.setattr(SinkEntry, "move", sink_move)
    return found


def test_every_pair_of_the_tables_has_a_history_and_no_history_has_another() -> None:
    assert len(set(PAIRS)) == len(PAIRS), "the two tables have no pair in common"
    assert {pair for pairs in HISTORIES.values() for pair in pairs} == set(PAIRS)


def flowing(*sinks: str, limit: int | None = None) -> tuple[Script, dict[int, m.Read]]:
    """Two shards that are read, and their reads by number. The first is the parent of a third."""
    script = Script(*sinks, settings=Settings(max_dead_letters_per_minute=limit))
    script.flow(shard(1, closed=True), shard(2), shard(3, 1))
    script.open_iterators()
    return script, {int(read.reader.shard.shard[-1]): read for read in script.new(m.Read)}


def given(*, limit: int | None = None, end: bool = False) -> tuple[Script, m.Write, m.Write]:
    """One batch of each is in the sink's hands, and none is accepted; the first is the `end` of its shard."""
    script, reads = flowing(limit=limit)
    script.page(reads[1], change(1), end=end)
    script.page(reads[2], change(2))
    one, two = script.new(m.Write)
    return script, one, two


def sink_state(script: Script) -> SinkState:
    return script.engine.world.sinks["a"].state


def bury(script: Script, write: m.Write) -> None:
    """Durable, with more dead letters than are allowed."""
    script.durable(write, [Reject("1", ErrorKind.REJECTED, "too large", b"{}")])


def opened_again(script: Script) -> None:
    script.wait(1.0)
    script.send(m.SinkOpened("a"))


@takes(
    (S.DOWN, F.TRY),
    (S.OPENING, F.OPENED),
    (S.UP, F.PROVED),
    (L.WAITING, E.PARENT_FINISHED),
    (L.UNCLAIMED, E.CLAIM_SENT),
    (L.CLAIMING, E.CLAIMED),
    (L.FLOWING, E.END_GIVEN),
    (L.ENDING, E.END_DURABLE),
)
def a_shard_is_read_to_its_end() -> None:
    script, one, _ = given(end=True)
    script.durable(one)
    assert script.lane(1).state is L.FINISHED
    script.claim()
    assert script.lane(3).state is L.FLOWING


@takes((L.FLOWING, E.END_DURABLE))
def the_sink_holds_the_whole_shard_already() -> None:
    script = Script()
    script.flow(shard(1, closed=True), held={key(1): end_of_shard("9")})
    assert script.lane(1).state is L.FINISHED


@takes((S.OPENING, F.FAILED), (L.WAITING, E.SINK_LOST), (L.UNCLAIMED, E.SINK_LOST))
def a_sink_does_not_open() -> None:
    script = Script()
    script.start(shard(1, closed=True), shard(2, 1), open_sinks=False)
    script.send(m.SinkFailed("a", SinkError(ErrorKind.UNAVAILABLE, "away")))
    assert (script.lane(1).state, script.lane(2).state) == (L.UNCLAIMED, L.WAITING)


@takes((L.CLAIMING, E.CLAIM_FAILED), (S.UP, F.FAILED))
def a_claim_fails() -> None:
    script = Script()
    script.start(shard(1))
    claim = script.one(m.Claim)
    script.send(m.ClaimFailed("a", claim.shards, SinkError(ErrorKind.UNAVAILABLE, "away")))
    assert script.lane(1).state is L.UNCLAIMED


@takes((L.CLAIMING, E.SINK_LOST), (L.CLAIMING, E.CLAIM_FAILED), (L.FINISHED, E.SINK_LOST))
def a_sink_is_lost_while_it_is_claimed() -> None:
    script, one, two = given(end=True)
    script.durable(one)
    claim = script.one(m.Claim)
    script.fail(two)
    assert (script.lane(1).state, script.lane(3).state) == (L.FINISHED, L.CLAIMING)
    script.send(m.Claimed("a", claim.shards, None))
    assert script.lane(3).state is L.UNCLAIMED


@takes(
    (L.FLOWING, E.HANDED_BACK),
    (L.FLOWING, E.SINK_LOST),
    (L.ENDING, E.SINK_LOST),
    (L.UNCLAIMED, E.HANDED_BACK),
)
def a_sink_is_lost_and_hands_everything_back() -> None:
    script, one, two = given(end=True)
    script.fail(two)
    script.fail(one)
    assert (script.lane(1).state, script.lane(2).state) == (L.UNCLAIMED, L.UNCLAIMED)
    assert not script.lane(1).tracker.open


@takes((L.ENDING, E.HANDED_BACK))
def an_end_is_handed_back() -> None:
    script, reads = flowing()
    script.page(reads[1], change(1), end=True)
    script.fail(script.one(m.Write), ErrorKind.REJECTED)
    assert script.lane(1).state is L.FLOWING


@takes((L.UNCLAIMED, E.END_DURABLE), (S.DOWN, F.PROVED))
def an_end_becomes_durable_after_its_sink_was_lost() -> None:
    script, one, two = given(end=True)
    script.accept(one)
    script.fail(two)
    script.durable(one)
    assert script.lane(1).state is L.FINISHED
    assert script.lane(3).state is L.UNCLAIMED


@takes((S.OPENING, F.PROVED))
def a_batch_from_before_becomes_durable_while_the_sink_opens_again() -> None:
    script, one, two = given()
    script.accept(one)
    script.fail(two)
    script.wait(1.0)
    script.durable(one)
    assert sink_state(script) is S.OPENING


@takes((S.OPENING, F.OPENED_AGAIN), (S.PROBING, F.PROVED))
def a_sink_is_back_and_proves_itself() -> None:
    script, one, two = given()
    script.durable(one)
    script.fail(two)
    opened_again(script)
    assert sink_state(script) is S.PROBING
    script.durable(probe(script))
    assert sink_state(script) is S.UP


@takes((S.PROBING, F.FAILED))
def a_sink_is_back_and_fails_again() -> None:
    script, one, two = given()
    script.durable(one)
    script.fail(two)
    opened_again(script)
    script.fail(probe(script))
    assert sink_state(script) is S.DOWN


def probe(script: Script) -> m.Write:
    """The one batch that a sink is given first when it is back."""
    script.claim()
    script.open_iterators()
    script.page(script.new(m.Read)[0], change(5))
    return script.one(m.Write)


@takes((L.WAITING, E.HALT), (L.HALTED, E.SINK_LOST))
def a_gap_that_nobody_has_decided_about_is_remembered() -> None:
    starts = [SavedStart("a", STREAM.arn, "orders", "trim-horizon", START)]
    script = Script(saved=Saved(starts=starts, gaps=[SavedGap("a", key(1), "orders", START, "it expired")]))
    script.start(shard(1), open_sinks=False)
    script.send(m.SinkFailed("a", SinkError(ErrorKind.UNAVAILABLE, "away")))
    assert script.lane(1).state is L.HALTED


@takes((L.FLOWING, E.HALT), (L.HALTED, E.HANDED_BACK))
def a_batch_is_called_wrong_and_the_one_behind_it_comes_back_too() -> None:
    script, reads = flowing()
    script.page(reads[2], change(1))
    script.accept(first := script.one(m.Write))
    script.page(next(read for read in script.new(m.Read) if read.reader.shard == key(2)), change(2))
    second = script.one(m.Write)
    script.fail(first, ErrorKind.INVALID_REQUEST)
    script.fail(second, ErrorKind.INVALID_REQUEST)
    assert script.lane(2).state is L.HALTED


@takes((L.UNCLAIMED, E.HALT))
def a_batch_from_before_its_sink_was_lost_is_called_wrong() -> None:
    script, one, two = given()
    script.accept(one)
    script.fail(two)
    script.fail(one, ErrorKind.INVALID_REQUEST)
    assert script.lane(1).state is L.HALTED


@takes((S.UP, F.HALT), (S.HALTED, F.PROVED))
def too_much_is_refused() -> None:
    script, one, two = given(limit=0)
    bury(script, one)
    script.durable(two)
    assert sink_state(script) is S.HALTED
    assert script.lane(2).tracker.durable.sequence == "2"


@takes((S.DOWN, F.HALT))
def too_much_was_refused_before_the_sink_was_lost() -> None:
    script, one, two = given(limit=0)
    script.accept(one)
    script.fail(two)
    bury(script, one)
    assert sink_state(script) is S.HALTED


@takes((S.OPENING, F.HALT), (S.HALTED, F.OPENED_AGAIN))
def too_much_was_refused_and_the_sink_is_opening_again() -> None:
    script, one, two = given(limit=0)
    script.accept(one)
    script.fail(two)
    script.wait(1.0)
    bury(script, one)
    script.send(m.SinkOpened("a"))
    assert sink_state(script) is S.HALTED


@takes((S.PROBING, F.HALT))
def too_much_is_refused_of_the_batch_that_was_to_prove_the_sink() -> None:
    script, one, two = given(limit=0)
    script.durable(one)
    script.fail(two)
    opened_again(script)
    bury(script, probe(script))
    assert sink_state(script) is S.HALTED


@pytest.mark.parametrize("history", HISTORIES, ids=lambda history: history.__name__)
def test_a_history_takes_its_pairs(history: Callable[[], None], taken: set[Pair]) -> None:
    history()
    assert set(HISTORIES[history]) <= taken
