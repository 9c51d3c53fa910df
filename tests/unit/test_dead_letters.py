import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdc.errors import DeadLetterError, ErrorKind
from cdc.ports import DeadLetter
from cdc.testing.dead_letters_contract import letters
from connectors.dead_letters import FileDeadLetters, _encode, _encode_mark, _letter

SCHEMA = json.loads((Path(__file__).parents[2] / "schemas" / "dead-letter.schema.json").read_text())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "dead-letters"


@pytest.fixture
def file(folder: Path) -> Path:
    return folder / "pipeline.bus.jsonl"


@pytest.fixture
def dead_letters(folder: Path) -> FileDeadLetters:
    dead_letters = FileDeadLetters(folder, "pipeline")
    dead_letters.open()
    return dead_letters


def validate(line: object) -> None:
    jsonschema.validate(line, SCHEMA, jsonschema.Draft202012Validator)


def test_the_example_has_the_shape_and_is_read(folder: Path) -> None:
    (example,) = SCHEMA["examples"]
    validate(example)
    folder.mkdir()
    (folder / "orders.dr.jsonl").write_text(json.dumps(example) + "\n")
    (letter,) = FileDeadLetters(folder, "orders", read_only=True).read()
    assert json.loads(_encode(letter)) == example
    assert json.loads(letter.record)["dynamodb"]["SequenceNumber"] == letter.sequence


@given(record=st.binary(max_size=100), reason=st.text(max_size=30), at=st.floats(0, 4e9))
def test_any_letter_is_one_line_of_that_shape(record: bytes, reason: str, at: float) -> None:
    letter = replace(letters(1)[0], record=record, reason=reason, at=at)
    line = _encode(letter)
    assert line.count(b"\n") == 1
    validate(json.loads(line))
    assert _letter(FileDeadLetters(Path("nowhere"), "pipeline")._decode(line, Path("file"), 1)) == letter


def test_a_mark_is_a_line_of_that_shape_and_holds_nothing_of_the_item() -> None:
    (letter,) = letters(1)
    mark = json.loads(_encode_mark(letter, 5.0))
    validate(mark)
    assert mark["replayed_at"] == 5.0
    assert not {"record", "record_base64"} & mark.keys()
    assert {key: mark[key] for key in mark if key != "replayed_at"} == {
        key: value for key, value in json.loads(_encode(letter)).items() if key != "record"
    }


def test_the_id_is_short_and_names_one_letter_of_one_sink() -> None:
    written = [*letters(50), *letters(50, sink="lake")]
    ids = [letter.id for letter in written]
    assert len({*ids}) == 100
    assert {len(name) for name in ids} == {12}
    assert [replace(letter, at=1.0, reason="other").id for letter in written] == ids
    assert letters(1)[0].id == "8f7594aa0527"


@pytest.mark.parametrize("missing", ["format", "record", "sequence"])
def test_the_schema_misses_what_is_missing(missing: str) -> None:
    line = json.loads(_encode(letters(1)[0]))
    validate(line)
    del line[missing]
    with pytest.raises(jsonschema.ValidationError):
        validate(line)


def test_whatever_a_crash_leaves_of_the_last_line(file: Path, dead_letters: FileDeadLetters) -> None:
    first, second, third = letters(3)
    dead_letters.write([first])
    whole = file.read_bytes()
    torn = _encode(second)
    for left in (1, len(torn) // 2, len(torn) - 1):
        file.write_bytes(whole + torn[:left])
        reader = FileDeadLetters(file.parent, "pipeline", read_only=True)
        reader.open()
        assert list(reader.read()) == [first]
        assert reader.count() == {"bus": 1}
        assert len(file.read_bytes()) == len(whole) + left, "a reader repairs nothing"
        writer = FileDeadLetters(file.parent, "pipeline")
        writer.open()
        assert file.read_bytes() == whole
        writer.write([second, third])
        assert list(writer.read()) == [first, second, third]


def test_a_file_that_is_but_the_beginning_of_a_line(file: Path, dead_letters: FileDeadLetters) -> None:
    large = replace(letters(1)[0], record=b'"' + b"x" * 200_000 + b'"')
    file.write_bytes(_encode(large)[:-1])
    dead_letters.open()
    assert file.read_bytes() == b""
    dead_letters.write([large])
    file.write_bytes(_encode(large) + _encode(large)[:-1])
    dead_letters.open()
    assert list(dead_letters.read()) == [large]


def test_what_a_failed_write_could_not_take_back_is_gone_with_the_next(
    file: Path, dead_letters: FileDeadLetters
) -> None:
    first, second = letters(2)
    dead_letters.write([first])
    with file.open("ab") as left:
        left.write(_encode(second)[:-9])
    dead_letters.write([second])
    assert list(dead_letters.read()) == [first, second]


@contextmanager
def no_larger_file(size: int) -> Iterator[None]:
    """The operating system takes a part of a write and refuses the rest (setrlimit(2), RLIMIT_FSIZE)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_the_file_as_it_was(file: Path, dead_letters: FileDeadLetters) -> None:
    first, *others = letters(30)
    dead_letters.write([first])
    before = file.read_bytes()
    with no_larger_file(len(before) * 5 + 7), pytest.raises(DeadLetterError) as failed:
        dead_letters.write(others)
    assert failed.value.kind is ErrorKind.UNAVAILABLE
    assert file.read_bytes() == before
    dead_letters.write(others)
    assert list(dead_letters.read()) == [first, *others]


def test_a_line_of_a_newer_format(file: Path, dead_letters: FileDeadLetters) -> None:
    file.write_text('{"format": 2, "changes": []}\n')
    with pytest.raises(DeadLetterError) as refused:
        list(dead_letters.read())
    assert refused.value.kind is ErrorKind.STATE_FORMAT
    assert "newer version" in refused.value.remedy


def test_a_line_that_is_none(file: Path, dead_letters: FileDeadLetters) -> None:
    file.write_text('secret="x"\n')
    for call in (lambda: list(dead_letters.read()), dead_letters.count):
        with pytest.raises(DeadLetterError, match="line 1") as refused:
            call()
        assert refused.value.kind is ErrorKind.MALFORMED
        assert "secret" not in str(refused.value)


def test_counting_goes_on_from_where_it_was(file: Path, dead_letters: FileDeadLetters) -> None:
    written = letters(5)
    dead_letters.write(written[:3])
    assert dead_letters.count() == {"bus": 3}
    read = file.read_bytes()
    file.write_bytes(b"#" * (len(read) - 1) + b"\n")  # not read a second time
    dead_letters.write(written[2:])
    assert dead_letters.count() == {"bus": 5}
    file.write_bytes(_encode(written[0]))
    assert dead_letters.count() == {"bus": 1}


def test_pipelines_in_one_folder_do_not_see_each_other(folder: Path, dead_letters: FileDeadLetters) -> None:
    mine = letters(1)
    dead_letters.write(mine)
    others: list[DeadLetter] = [replace(letter, pipeline="pipeline-2") for letter in letters(3)]
    with pytest.raises(ValueError, match="pipeline-2"):
        dead_letters.write(others)
    second = FileDeadLetters(folder, "pipeline-2")
    second.open()
    second.write(others)
    assert list(dead_letters.read()) == mine
    assert second.count() == {"bus": 3}


def test_a_reader_makes_no_folder(folder: Path) -> None:
    reader = FileDeadLetters(folder, "pipeline", read_only=True)
    reader.open()
    assert list(reader.read()) == []
    assert reader.count() == {}
    assert not folder.exists()


def test_a_place_that_cannot_be_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DeadLetterError) as refused:
        FileDeadLetters(tmp_path / "file", "pipeline").open()
    assert refused.value.kind is ErrorKind.UNAVAILABLE
