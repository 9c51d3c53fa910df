"""The registry `files`: ids that never move, whatever crashes and whoever else registers."""

import json
import os
import shutil
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cdc.errors import ErrorKind, RegistryError
from cdc.model import RegisteredSchema
from schemas.registry.files import FilesRegistry


def schema(name: str) -> str:
    return json.dumps({"type": "record", "name": name, "fields": []})


def ids(folder: Path) -> dict[str, list[int]]:
    index = json.loads((folder / "index.json").read_text())
    assert index["version"] == 1
    subjects: dict[str, list[int]] = index["subjects"]
    return subjects


def read(folder: Path) -> RegisteredSchema:
    return FilesRegistry(folder).schema(1)


def write(folder: Path) -> RegisteredSchema:
    return FilesRegistry(folder).register("a", schema("Two"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cdc" / "schemas"


def test_an_id_is_given_once_and_found_again(folder: Path) -> None:
    first = FilesRegistry(folder).register("a", schema("One"))
    second = FilesRegistry(folder).register("a", schema("Two"))
    registry = FilesRegistry(folder)

    assert [first.id, second.id] == [1, 2]
    assert registry.register("a", schema("One")) == first
    assert registry.schema(1) == first
    assert registry.schema(2) == second
    assert (folder / "2.avsc").read_text() == schema("Two")
    assert ids(folder) == {"a": [1, 2]}


def test_one_schema_has_one_id_under_all_subjects(folder: Path) -> None:
    registry = FilesRegistry(folder)
    spaced = json.dumps(json.loads(schema("One")), indent=4)
    assert registry.register("a", schema("One")).id == registry.register("b", spaced).id == 1
    assert registry.schema(1).subject == "a"
    assert registry.register("b", spaced).text == schema("One")
    assert ids(folder) == {"a": [1], "b": [1]}


def test_a_property_makes_another_schema(folder: Path) -> None:
    registry = FilesRegistry(folder)
    changed = json.dumps({**json.loads(schema("One")), "dynamodb.name": "one"})
    assert registry.register("a", schema("One")).id != registry.register("a", changed).id


def test_an_id_that_was_never_given_is_not_found(folder: Path) -> None:
    registry = FilesRegistry(folder)
    for _ in range(2):
        with pytest.raises(RegistryError) as caught:
            registry.schema(2)
        assert caught.value.kind is ErrorKind.NOT_FOUND
        registry.register("a", schema("One"))


def test_reading_makes_no_folder(folder: Path) -> None:
    with pytest.raises(RegistryError):
        FilesRegistry(folder).schema(1)
    assert not folder.exists()


CRASH = """
import os, sys
from pathlib import Path
from schemas.registry.files import FilesRegistry

left = int(sys.argv[2])

def count(event, args):
    global left
    writes = event == "open" and isinstance(args[0], str) and args[2] & (os.O_WRONLY | os.O_RDWR)
    if writes or event in ("os.rename", "os.mkdir"):
        left -= 1
        if left < 0:
            os._exit(9)

sys.addaudithook(count)
FilesRegistry(Path(sys.argv[1])).register("a", sys.argv[3])
"""


def test_a_crash_at_any_step_leaves_a_registry_that_goes_on(folder: Path) -> None:
    steps = 0
    while True:
        here = folder / str(steps)
        command = [sys.executable, "-c", CRASH, str(here), str(steps), schema("One")]
        crashed = subprocess.run(command, check=False, timeout=30).returncode
        assert crashed in (0, 9)
        registry = FilesRegistry(here)
        two = registry.register("a", schema("Two"))
        one = registry.register("a", schema("One"))
        assert one.id != two.id
        assert registry.schema(one.id).text == schema("One")
        assert registry.schema(two.id).text == schema("Two")
        if crashed == 0:
            break
        steps += 1
    assert steps >= 6


def test_a_schema_that_nobody_was_told_of_keeps_its_file(folder: Path) -> None:
    FilesRegistry(folder).register("a", schema("One"))
    (folder / "2.avsc").write_text(schema("Crashed"))
    assert write(folder).id == 3
    assert (folder / "2.avsc").read_text() == schema("Crashed")
    with pytest.raises(RegistryError):
        FilesRegistry(folder).schema(2)


def test_each_file_is_on_disk_before_it_has_its_name_and_the_name_before_the_answer(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FilesRegistry(folder).register("a", schema("One"))
    synced: list[tuple[str, list[str]]] = []
    fsync = os.fsync

    def watch(descriptor: int) -> None:
        status = os.fstat(descriptor)
        what = "folder" if stat.S_ISDIR(status.st_mode) else f"{status.st_size} bytes"
        synced.append(
            (what, sorted(file.name for file in folder.iterdir() if file.suffix in (".avsc", ".json")))
        )
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watch)
    write(folder)
    before, after = ["1.avsc", "index.json"], ["1.avsc", "2.avsc", "index.json"]
    index_bytes = (folder / "index.json").stat().st_size
    assert synced == [
        (f"{len(schema('Two'))} bytes", before),
        ("folder", after),
        (f"{index_bytes} bytes", after),
        ("folder", after),
    ]


REGISTER = """
import sys
from pathlib import Path
from schemas.registry.files import FilesRegistry

print("ready", flush=True)
sys.stdin.readline()
for number in range(12):
    text = '{"type": "record", "name": "R%d", "fields": []}' % number
    print(FilesRegistry(Path(sys.argv[1])).register("a", text).id)
"""


def test_processes_that_register_at_the_same_time_agree(folder: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", REGISTER, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=60)[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert answers[0] == answers[1]
    assert sorted(map(int, answers[0])) == list(range(1, 13))
    assert ids(folder) == {"a": list(range(1, 13))}


def test_threads_that_register_at_the_same_time_agree(folder: Path) -> None:
    registry = FilesRegistry(folder)
    names = [f"R{number % 5}" for number in range(20)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda name: registry.register("a", schema(name)), names))
    assert len({(answer.id, answer.text) for answer in answers}) == 5
    assert sorted(ids(folder)["a"]) == [1, 2, 3, 4, 5]


def test_a_newer_format_is_refused_with_a_remedy(folder: Path) -> None:
    FilesRegistry(folder).register("a", schema("One"))
    (folder / "index.json").write_text(json.dumps({"version": 2, "schemas": []}))
    for use in (read, write):
        with pytest.raises(RegistryError) as caught:
            use(folder)
        assert caught.value.kind is ErrorKind.STATE_FORMAT
        assert "format version 2" in caught.value.message
        assert "newer" in caught.value.remedy
    assert not (folder / "2.avsc").exists()


def damage(folder: Path, name: str, content: bytes | None) -> None:
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("index.json", None),
        ("index.json", b""),
        ("index.json", b'{"version": 1'),
        ("index.json", b'{"version": 1, "subjects": {}}'),
        ("index.json", b'{"version": "1", "registry": "r", "subjects": {}}'),
        ("index.json", b'{"version": 0, "registry": "r", "subjects": {}}'),
        ("index.json", b'{"version": 1, "registry": "r", "subjects": {"a": ["1"]}}'),
        ("index.json", b'{"version": 1, "registry": "r", "subjects": {"a": [-1]}}'),
        ("index.json", b'{"version": 1, "registry": "r", "subjects": {"\xff": [1]}}'),
        ("1.avsc", None),
        ("1.avsc", b""),
        ("1.avsc", b"\xff"),
    ],
)
def test_damage_is_named_and_nothing_is_written_over_it(
    folder: Path, name: str, content: bytes | None
) -> None:
    FilesRegistry(folder).register("a", schema("One"))
    damage(folder, name, content)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    for use in (read, write):
        with pytest.raises(RegistryError) as caught:
            use(folder)
        assert caught.value.kind is ErrorKind.STATE_FORMAT
        assert str(folder / name) in caught.value.message
        assert caught.value.remedy
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_a_path_that_is_no_folder_is_wrong_configuration(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(RegistryError) as caught:
            FilesRegistry(path).register("a", schema("One"))
        assert caught.value.kind is ErrorKind.CONFIGURATION


def test_what_is_no_json_is_not_registered(folder: Path) -> None:
    with pytest.raises(ValueError, match="Expecting"):
        FilesRegistry(folder).register("a", "record One")
    assert not folder.exists()


def test_a_registry_has_a_name_of_its_own_which_a_copy_keeps(folder: Path, tmp_path: Path) -> None:
    assert FilesRegistry(folder).identity(create=False) == ""
    assert not folder.exists()
    name = FilesRegistry(folder).identity(create=True)
    assert name
    write(folder)
    assert FilesRegistry(folder).identity(create=False) == FilesRegistry(folder).identity(create=True) == name
    other = tmp_path / "other"
    write(other)
    assert FilesRegistry(other).identity(create=False) not in ("", name)
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    assert FilesRegistry(copy).identity(create=True) == name
