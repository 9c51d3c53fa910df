"""What a witness makes of a state: every finding, and when each may be reached."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.core.remembrance import (
    IDENTITY,
    MARGIN_SECONDS,
    RAN_AT,
    UNKNOWN,
    Finding,
    Judgement,
    Known,
    Names,
    Remembered,
    judge,
    lost_pairs,
)
from cdc.model import RETENTION_SECONDS
from cdc.ports import Saved, SavedStart

NOW = 1_767_225_660.0
BEGUN = SavedStart("file", "arn", "orders", "latest", 1.0)
RIGHT = Saved(starts=[BEGUN], settings={IDENTITY: "mine", RAN_AT: repr(NOW - 60)})
NAMES = Names("orders", "the state /state.db", "the witness /orders.ran.json")
WITNESS = Remembered(("mine",), 7, NOW - 60, {("orders", "file"): Known("arn", NOW - 300)}, {})


def judged(
    remembered: Remembered | None,
    saved: Saved,
    *,
    start: str = "trim-horizon",
    sinks: tuple[str, ...] = ("file",),
    streams: Mapping[str, str] | None = None,
) -> Judgement:
    return judge(
        remembered,
        saved,
        pairs=[("orders", sink) for sink in sinks],
        start=start,
        now=NOW,
        names=NAMES,
        streams=streams,
    )


def test_nobody_remembers() -> None:
    assert judged(None, Saved()) == judged(None, RIGHT) == Judgement(Finding.RIGHT)


def test_where_nobody_remembers_nothing_is_missed() -> None:
    assert lost_pairs(None, Saved(), [("orders", "file")]) == []


def test_they_agree() -> None:
    assert judged(WITNESS, RIGHT) == Judgement(Finding.RIGHT)
    later = replace(RIGHT, settings={IDENTITY: "mine", RAN_AT: repr(NOW)})  # the state is written first
    assert judged(WITNESS, later) == Judgement(Finding.RIGHT)
    assert judged(replace(WITNESS, states=("old", "mine")), RIGHT) == Judgement(Finding.RIGHT)


def test_a_sink_that_is_new_is_none_of_it() -> None:
    assert judged(WITNESS, RIGHT, sinks=("file", "new"), start="latest") == Judgement(Finding.RIGHT)


@pytest.mark.parametrize("ran_at", [None, repr(NOW - 61), "yesterday"])
def test_an_older_state(ran_at: str | None) -> None:
    settings = {IDENTITY: "mine"} | ({RAN_AT: ran_at} if ran_at else {})
    found = judged(WITNESS, replace(RIGHT, settings=settings))
    assert found.finding is Finding.OLDER
    assert found.exit_code == 0
    assert "2026-01-01T00:00:00Z" in found.message


def test_another_state() -> None:
    other = replace(RIGHT, settings={IDENTITY: "other", RAN_AT: repr(NOW + 60)})
    found = judged(WITNESS, other)
    assert (found.finding, found.exit_code) == (Finding.ANOTHER, 2)
    assert "/state.db" in found.message
    assert "import --replace" in found.remedy


@pytest.mark.parametrize(
    ("start", "delivered_until", "code"),
    [
        ("trim-horizon", NOW - 300, 0),
        ("trim-horizon", NOW - RETENTION_SECONDS + MARGIN_SECONDS, 3),
        ("trim-horizon", NOW - RETENTION_SECONDS + MARGIN_SECONDS + 1, 0),
        ("trim-horizon", NOW + MARGIN_SECONDS + 1, 3),  # a clock that went back tells nothing
        ("trim-horizon", None, 3),
        ("latest", NOW - 300, 3),
    ],
)
def test_positions_that_are_gone(start: str, delivered_until: float | None, code: int) -> None:
    witness = replace(WITNESS, pairs={("orders", "file"): Known("arn", delivered_until)})
    for saved in (
        Saved(),
        Saved(settings={IDENTITY: "new"}),
        replace(RIGHT, starts=[replace(BEGUN, sink="other")]),
    ):
        found = judged(witness, saved, start=start)
        assert found.exit_code == code
        assert list(found.lost) == [("orders", "file")]
        assert (found.finding is Finding.DELIVERS_AGAIN) == (not code)
        assert "reset CONFIG --sink file" in found.remedy or not code


def test_a_witness_that_cannot_be_read() -> None:
    damaged = Remembered((), 0, 0.0, {}, {}, damaged=True)
    assert judged(damaged, RIGHT).exit_code == 0
    assert judged(damaged, RIGHT).message
    assert judged(damaged, Saved()).exit_code == 3


def test_a_stream_that_was_replaced_may_have_taken_changes_with_it() -> None:
    found = judged(WITNESS, Saved(), streams={"orders": "arn:new"})
    assert found.exit_code == 3
    assert "new stream" in found.message
    assert judged(WITNESS, Saved(), streams={}).exit_code == 3
    same = judged(WITNESS, Saved(), streams={"orders": "arn"})
    assert same.finding is Finding.DELIVERS_AGAIN
    assert same.message.endswith("nothing is lost")
    nobody_looked = judged(WITNESS, Saved())
    assert nobody_looked.message.endswith("as long as the stream is still the same")


def test_each_is_judged_by_its_own_time() -> None:
    """A sink that was taken out for days, or never had anything, has nothing of another one's time."""
    for until in (NOW - 5 * RETENTION_SECONDS, None):
        pairs = {("orders", "file"): Known("arn", NOW - 60), ("orders", "back"): Known("arn", until)}
        witness = replace(WITNESS, pairs=pairs)
        found = judged(witness, Saved(), sinks=("file", "back"))
        assert found.exit_code == 3
        assert "--sink back" in found.remedy
        assert "--sink file" not in found.remedy
        assert set(found.lost) == set(pairs)
        assert judged(witness, Saved()).finding is Finding.DELIVERS_AGAIN


def test_a_table_without_positions_is_gone_whatever_others_have() -> None:
    """An older copy of the state, from before the table was added."""
    pairs = {**WITNESS.pairs, ("parcels", "file"): Known("arn:2", NOW - 300)}
    older = replace(RIGHT, settings={IDENTITY: "mine", RAN_AT: repr(NOW - 600)})
    configured = [("orders", "file"), ("parcels", "file"), ("new", "file")]
    for start, code in (("latest", 3), ("trim-horizon", 0)):
        found = judge(
            replace(WITNESS, pairs=pairs), older, pairs=configured, start=start, now=NOW, names=NAMES
        )
        assert found.exit_code == code
        assert list(found.lost) == [("parcels", "file")]
        assert "parcels" in found.message


def test_names_the_table_where_others_of_the_sink_need_no_decision() -> None:
    pairs = {**WITNESS.pairs, ("parcels", "file"): UNKNOWN}
    found = judge(
        replace(WITNESS, pairs=pairs), Saved(), pairs=list(pairs), start="trim-horizon", now=NOW, names=NAMES
    )
    assert "--sink file --table parcels --to" in found.remedy
    assert "orders" not in found.remedy


def test_a_damaged_witness_may_have_known_each() -> None:
    damaged = Remembered((), 0, 0.0, {}, {}, damaged=True)
    found = judged(damaged, RIGHT, sinks=("file", "other"))
    assert found.exit_code == 3
    assert list(found.lost) == [("orders", "other")]


@given(
    delivered_until=st.none() | st.floats(NOW - 3 * RETENTION_SECONDS, NOW + RETENTION_SECONDS),
    start=st.sampled_from(("trim-horizon", "latest")),
    begun=st.sets(st.sampled_from(("a", "b", "c"))),
    configured=st.sets(st.sampled_from(("a", "b", "c")), min_size=1),
)
def test_goes_on_without_positions_only_where_nothing_can_have_expired(
    delivered_until: float | None, start: str, begun: set[str], configured: set[str]
) -> None:
    witness = replace(WITNESS, pairs={("orders", sink): Known("arn", delivered_until) for sink in ("a", "b")})
    saved = replace(RIGHT, starts=[replace(BEGUN, sink=sink) for sink in begun])
    found = judged(witness, saved, start=start, sinks=tuple(sorted(configured)))
    gone = (configured & {"a", "b"}) - begun
    assert set(found.lost) == {("orders", sink) for sink in gone}
    if gone and not found.exit_code:
        assert start == "trim-horizon"
        assert delivered_until is not None
        assert delivered_until > NOW - RETENTION_SECONDS
    assert bool(found.message) == bool(gone)
