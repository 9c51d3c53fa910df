"""Exported positions come back as they were, or not at all."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import schemas
from cdc.core.remembrance import IDENTITY
from cdc.errors import ConfigError
from cdc.model import Place, Position, ShardKey
from cdc.observe import positions as exported
from cdc.observe.positions import from_bytes, schema, to_dict
from cdc.ports import Saved, SavedCursor, SavedGap, SavedStart, StateChange
from cdc.process import this_process
from cdc.runtime.witness import WitnessFile
from cdc.runtime.witnessed import WitnessedStore
from cdc.testing.clock import ManualClock
from cdc.testing.fakes import MemoryStore
from cdc.testing.saved_state import contents

SCHEMA = json.loads((Path(schemas.__file__).parent / "positions.schema.json").read_text())
SINKS = ("bus", "lake", "dr")
names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
shards = st.builds(ShardKey, st.sampled_from(("arn:1", "arn:2", "ärn")), names)
times = st.floats(0, 1e11, allow_nan=False)
epochs = st.integers(0, 4)


@st.composite
def positions(draw: st.DrawFn) -> Position:
    place = draw(st.sampled_from(Place))
    sequence = "" if place is Place.BEGINNING else str(draw(st.integers(0, 10**40 - 1)))
    if place is Place.END and draw(st.booleans()):
        sequence = ""
    not_before = draw(st.none() | times) if place is Place.BEGINNING else None
    return Position(place, sequence, not_before, draw(epochs))


@st.composite
def saved_states(draw: st.DrawFn) -> Saved:
    """Anything that the port can hold."""
    sinks = st.sampled_from(SINKS)
    cursors = st.builds(
        SavedCursor,
        sinks,
        shards,
        positions(),
        names,
        st.booleans(),
        times,
        st.none() | times,
        st.none() | times,
    )
    starts = st.builds(
        SavedStart, sinks, names, names, st.sampled_from(("latest", "trim-horizon")), times, names
    )
    gaps = st.builds(
        SavedGap,
        sinks,
        shards,
        names,
        times,
        names,
        st.just("") | names,
        names,
        st.booleans(),
        names,
        st.none() | times,
        st.integers(1, 9),
        st.none() | times,
    )
    return Saved(
        draw(st.lists(cursors, max_size=5, unique_by=lambda c: (c.sink, c.shard))),
        draw(st.lists(starts, max_size=3, unique_by=lambda s: (s.sink, s.stream))),
        draw(st.lists(gaps, max_size=3, unique_by=lambda g: (g.sink, g.shard, g.found_at))),
        settings=draw(st.dictionaries(names, names, max_size=3)) or None,
        epochs=draw(st.dictionaries(sinks, epochs, max_size=3)) or None,
    )


@settings(max_examples=50)
@given(saved=saved_states(), at=times)
def test_comes_back_as_it_was(saved: Saved, at: float) -> None:
    document = to_dict("orders", saved, at=at)
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    for indent in (None, 2):
        found, back = from_bytes(json.dumps(document, indent=indent).encode(), path="file")
        assert (found.pipeline, found.exported_at) == ("orders", at)
        assert contents(back) == contents(saved)


@settings(max_examples=50)
@given(saved=saved_states(), data=st.data())
def test_one_byte_that_changed_is_found(saved: Saved, data: st.DataObject) -> None:
    content = json.dumps(to_dict("orders", saved, at=1.5)).encode()
    at = data.draw(st.integers(0, len(content) - 1))
    damaged = content[:at] + bytes([data.draw(st.integers(0, 255))]) + content[at + 1 :]
    try:
        found, back = from_bytes(damaged, path="file")
    except ConfigError:
        return
    else:  # a blank for a blank, an upper-case escape
        assert (found.pipeline, contents(back)) == ("orders", contents(saved))


@settings(max_examples=50)
@given(saved=saved_states(), data=st.data())
def test_a_file_that_was_cut_off_is_found(saved: Saved, data: st.DataObject) -> None:
    content = json.dumps(to_dict("orders", saved, at=1.5)).encode()
    with pytest.raises(ConfigError):
        from_bytes(content[: data.draw(st.integers(0, len(content) - 1))], path="file")


@given(
    content=st.binary(max_size=50)
    | st.recursive(st.none() | st.floats(), st.lists).map(json.dumps).map(str.encode)
)
def test_anything_else_is_refused(content: bytes) -> None:
    with pytest.raises(ConfigError):
        from_bytes(content, path="file")


def test_says_which_file_and_what_to_do() -> None:
    content = json.dumps(to_dict("orders", Saved(), at=1.5)).replace("orders", "parcels").encode()
    with pytest.raises(ConfigError, match=r"/backup\.json: damaged") as refused:
        from_bytes(content, path="/backup.json")
    assert "export it again" in refused.value.remedy


def test_the_committed_schema_is_that_of_the_code() -> None:
    committed = (Path(schemas.__file__).parent / "positions.schema.json").read_text()
    assert committed == json.dumps(schema(), indent=2) + "\n", (
        "write it anew: python -c 'import json; from cdc.observe.positions import schema; "
        "print(json.dumps(schema(), indent=2))' > schemas/positions.schema.json"
    )


def test_a_newer_version_is_named() -> None:
    with pytest.raises(ConfigError, match="newer version"):
        from_bytes(json.dumps({"version": 2, "what": "ever"}).encode(), path="file")


@settings(max_examples=50)
@given(saved=saved_states())
def test_a_file_from_before_a_key_was_added_is_read(saved: Saved) -> None:
    """Under a checksum of its own."""
    document = to_dict("orders", saved, at=1.0)
    for row in document["positions"]:
        del row["last_created"]
    for row in document["starts"]:
        del row["table_id"]
    for row in document["gaps"]:
        for name in ("kind", "certain", "after", "decided_at", "count", "last_found_at"):
            del row[name]
    document["checksum"] = exported._checksum(document)
    _, back = from_bytes(json.dumps(document).encode(), path="file")
    assert contents(back) == contents(
        replace(
            saved,
            cursors=[replace(cursor, last_created=None) for cursor in saved.cursors],
            starts=[replace(start, table_id="") for start in saved.starts],
            gaps=[
                SavedGap(gap.sink, gap.shard, gap.table, gap.found_at, gap.reason, gap.decision)
                for gap in saved.gaps
            ],
        )
    )


@settings(max_examples=40)
@given(saved=saved_states(), there=saved_states())
def test_import_leaves_what_was_exported(saved: Saved, there: Saved, tmp_path_factory: Any) -> None:
    """Whatever the target had; only a reset epoch that was given there is not given again for something else."""
    begun = SavedStart("bus", "arn:1", "orders", "latest", 1.0)
    names = {**(saved.settings or {}), IDENTITY: "mine"}
    saved = replace(saved, starts=[begun], settings=names)
    file = WitnessFile(tmp_path_factory.getbasetemp(), "orders")
    file.path.unlink(missing_ok=True)
    inner = MemoryStore()
    lease = inner.acquire(this_process(), lease_seconds=15, now=0.0)
    inner.save(lease, StateChange(there.cursors, there.starts, there.gaps, there.settings, there.epochs))
    store = WitnessedStore(inner, file, ManualClock())
    _, back = from_bytes(json.dumps(to_dict("orders", saved, at=1.0)).encode(), path="file")
    found = store.adopt(lease, back, replaces=True)

    own, present, now = saved.epochs or {}, there.epochs or {}, found.epochs or {}
    for sink in SINKS:
        assert now.get(sink, 0) == max(own.get(sink, 0), present.get(sink, 0))
    expected = [
        replace(cursor, position=replace(cursor.position, epoch=now.get(cursor.sink, 0)))
        if cursor.position.epoch == own.get(cursor.sink, 0)
        else cursor
        for cursor in saved.cursors
    ]
    got = replace(found, epochs=saved.epochs)
    assert contents(got) == contents(replace(saved, cursors=expected))
