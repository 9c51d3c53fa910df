from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from cdc.core.lineage import LaneState
from cdc.core.status import LaneStatus
from cdc.observe.figures import Watermarks, figures
from tests.unit.observe.statuses import AT, HALTED, lane

KEY = ("orders", "bus")
GOING = [state for state in LaneState if state not in (LaneState.WAITING, LaneState.FINISHED)]

lags = st.floats(0, 100_000, allow_nan=False)


@st.composite
def lanes(draw: st.DrawFn, states: Sequence[LaneState]) -> list[LaneStatus]:
    chosen = draw(st.lists(st.tuples(st.sampled_from(states), lags), min_size=1, max_size=8))
    return [lane("bus", f"shardId-{number}", state, lag=lag) for number, (state, lag) in enumerate(chosen)]


@given(lanes(GOING))
def test_the_worst_shard_speaks_for_all(shards: list[LaneStatus]) -> None:
    found = figures(shards)[KEY]
    assert found.lag_seconds == max(shard.lag_seconds for shard in shards)
    assert found.headroom_seconds == min(shard.headroom_seconds for shard in shards)
    assert found.complete_through == min(shard.through or 0 for shard in shards)
    assert found.batches == 2 * len(shards)
    assert sum(found.shards.values()) == len(shards)


@given(lanes(GOING), lanes([LaneState.WAITING]))
def test_what_waits_is_covered_by_its_parent(parents: list[LaneStatus], children: list[LaneStatus]) -> None:
    alone, together = figures(parents)[KEY], figures(children + parents)[KEY]
    assert replace(together, batches=0, shards={}) == replace(alone, batches=0, shards={})
    assert together.shards[LaneState.WAITING] == len(children)


@given(lanes([LaneState.WAITING]))
def test_where_all_wait_the_worst_of_them_counts_and_nothing_is_complete(shards: list[LaneStatus]) -> None:
    found = figures(shards)[KEY]
    assert found.lag_seconds == max(shard.lag_seconds for shard in shards)
    assert found.complete_through is None


def test_a_stream_without_a_going_shard_is_not_covered_by_another_stream() -> None:
    old = lane("bus", "shardId-1", lag=1.0)
    new = replace(lane("bus", "shardId-9", LaneState.WAITING, lag=5.0), stream="another")
    found = figures([old, new])[KEY]
    assert found.lag_seconds == 5.0
    assert found.complete_through is None


def test_an_ended_shard_that_is_shown_holds_completeness_and_nothing_else() -> None:
    ended = lane("bus", "shardId-1", LaneState.FINISHED, lag=500.0)
    found = figures([ended, lane("bus", "shardId-2", lag=1.0)])[KEY]
    assert found.complete_through == ended.through
    assert found.lag_seconds == 1.0


def test_one_unknown_shard_makes_the_whole_unknown() -> None:
    found = figures([HALTED, lane("lake", "shardId-1")])["orders", "lake"]
    assert found.complete_through is None
    assert found.lag_seconds == HALTED.lag_seconds


def test_tables_and_sinks_are_kept_apart() -> None:
    other = replace(lane("bus", "shardId-1", lag=9.0), table="customers")
    found = figures([lane("bus", "shardId-1", lag=1.0), lane("lake", "shardId-1", lag=2.0), other])
    assert {key: table.lag_seconds for key, table in found.items()} == {
        ("orders", "bus"): 1.0,
        ("orders", "lake"): 2.0,
        ("customers", "bus"): 9.0,
    }


@given(st.lists(st.lists(st.one_of(st.none(), st.integers(0, 1000)), max_size=3), max_size=10))
def test_what_was_complete_stays_so(history: list[list[int | None]]) -> None:
    marks = Watermarks()
    last: float | None = None
    for shards in history:
        status = [
            replace(lane("bus", f"shardId-{number}"), through=None if at is None else AT + at)
            for number, at in enumerate(shards)
        ]
        now = marks.advance(figures(status)).get(KEY)
        true_now = figures(status)[KEY].complete_through if status else None
        assert last is None or (now is not None and now >= last)
        assert true_now is None or (now is not None and now >= true_now)
        assert now in (last, true_now)
        last = now
