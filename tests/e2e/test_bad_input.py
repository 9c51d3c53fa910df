"""Bad input: exit code 2, the place and the remedy, nothing changed; and `cdc check` says it before `cdc run` does."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.command.folder import tree
from tests.command.process import Ended, ended, launch
from tests.dynamodb_streams.canned_server import canned_server, error
from tests.dynamodb_streams.tables import Tables
from tests.services.server import free_port

GOOD = """\
version: 1
pipeline: orders
source:
  type: dynamodb-streams
  tables:
    - TABLE
  region: eu-west-1
  endpoint_url: ENDPOINT
  start: trim-horizon
sinks:
  - name: changes
    type: file
    path: ./changes.jsonl
  - name: lake
    type: lake
    url: file:./lake
admin: null
"""
SOON = 15.0
"""Seconds, the start of two processes on a busy machine included: no retries, and no read timeouts of a minute."""

NOT_HERE = "not in this version"


@dataclass(frozen=True)
class Edit:
    """`old` becomes `new` in `GOOD`; each of `said` is in what both commands write."""

    old: str
    new: str
    said: tuple[str, ...]


def both(folder: Path, *, env: dict[str, str] | None = None, config: str = "pipeline.yaml") -> list[Ended]:
    """`cdc check` and `cdc run`, at the same time; both end with 2, and leave the folder as it was."""
    before = tree(folder)
    with ExitStack() as stack:
        processes = [
            stack.enter_context(launch(folder, command, config, env=env)) for command in ("check", "run")
        ]
        answers = [ended(process, seconds=20) for process in processes]
    for answer in answers:
        assert answer.code == 2, answer.text
        assert "Traceback" not in answer.err
    assert tree(folder) == before
    return answers


def assert_refused(
    folder: Path, *said: str, env: dict[str, str] | None = None, config: str = "pipeline.yaml"
) -> None:
    for answer in both(folder, env=env, config=config):
        for words in said:
            assert words in answer.err, answer.err


def good(endpoint: str, table: str) -> str:
    return GOOD.replace("ENDPOINT", endpoint).replace("TABLE", table)


FILE = "pipeline.yaml"
MISTAKES = {
    "misspelt key": Edit(
        "    path: ", "    pth: ", (f"{FILE}:13: sinks[0].pth: unknown key; did you mean path?",)
    ),
    "misspelt section": Edit("sinks:\n", "sink:\n", (f"{FILE}:10: sink: unknown key; did you mean sinks?",)),
    "wrong type": Edit(
        "  tables:\n    - TABLE", "  tables: TABLE", (f"{FILE}:5: source.tables: should be a list",)
    ),
    "unknown sink": Edit(
        "type: file",
        "type: fiel",
        (f"{FILE}:12: sinks[0].type: fiel is not installed; did you mean file?", "kafka"),
    ),
    "missing environment variable": Edit(
        "./changes.jsonl",
        "${CHANGES_FILE}",
        (f"{FILE}:13: sinks[0].path: ", "CHANGES_FILE is not set: set it, or give a default"),
    ),
    "duplicate sink name": Edit(
        "name: lake",
        "name: changes",
        (f"{FILE}:14: sinks[1].name: the sink in line 11 has this name; allowed:",),
    ),
    "value that is not allowed": Edit(
        "trim-horizon", "trim-horizn", (f"{FILE}:9: source.start: ", "did you mean trim-horizon?", "latest")
    ),
    "a version of another program": Edit(
        "version: 1", "version: 2", (f"{FILE}:1: version: ", "does not know version 2", "allowed: 1")
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes_in_the_file(mistake: Edit, tmp_path: Path) -> None:
    text = GOOD.replace(mistake.old, mistake.new)
    assert text != GOOD
    (tmp_path / FILE).write_text(text.replace("ENDPOINT", "http://127.0.0.1:9").replace("TABLE", "orders"))
    assert_refused(tmp_path, *mistake.said)


def test_empty_list_of_sinks(tmp_path: Path) -> None:
    head, _, _ = good("http://127.0.0.1:9", "orders").partition("sinks:")
    (tmp_path / FILE).write_text(head + "sinks: []\n")
    assert_refused(tmp_path, f"{FILE}:10: sinks: is empty; allowed: a list of at least one sink")


NO_MAPPINGS = {
    "empty": ("", f"{FILE}:1: the file is empty; needed at least: version, pipeline, source, sinks"),
    "only a comment": ("# nothing yet\n", f"{FILE}:1: the file is empty"),
    "a list": (
        "- version: 1\n- pipeline: orders\n",
        f"{FILE}:1: the top of the file is a list; allowed: a mapping",
    ),
    "no YAML": ("version: 1\npipeline: [orders\nsource: {}\n", f"{FILE}:3: not valid YAML"),
    "no text": ("\x00\x01", f"{FILE}:1: not valid YAML"),
}


@pytest.mark.parametrize(("text", "said"), NO_MAPPINGS.values(), ids=NO_MAPPINGS.keys())
def test_files_that_are_no_configuration(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(text)
    assert_refused(tmp_path, said)


def test_file_not_found(tmp_path: Path) -> None:
    assert_refused(tmp_path, "orders.yaml: no such file", config="orders.yaml")


def test_folder_in_place_of_a_file(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    assert_refused(tmp_path, f"{FILE}: cannot be read")


# What is right in itself, and wrong outside.


def write(folder: Path, endpoint: str, table: str, *, sinks: str = "", text: str = "") -> None:
    found = text or good(endpoint, table)
    if sinks:
        found = found.partition("sinks:")[0] + "admin: null\nsinks:\n" + sinks
    (folder / FILE).write_text(found)


def test_table_without_a_stream(tables: Tables, tmp_path: Path) -> None:
    table = tables.create(view_type=None)
    write(tmp_path, tables.url, table)
    assert_refused(tmp_path, f"table {table}", "stream", "remedy: ")


def test_table_that_is_not_there(tables: Tables, tmp_path: Path) -> None:
    write(tmp_path, tables.url, "nowhere")
    assert_refused(tmp_path, "table nowhere", tables.url, "remedy: ")


NEED_IMAGES = """\
  - {name: dr, type: replica, region: us-east-1, table: copy}
  - {name: bus, type: kafka, bootstrap_servers: 'localhost:9', schema: {envelope: flat}}
  - {name: lake, type: lake, url: 'file:./lake'}
  - {name: lines, type: file, path: ./lines.jsonl}
"""


@pytest.mark.parametrize("view_type", ["KEYS_ONLY", "OLD_IMAGE"])
def test_stream_without_new_images(view_type: str, tables: Tables, tmp_path: Path) -> None:
    """Refused, naming the sinks that could make nothing of it."""
    table = tables.create(view_type=view_type)
    write(tmp_path, tables.url, table, sinks=NEED_IMAGES)
    said = (f"table {table}", f"view type {view_type}", "dr, bus, lake\n", "remedy: ", "NEW_AND_OLD_IMAGES")
    assert_refused(tmp_path, *said)


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that takes no connection and refuses none, as behind a firewall."""
    with ExitStack() as stack:
        listener = stack.enter_context(closing(socket.socket()))
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):  # more than its queue takes
            waiting = stack.enter_context(closing(socket.socket()))
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def test_endpoint_that_refuses_connections(tmp_path: Path) -> None:
    endpoint = f"http://127.0.0.1:{free_port()}"
    write(tmp_path, endpoint, "orders")
    for answer in both(tmp_path):
        assert endpoint in answer.err
        assert "table orders" in answer.err
        assert "remedy: " in answer.err
        assert answer.seconds < SOON


def test_endpoint_that_does_not_answer(silent: int, tmp_path: Path) -> None:
    endpoint = f"http://127.0.0.1:{silent}"
    write(tmp_path, endpoint, "orders")
    for answer in both(tmp_path):
        assert endpoint in answer.err
        assert "remedy: " in answer.err
        assert answer.seconds < SOON


def test_denied_credentials(tmp_path: Path) -> None:
    with canned_server() as server:
        server.replies["DescribeTable"] = [
            error("AccessDeniedException", message="not authorized to perform")
        ]
        write(tmp_path, server.url, "orders")
        assert_refused(tmp_path, "table orders", server.url, "AccessDeniedException", "remedy: ")
        assert [operation for operation, _ in server.calls] == ["DescribeTable"] * 2


def test_denied_streams(tables: Tables, tmp_path: Path) -> None:
    """The table may be described, its stream may not."""
    table = tables.create()
    with canned_server() as server:
        server.replies["DescribeStream"] = [error("AccessDeniedException")]
        text = good(tables.url, table).replace("  start:", f"  streams_endpoint_url: {server.url}\n  start:")
        write(tmp_path, "", "", text=text)
        answer = check(tmp_path)
        assert "AccessDeniedException" in answer.err
        assert "DescribeStream of stream " in answer.err
        assert server.url in answer.err


def check(folder: Path) -> Ended:
    """What only `cdc check` refuses: a run tries again until it is there."""
    before = tree(folder)
    with launch(folder, "check", FILE) as process:
        answer = ended(process, seconds=20)
    assert answer.code == 2, answer.text
    assert "remedy: " in answer.err
    assert tree(folder) == before
    return answer


def test_no_credentials(tables: Tables, tmp_path: Path) -> None:
    write(tmp_path, tables.url, tables.create())
    nobody = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    assert_refused(tmp_path, "credentials", "remedy: ", env=nobody)


def test_check_finds_unreachable_sinks(tables: Tables, tmp_path: Path) -> None:
    brokers = f"127.0.0.1:{free_port()}"
    endpoint = f"http://127.0.0.1:{free_port()}"
    (tmp_path / "taken").write_text("a file where a folder should be")
    sinks = (
        f"  - {{name: bus, type: kafka, bootstrap_servers: '{brokers}'}}\n"
        f"  - {{name: dr, type: replica, region: eu-west-1, table: copy, endpoint_url: '{endpoint}'}}\n"
        f"  - {{name: there, type: replica, region: eu-west-1, table: copy, endpoint_url: '{tables.url}'}}\n"
        "  - {name: lake, type: lake, url: 'file:./taken'}\n"
        "  - {name: lines, type: file, path: ./missing/lines.jsonl}\n"
    )
    write(tmp_path, tables.url, tables.create(), sinks=sinks)
    answer = check(tmp_path)
    for said in (
        f"sink bus: {brokers}",
        "sink dr: ",
        endpoint,
        f"sink there: there is no replica table copy at {tables.url}",
        "sink lake: ",
        "sink lines: ",
        "missing/lines.jsonl: No such file or directory",
    ):
        assert said in answer.err
    assert answer.err.count("remedy: ") == 5, answer.err
    assert answer.seconds < SOON


def test_check_passes_what_a_run_can_use(tables: Tables, tmp_path: Path) -> None:
    write(tmp_path, tables.url, tables.create())
    before = tree(tmp_path)
    with launch(tmp_path, "check", FILE) as process:
        answer = ended(process)
    assert answer.code == 0, answer.text
    assert not answer.err
    assert tree(tmp_path) == before


# What a later version has.

LATER = """\
version: 1
pipeline: orders
source:
  type: dynamodb-streams
  tables: [orders]
  region: eu-west-1
  start: snapshot
schema:
  mode: MODE
  registry:
    type: REGISTRY
    url: http://127.0.0.1:9
sinks:
  - {name: bus, type: kafka, bootstrap_servers: 'localhost:9', delivery: exactly-once}
  - name: lake
    type: lake
    url: file:./lake
    format: FORMAT
  - name: dr
    type: replica
    region: us-east-1
    table: copy
    guard: GUARD
dead_letters:
  type: LETTERS
"""
LATER_LINES = {
    7: "source.start",
    9: "schema.mode",
    11: "schema.registry.type",
    14: "sinks[0].delivery",
    18: "sinks[1].format",
    23: "sinks[2].guard",
    25: "dead_letters.type",
}
ROUNDS = [
    {
        "MODE": "typed",
        "REGISTRY": "glue",
        "FORMAT": "parquet",
        "GUARD": "side-table",
        "LETTERS": "s3",
    },
    {
        "MODE": "declared",
        "REGISTRY": "glue",
        "FORMAT": "jsonl",
        "GUARD": "none",
        "LETTERS": "sqs",
    },
]


@pytest.mark.parametrize("values", ROUNDS, ids=["one", "other"])
def test_values_of_later_versions(values: dict[str, str], tmp_path: Path) -> None:
    text = LATER
    for word, value in values.items():
        text = text.replace(word, value)
    (tmp_path / FILE).write_text(text)
    for answer in both(tmp_path):
        refused = [line for line in answer.err.splitlines() if NOT_HERE in line]
        for line, key in LATER_LINES.items():
            assert any(f"{FILE}:{line}: {key}: " in found for found in refused), (key, answer.err)
        assert len(answer.err.splitlines()) == len(LATER_LINES), answer.err


COMMANDS = [
    ("run", FILE, "--runtime", "kcl"),
    ("snapshot", FILE),
    ("snapshot", FILE, "--segments", "4"),
    ("sim", "--port", "1"),
    ("positions", "forget", FILE, "--sink", "bus"),
    ("schema", "infer", FILE),
]


@pytest.mark.parametrize(
    "arguments", COMMANDS, ids=lambda arguments: " ".join(arguments).replace(f" {FILE}", "")
)
def test_commands_of_later_versions(arguments: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(good("http://127.0.0.1:9", "orders"))
    before = tree(tmp_path)
    with launch(tmp_path, *arguments) as process:
        answer = ended(process)
    assert answer.code == 2, answer.text
    assert NOT_HERE in answer.err
    assert arguments[0] in answer.err or "--runtime kcl" in answer.err
    assert tree(tmp_path) == before


@pytest.mark.parametrize("arguments", [("rum", FILE), ("run",), ("run", FILE, "--no-such-option")])
def test_bad_usage(arguments: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(good("http://127.0.0.1:9", "orders"))
    before = tree(tmp_path)
    with launch(tmp_path, *arguments) as process:
        answer = ended(process)
    assert answer.code == 2, answer.text
    assert "Usage" in answer.err
    assert tree(tmp_path) == before
