"""The benchmark measures nothing before it has looked: its server gives what it says, and its checks catch faults."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.certificates import make
from benchmarks.check import Delivered, differences, disorder, item_differences, source_of
from benchmarks.designs import Run
from benchmarks.feed import Feed, Spec
from benchmarks.processes import Server, serving
from benchmarks.records import IMAGE_BYTES, SHAPES, Record, Shape, index_of, records
from benchmarks.throughput import Case, Results
from cdc.model import BEGINNING, Change, ShardKey, after
from tests.dynamodb_streams.sources import ENVIRONMENT, opened, streams_of

SPEC = Spec("mid", 2, 2_400)
MANY = Spec("small", 250, 500)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    """With the file that a client is to trust."""
    files = make(tmp_path_factory.mktemp("certificates"))
    with serving(files, [SPEC.name, MANY.name]) as found:
        yield found, files.authority


@pytest.fixture
def endpoint(server: tuple[Server, Path], monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in (ENVIRONMENT | {"AWS_CA_BUNDLE": str(server[1])}).items():
        monkeypatch.setenv(name, value)
    return server[0].endpoint


def _record(change: Change) -> Record:
    images = change.dynamodb
    old, new = (bytes(raw).decode() or None for raw in (images.old_image, images.new_image))
    return Record(change.sequence, change.event_name, 0.0, bytes(images.keys).decode(), old, new)


def test_the_source_reads_from_the_canned_server_what_the_check_expects(endpoint: str) -> None:
    found = []
    with opened(endpoint, SPEC.name) as source:
        (stream,) = streams_of(source)
        for shard in source.shards(stream).shards:
            iterator: str | None = source.iterator(shard.key, BEGINNING)
            while iterator is not None:
                page = source.read(shard.key, iterator)
                found += list(map(_record, page.changes))
                iterator = page.next_iterator
            assert shard.closed
    assert found == [record._replace(created=0.0) for record in source_of(SPEC)]


def test_a_reader_goes_on_in_the_middle_of_a_page(endpoint: str) -> None:
    with opened(endpoint, SPEC.name) as source:
        (stream,) = streams_of(source)
        first = source.shards(stream).shards[0].key
        whole = source.read(first, source.iterator(first, BEGINNING)).changes
        rest = source.read(first, source.iterator(first, after(whole[700].sequence))).changes
    assert [change.sequence for change in rest] == [change.sequence for change in whole[701:]]


def test_all_pages_of_a_long_listing(endpoint: str) -> None:
    with opened(endpoint, MANY.name) as source:
        (stream,) = streams_of(source)
        listing = source.shards(stream)
        assert len({shard.key.shard for shard in listing.shards}) == MANY.shards
        parent = ShardKey(stream.arn, listing.shards[0].key.shard)
        assert not source.shards(stream, parent=parent).shards


def test_records_wait_until_they_are_to_come(server: tuple[Server, Path], endpoint: str) -> None:
    server[0].ask("hold")
    with opened(endpoint, SPEC.name) as source:
        (stream,) = streams_of(source)
        shard = source.shards(stream).shards[0].key
        iterator = source.iterator(shard, BEGINNING)
        assert server[0].counts()["records"] == 0
        server[0].ask("go")
        assert len(source.read(shard, iterator).changes) == server[0].counts()["records"] > 0


@pytest.mark.parametrize("shape", SHAPES)
def test_records_are_the_same_each_time_and_of_the_size_that_is_said(shape: Shape) -> None:
    found, again = (list(records(shape, 3, 60, base=7.0)) for _ in range(2))
    assert found == again
    assert {len(record.new) for record in found if record.new} == {IMAGE_BYTES[shape]}
    assert [index_of(record.sequence) for record in found] == list(range(60))
    assert {record.name for record in found} == {"INSERT", "MODIFY", "REMOVE"}


def test_pages_are_no_larger_than_the_service_gives() -> None:
    feed = Feed(Spec("nested", 1, 300), base=0.0)
    index, sizes = 0, []
    while index < 300:
        body = feed.body(0, index)
        sizes.append(body.size)
        index += body.records
    assert len(sizes) > 1
    assert max(sizes) < 1_000_200


WANTED = [Delivered(str(number), "c", ("a", str(number % 2)), None, {"n": {"N": "1"}}) for number in range(4)]


def test_what_is_all_there_passes() -> None:
    assert not differences(WANTED, WANTED)
    assert not disorder(WANTED)


@pytest.mark.parametrize(
    ("delivered", "said"),
    [
        (WANTED[:-1], "3 is missing"),
        ([*WANTED, WANTED[0]], "0 is there twice"),
        ([*WANTED, WANTED[0]._replace(sequence="9")], "9 is none of the source's"),
        ([*WANTED[:3], WANTED[3]._replace(after={"n": {"N": "2"}})], "3 differs in after"),
        ([*WANTED[:3], WANTED[3]._replace(op="u", key=("b", "1"))], "3 differs in op, key"),
    ],
)
def test_a_planted_fault_is_said(delivered: list[Delivered], said: str) -> None:
    assert differences(WANTED, delivered) == [said]


def test_changes_of_one_item_in_another_order_are_said() -> None:
    assert disorder([WANTED[2], WANTED[1], WANTED[0]]) == ["0 comes after a later change of its item"]


def test_faults_of_a_replica_are_said() -> None:
    spec = Spec("small", 1, 200)
    source = list(source_of(spec))
    items = {record.keys: json.loads(record.new) for record in source if record.new}
    gone = [record for record in source if record.name == "REMOVE"]
    for record in gone:
        del items[record.keys]
    versioned = [item | {"_cdc_version": {"S": "v"}} for item in items.values()]
    tombstones = [{"id": {"S": str(number)}} for number in range(len(gone))]
    good = {f"replica-of-{spec.name}": versioned, "_cdc_bench_tombstones": tombstones}
    assert gone
    assert not item_differences(source, good, spec)
    name = f"replica-of-{spec.name}"
    assert "is missing" in item_differences(source, good | {name: versioned[1:]}, spec)[0]
    changed = [versioned[0] | {"note": {"S": "other"}}, *versioned[1:]]
    assert "differs" in item_differences(source, good | {name: changed}, spec)[0]
    back = [*versioned, json.loads(str(gone[0].old))]
    assert "should not be there" in item_differences(source, good | {name: back}, spec)[0]
    assert "tombstones" in item_differences(source, good | {"_cdc_bench_tombstones": []}, spec)[0]


def test_figures_replace_what_stood_between_the_markers(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    runs = {
        "naive loop, null": [Run(1_000, 0.2, 1.0, 1.0, 2**20), Run(1_000, 0.4, 1.0, 1.0, 2**20)],
        "cdc, null": [Run(10_000, 0.1, 1.0, 1.0, 2**20), Run(10_000, 0.1, 1.0, 1.0, 2**20)],
    }
    results = Results({Case("mid", 20, 10_000): runs}, [0.5, 0.5])
    figures = report.Figures("2026-01-01 00:00", {"cores": "2"}, "broker", 2, results, None, None)
    report.write_docs(report.markdown(figures), page)
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith(f"{report.END}\nafter\n")
    assert "old" not in text
    # Round by round: 20 and 40 times.
    assert (
        "| cdc, null | 10,000 | 10.0 (10.0 to 10.0) | 10,000 (10,000 to 10,000) | 1 MiB | 30 (20 to 40) |"
        in text
    )
    with pytest.raises(ValueError, match="no place for figures"):
        report.write_docs("x", _empty(tmp_path))


def _empty(folder: Path) -> Path:
    page = folder / "empty.md"
    page.write_text("nothing")
    return page
