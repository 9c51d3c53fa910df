"""The simulated tables, whatever is asked of them."""

from decimal import Context, Decimal, Inexact
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.testing.sim.change import Item
from cdc.testing.sim.failures import ServiceError
from cdc.testing.sim.items import KeySchema
from cdc.testing.sim.numbers import add, canonical_number, subtract
from cdc.testing.sim.table import Table, View
from cdc.testing.sim.values import canonical, sortable
from schemas.attribute_value import same_value
from tests.sim_tables.random_requests import RandomRequests
from tests.sim_tables.world import World
from tests.strategies import numbers, spellings

EXACT = Context(prec=600, traps=[Inexact])
KEYS: tuple[tuple[str, str | None], ...] = (("S", None), ("S", "N"), ("N", "S"), ("B", "B"))


@given(st.data())
def test_a_number_has_one_text(data: st.DataObject) -> None:
    number = data.draw(numbers())
    assert canonical_number(data.draw(spellings(number))) == canonical_number(number) == number


@given(numbers(), numbers())
def test_sums_are_exact_or_refused(one: str, other: str) -> None:
    for calculate, exact in (
        (add, EXACT.add(Decimal(one), Decimal(other))),
        (subtract, EXACT.subtract(Decimal(one), Decimal(other))),
    ):
        digits = "".join(map(str, exact.as_tuple().digits)).strip("0")
        if not exact or (len(digits) <= 38 and -130 <= exact.adjusted() <= 125):
            result = calculate(one, other)
            assert Decimal(result) == exact
            assert canonical_number(result) == result
        else:
            with pytest.raises(ServiceError) as error:
                calculate(one, other)
            assert error.value.code == "ValidationException"


@given(numbers(), numbers())
def test_numbers_are_sorted_by_value(one: str, other: str) -> None:
    assert (sortable({"N": one}) < sortable({"N": other})) == (Decimal(one) < Decimal(other))


@given(st.integers(0, 1 << 32))
def test_a_value_keeps_what_it_is(seed: int) -> None:
    rng = Random(seed)
    requests = RandomRequests(rng, "orders", ("S", "N"))
    value = requests.value(4)
    try:
        kept = canonical(value)
    except ServiceError:
        assert "1x" in str(value)
    else:
        assert same_value(kept, value)  # type: ignore[arg-type]  # binary is text here
        assert canonical(kept) == kept
        assert canonical(shuffled(value, rng)) == kept


def shuffled(value: Any, rng: Random) -> Any:
    """With maps and sets in another order."""
    ((kind, content),) = value.items()
    if kind == "M":
        names = rng.sample(list(content), len(content))
        return {kind: {name: shuffled(content[name], rng) for name in names}}
    if kind == "L":
        return {kind: [shuffled(element, rng) for element in content]}
    return {kind: rng.sample(content, len(content)) if kind in ("SS", "NS", "BS") else content}


@pytest.mark.parametrize("key", KEYS)
@given(st.integers(0, 1 << 32))
def test_what_the_stream_is_told_is_what_happened(key: tuple[str, str | None], seed: int) -> None:
    """Whatever is asked: the changes, one after the other, make the table; what is refused changes nothing."""
    world = World()
    world.create(partition=key[0], sort=key[1])
    requests = RandomRequests(Random(seed), "orders", key)
    copy: dict[str, Item] = {}
    for _ in range(30):
        told, before = len(world.streams.changes), world.tables.items("orders")
        operation, request = requests.next()
        try:
            world.call(operation, request)
        except ServiceError:
            assert len(world.streams.changes) == told
            assert world.tables.items("orders") == before
        for change in world.streams.changes[told:]:
            assert change.old != change.new
            assert copy.get(str(change.keys)) == change.old
            if change.new is None:
                del copy[str(change.keys)]
            else:
                copy[str(change.keys)] = change.new
                assert change.keys.items() <= change.new.items()
        assert sorted(map(str, copy.values())) == sorted(map(str, world.tables.items("orders")))


@given(
    st.lists(st.tuples(st.floats(0.0, 3.0), st.integers(0, 3), st.integers(0, 2)), max_size=20),
    st.floats(0.0, 10.0),
)
def test_a_view_of_a_moment_is_what_was_then(writes: list[tuple[float, int, int]], ago: float) -> None:
    """Each write: seconds after the one before, which item, and its value; 0: none."""
    schema = KeySchema("pk", "N")
    table = Table("orders", "arn", "id", 0.0, schema, stale_seconds=10.0)
    history: list[tuple[float, dict[int, int]]] = [(-1.0, {})]
    now = 100.0
    for seconds, number, value in writes:
        now += seconds
        item: Item = {"pk": {"N": str(number)}, "v": {"N": str(value)}}
        table.write(schema.place(item), item if value else None, now=now)
        state = {**history[-1][1], number: value}
        history.append((now, {name: one for name, one in state.items() if one}))
    then = now - ago
    expected = next(state for at, state in reversed(history) if at <= then)
    view = table.as_of(then)
    walked = [item for _, item in view.walk((0,), (1 << 64,))]
    assert {int(item["pk"]["N"]): int(item["v"]["N"]) for item in walked} == expected
    for number in range(4):
        found = view.get(schema.place({"pk": {"N": str(number)}}))
        assert (None if found is None else int(found["v"]["N"])) == expected.get(number)
    now_view = [item for _, item in View(table, {}).walk((0,), (1 << 64,))]
    assert len(now_view) == len(history[-1][1])
