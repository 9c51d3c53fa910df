from copy import copy

from hypothesis import given
from hypothesis import strategies as st

from cdc.core.schedule import Budget, DueHeap

TIMES = st.integers(0, 20).map(float)
KEYS = st.integers(0, 5)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("at"), KEYS, TIMES),
        st.tuples(st.just("pop"), KEYS, TIMES),
    ),
    max_size=200,
)


@given(STEPS)
def test_a_heap_is_a_table_of_due_times(steps: list[tuple[str, int, float]]) -> None:
    heap: DueHeap[int] = DueHeap()
    table: dict[int, float] = {}
    for step, key, time in steps:
        match step:
            case "at":
                heap.at(key, time)
                table[key] = time
            case _:
                due = [key for key, at in table.items() if at <= time]
                popped = list(heap.pop_due(time))
                assert sorted(popped) == sorted(due)
                table = {key: at for key, at in table.items() if key not in popped}
        assert len(heap) == len(table)
        assert heap.next_due() == min(table.values(), default=None)
        assert all(key in heap for key in table)


@given(st.lists(st.tuples(KEYS, TIMES), max_size=50))
def test_what_is_due_comes_in_the_order_of_its_times(entries: list[tuple[int, float]]) -> None:
    heap: DueHeap[int] = DueHeap()
    table = {}
    for key, time in entries:
        heap.at(key, time)
        table[key] = time
    times = [table[key] for key in heap.pop_due(100.0)]
    assert times == sorted(times)


def test_what_is_added_while_popping_waits() -> None:
    heap: DueHeap[str] = DueHeap()
    heap.at("a", 1.0)
    popped = []
    for key in heap.pop_due(1.0):
        popped.append(key)
        heap.at("b", 1.0)
    assert popped == ["a"]
    assert heap.next_due() == 1.0


def test_a_heap_holds_no_more_than_its_keys_however_often_they_change() -> None:
    heap: DueHeap[int] = DueHeap()
    for time in range(10_000):
        heap.at(time % 10, float(time))
    assert len(heap) == 10
    assert len(heap._heap) <= 64 + 4 * 10 + 1


@given(st.floats(0.5, 20.0), st.lists(st.floats(0.0, 3.0), min_size=1, max_size=60))
def test_a_budget_allows_its_rate_and_one_second_of_burst(per_second: float, pauses: list[float]) -> None:
    budget = Budget(per_second)
    now, begin, spent = 0.0, 0.0, 0
    for pause in pauses:
        now += pause
        wait = budget.wait(now)
        if wait == 0.0:
            budget.spend(now)
            spent += 1
        else:
            assert copy(budget).wait(now + wait) == 0.0
        assert spent <= max(1.0, per_second) + (now - begin) * per_second + 0.01


def test_a_clock_that_stands_still_or_goes_back_gives_nothing() -> None:
    budget = Budget(2.0)
    budget.spend(10.0)
    budget.spend(10.0)
    assert budget.wait(10.0) == 0.5
    assert budget.wait(5.0) == 0.5
    assert budget.wait(10.0) == 0.5
