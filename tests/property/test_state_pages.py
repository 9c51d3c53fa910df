"""Pages hold what a state is, however it came about, and survive their encoding."""

import string
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.model import Place, Position, ShardKey, after
from cdc.ports import Owner, SavedCursor, SavedGap, SavedStart, StateChange
from cdc.testing.fakes import MemoryStore
from cdc.testing.saved_state import contents
from connectors.state_dynamodb import pages
from connectors.state_dynamodb.pages import Page, Pages, decode, encode

OWNER = Owner("here", 1, "then")

sinks = st.sampled_from(["bus", "lake", "é"])
shards = st.builds(ShardKey, st.sampled_from(["s1", "s2"]), st.integers(0, 9).map(lambda n: f"shard-{n}"))
times = st.floats(0, 2e9)
positions = st.builds(
    Position,
    st.sampled_from(Place),
    st.integers(0, 10**40).map(str) | st.just(""),
    st.none() | times,
    st.integers(0, 9),
)
cursors = st.builds(
    SavedCursor,
    sinks,
    shards,
    positions,
    st.just("orders"),
    st.booleans(),
    times,
    st.none() | times,
    st.none() | times,
)
found_at = st.integers(0, 3).map(float)
changes = st.builds(
    StateChange,
    st.lists(cursors, max_size=8, unique_by=lambda one: (one.sink, one.shard)),
    st.lists(
        st.builds(
            SavedStart, sinks, st.just("s1"), st.just("orders"), st.just("latest"), times, st.text(max_size=4)
        ),
        max_size=2,
    ),
    st.lists(
        st.builds(
            SavedGap,
            sinks,
            shards,
            st.just("orders"),
            found_at,
            st.text(),
            st.text(max_size=4),
            st.text(max_size=4),
            st.booleans(),
            st.text(max_size=4),
            st.none() | times,
            st.integers(1, 9),
            st.none() | times,
        ),
        max_size=3,
    ),
    st.none() | st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=3),
    st.none() | st.dictionaries(sinks, st.integers(0, 9), max_size=2),
    st.lists(st.tuples(sinks, shards), max_size=4),
    st.lists(st.tuples(sinks, shards, found_at), max_size=4),
)


@pytest.fixture(autouse=True, scope="module")
def _small_pages() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pages, "ROWS_PER_PAGE", 3)
        yield


@given(st.lists(changes, max_size=8))
def test_pages_are_what_a_state_is(history: list[StateChange]) -> None:
    """As the store in memory has it, which keeps no pages; over the encoding, and with a reader who begins anew."""
    memory = MemoryStore()
    lease = memory.acquire(OWNER, lease_seconds=15, now=0.0)
    kept = Pages()
    stored: dict[str, Page] = {}
    for number, change in enumerate(history, start=1):
        memory.save(lease, change)
        changed = kept.changed(change)
        for name, rows in changed.items():
            assert len(rows) <= 3
            slot = kept.free_slot(name)
            assert name not in stored or stored[name].slot != slot, "a page that counts is not written"
            stored[name] = Page(slot, number, decode(encode(rows.values())))
        kept.turn(changed, number)
        assert kept.table == {name: page.save for name, page in stored.items()}
        expected = contents(memory.load())
        assert contents(kept.saved()) == expected
        assert contents(Pages(stored).saved()) == expected


@given(changes)
def test_what_is_saved_again_changes_nothing(change: StateChange) -> None:
    kept = Pages()
    kept.turn(kept.changed(change), 1)
    saved = kept.saved()
    again = StateChange(saved.cursors, saved.starts, saved.gaps, saved.settings, saved.epochs)
    assert not kept.changed(again)


@given(changes)
def test_the_same_rows_are_the_same_bytes(change: StateChange) -> None:
    kept = Pages()
    for rows in kept.changed(change).values():
        assert encode(rows.values()) == encode(rows.values())
        assert decode(encode(rows.values())) == rows


@given(st.binary(max_size=60))
def test_what_is_no_page_is_said_to_be_none(content: bytes) -> None:
    with pytest.raises(ValueError, match="not what a state holds"):
        decode(content)


def test_open_and_ended_shards_lie_on_pages_of_their_own() -> None:
    open_ones = [cursor_at(number, Place.AFTER) for number in range(5)]
    ended = [cursor_at(number, Place.END) for number in range(5, 10)]
    kept = Pages()
    kept.turn(kept.changed(StateChange(cursors=[*open_ones, *ended])), 1)
    assert set(kept.changed(StateChange(cursors=[cursor_at(0, Place.AFTER, "2")]))) == {"o0"}
    assert set(kept.changed(StateChange(cursors=[cursor_at(0, Place.END)]))) == {"o0", "e1"}


def cursor_at(number: int, place: Place, sequence: str = "1") -> SavedCursor:
    position = Position(place, sequence)
    return SavedCursor("bus", ShardKey("s", f"shard-{number}"), position, "orders", False, 0.0)


def test_the_longest_rows_fit_an_item() -> None:
    """ARNs and ids at their longest (API reference, DynamoDB Streams), and nothing that compresses."""
    random = Random(1)

    def noise(length: int) -> str:
        return "".join(random.choices(string.ascii_letters + string.digits, k=length))

    rows = [
        SavedGap(noise(64), ShardKey(noise(1024), noise(65)), noise(255), 0.5, noise(600)) for _ in range(128)
    ]
    assert len(encode(rows)) < 400_000


def test_pages_of_the_first_format_are_read() -> None:
    """What they lack has its default."""
    page = {
        "cursors": [["bus", "s", "s1", 1, "5", None, 0, "orders", False, 7.0, None]],
        "starts": [["bus", "s", "orders", "latest", 7.0]],
        "gaps": [["bus", "s", "s1", "orders", 7.0, "it expired", "reset to latest"]],
    }
    cursor, start, gap = pages.decode(pages.packed(page)).values()
    assert cursor == SavedCursor("bus", ShardKey("s", "s1"), after("5"), "orders", False, 7.0)
    assert start == SavedStart("bus", "s", "orders", "latest", 7.0)
    assert gap == SavedGap("bus", ShardKey("s", "s1"), "orders", 7.0, "it expired", "reset to latest")
