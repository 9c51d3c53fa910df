"""Whatever a file holds: a configuration or a `ConfigError`, and no secret in it."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cdc.config import Config, load
from cdc.errors import ConfigError
from tests.unit.config.parts import CONNECTORS, RIGHT

SECRET = "hunter2-hunter2"
KEYS = [
    *(
        "version",
        "pipeline",
        "source",
        "sinks",
        "schema",
        "state",
        "dead_letters",
        "admin",
        "transforms",
        "<<",
    ),
    *(
        "type",
        "tables",
        "name",
        "topic",
        "format",
        "compress",
        "password",
        "limits",
        "per_second",
        "properties",
    ),
    *("mode", "envelope", "registry", "path", "checkpoint_seconds", "lease_seconds", "host", "port"),
]
WORDS = [
    "river",
    "bus",
    "null",
    "broken",
    "document",
    "typed",
    "files",
    "glue",
    "sqlite",
    "flat",
    "avro",
    "s3",
    "one",
]
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from([*WORDS, "${S}", "${S", "$$"])
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner, max_size=5)
    ),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def file() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "orders.yaml"


def outcome(file: Path, content: bytes, **environ: str) -> Config | str:
    """The configuration, or the message, which a terminal can show."""
    file.write_bytes(content)
    try:
        return load(file, environ=environ, connectors=CONNECTORS)
    except ConfigError as error:
        message = error.message
    message.encode()
    assert message.startswith(f"{file}:")
    return message


@given(content=st.binary() | st.text().map(str.encode))
def test_any_bytes(file: Path, content: bytes) -> None:
    outcome(file, content)


@given(text=st.text(alphabet="ab:-?,[]{}#&*!|>'\"%@`<\\$~01 \n\t", max_size=60))
def test_any_text_that_looks_like_yaml(file: Path, text: str) -> None:
    outcome(file, (RIGHT + "    password: " + text).encode())


@given(data=st.dictionaries(st.sampled_from(KEYS), values))
def test_any_mapping(file: Path, data: dict[str, Any]) -> None:
    outcome(file, yaml.safe_dump(data, allow_unicode=True).encode(errors="surrogatepass"), S="x")


def places(data: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield at
    for key in data if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else ():
        yield from places(data[key], (*at, key))


@given(choose=st.data(), value=values)
def test_a_file_with_something_else_in_one_place(file: Path, choose: st.DataObject, value: Any) -> None:
    data = yaml.safe_load(
        RIGHT + "    limits: {per_second: 3}\nschema: {registry: {path: x}}\nadmin: {port: 1}\n"
    )
    *parents, last = choose.draw(st.sampled_from([place for place in places(data) if place]))
    at = data
    for parent in parents:
        at = at[parent]
    at[last] = value
    outcome(file, yaml.safe_dump(data).encode(), S="x")


@given(choose=st.data(), variable=st.booleans())
def test_a_secret_in_a_wrong_place(file: Path, choose: st.DataObject, variable: bool) -> None:
    """A word in place of a type or a format may be shown if it stands in the file."""
    data = yaml.safe_load(RIGHT + "    password: x\n    limits: {per_second: 3}\nstate: {lease_seconds: 9}\n")
    fixed = () if variable else ("type",)
    candidates = [place for place in places(data) if place and place[-1] not in fixed]
    *parents, last = choose.draw(st.sampled_from(candidates))
    at = data
    for parent in parents:
        at = at[parent]
    secret = "${S}" if variable else SECRET
    wrapped = choose.draw(st.sampled_from([secret, [secret], {"a": secret}, [[secret]], f"a {secret} b"]))
    at[last] = wrapped
    found = outcome(file, yaml.safe_dump(data).encode(), S=SECRET)
    assert SECRET not in (found if isinstance(found, str) else "")
