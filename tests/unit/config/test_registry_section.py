"""`schema.registry`: a section of several types, in which nothing that is secret is ever repeated."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from pydantic import SecretStr

from cdc.config import ConfluentRegistryConfig, FilesRegistryConfig, json_schema
from cdc.config.reference import EXAMPLE
from tests.unit.config.parts import RIGHT, Folder

SECRET = "hunter2-opal"
URL = "https://registry.example:8081/apis/ccompat/v7"


def registry(**keys: Any) -> str:
    section = {"type": "confluent", "url": URL} | keys
    return RIGHT + yaml.safe_dump({"schema": {"registry": section}}, width=1000)


@pytest.mark.parametrize("more", ["", "schema: {registry: {}}\n", "schema: {registry: {type: files}}\n"])
def test_a_folder_where_nothing_is_said(folder: Folder, more: str) -> None:
    section = folder.load(RIGHT + more).schema_.registry
    assert isinstance(section, FilesRegistryConfig)
    assert section.path.name == "cdc-schemas"
    assert section.path.is_absolute()


def test_a_folder(folder: Folder) -> None:
    section = folder.load(RIGHT + "schema: {registry: {path: ./other}}\n").schema_.registry
    assert isinstance(section, FilesRegistryConfig)
    assert section.path.name == "other"


def test_a_server(folder: Folder) -> None:
    text = registry(
        url=["https://a:8081/", URL],
        basic={"username": "cdc", "password": SECRET},
        ca_file="ca.pem",
        certificate_file="own.pem",
        key_password=SECRET,
        timeout_seconds=2,
        subject="record-name",
        auto_register=False,
    )
    section = folder.load(text).schema_.registry
    assert isinstance(section, ConfluentRegistryConfig)
    assert section.url == ("https://a:8081", URL)
    assert section.ca_file is not None
    assert section.ca_file.is_absolute()
    assert section.basic is not None
    assert section.basic.password == SecretStr(SECRET)
    assert SECRET not in f"{section!r}{section}"


def test_what_a_server_needs_no_word_for(folder: Folder) -> None:
    section = folder.load(registry()).schema_.registry
    assert isinstance(section, ConfluentRegistryConfig)
    assert (section.url, section.subject, section.auto_register) == ((URL,), "topic-name", True)
    assert section.timeout_seconds == 5


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        (
            "{type: confluence}",
            "schema.registry.type: not confluence; did you mean confluent?; allowed: files, confluent",
        ),
        ("{type: glue}", "schema.registry.type: glue is not in this version; allowed: files, confluent"),
        ("{type: [files]}", "schema.registry.type: allowed: files, confluent"),
        ("{type: null}", "schema.registry.type: allowed: files, confluent"),
        ("{type: confluent}", "schema.registry.url: this key is missing"),
        ("3", "schema.registry: should be a mapping (key: value), and is a number"),
        ("null", "schema.registry: should be a mapping (key: value), and is nothing (null)"),
        ("{pth: x}", "schema.registry.pth: unknown key; did you mean path?; allowed: type, path"),
        ("{url: 'http://a'}", "schema.registry.url: unknown key; allowed: type, path"),
        (
            "{type: confluent, url: 'http://a', subjekt: x}",
            "schema.registry.subjekt: unknown key; did you mean subject?; allowed: type, url, basic",
        ),
        (
            "{type: confluent, url: 'http://a', subject: topic}",
            "schema.registry.subject: not topic; did you mean topic-name?; allowed: topic-name, record-name, ",
        ),
        ("{type: confluent, url: []}", "schema.registry.url: "),
        ("{type: confluent, url: 7}", "schema.registry.url: should be a list, and is a number"),
        ("{type: confluent, url: ['http://a', ftp://b]}", "schema.registry.url[1]: expected http://HOST"),
        (
            "{type: confluent, url: 'http://a', basic: {user: x, password: y}}",
            "schema.registry.basic.username: this key is missing",
        ),
        (
            "{type: confluent, url: 'http://a', basic: {username: 'a:b', password: y}}",
            "schema.registry.basic.username: ",
        ),
        (
            "{type: confluent, url: 'http://a', bearer_token: x, basic: {username: a, password: y}}",
            "schema.registry: basic and bearer_token exclude each other",
        ),
        (
            "{type: confluent, url: 'http://a', logical_cluster: x}",
            "schema.registry: logical_cluster goes with",
        ),
        (
            "{type: confluent, url: 'https://a', key_file: x}",
            "schema.registry: key_file and key_password go with",
        ),
        (
            "{type: confluent, url: 'http://a', ca_file: x}",
            "schema.registry: ca_file and certificate_file have no",
        ),
        (
            "{type: confluent, url: 'http://a', timeout_seconds: 0}",
            "schema.registry.timeout_seconds: should be",
        ),
    ],
)
def test_what_is_wrong(folder: Folder, section: str, problem: str) -> None:
    [found, *_] = folder.problems(RIGHT + f"schema: {{registry: {section}}}\n")
    assert found.split(": ", 1)[1].startswith(problem)


@pytest.mark.parametrize(
    "keys",
    [
        {"url": f"https://cdc:{SECRET}@registry.example"},
        {"url": f"https://{SECRET}@registry.example"},
        {"url": f"https://cdc:{SECRET}/x@registry.example"},
        {"url": f"https://registry.example?token={SECRET}"},
        {"url": f"https://registry.example:{SECRET}"},
        {"url": f"https://[{SECRET}"},
        {"url": f"https://a℀{SECRET}"},
        {"url": f"https://a,https://cdc:{SECRET}"},
        {"url": [URL, f"https://cdc:{SECRET}@registry.example"]},
        {"bearer_token": f"{SECRET} x"},
        {"bearer_token": f"{SECRET}\n"},
        {"bearer_token": [SECRET]},
        {"basic": {"username": f"{SECRET}:", "password": SECRET}},
        {"basic": f"cdc:{SECRET}"},
        {"basic": {"username": "a", "password": SECRET}, "bearer_token": SECRET},
        {"key_password": SECRET},
    ],
    ids=str,
)
def test_what_is_refused_is_not_repeated(folder: Folder, keys: dict[str, Any]) -> None:
    problems = folder.problems(registry(**keys))
    assert all(": schema.registry" in problem for problem in problems)
    assert problems
    assert SECRET not in "".join(problems)


VALIDATOR = jsonschema.Draft202012Validator(json_schema())


@pytest.mark.parametrize(
    ("section", "valid"),
    [
        ({}, True),
        ({"path": "./x"}, True),
        ({"type": "files", "path": "./x"}, True),
        ({"type": "confluent", "url": URL}, True),
        ({"type": "confluent", "url": [URL, URL], "timeout_seconds": "${SECONDS}"}, True),
        ({"type": "confluent", "url": URL, "basic": {"username": "a", "password": "b"}}, True),
        ({"type": "confluent", "url": URL, "path": "./x"}, False),
        ({"type": "confluent"}, False),
        ({"type": "files", "url": URL}, False),
        ({"type": "glue"}, False),
        ({"type": "confluent", "url": URL, "subject": "topic"}, False),
    ],
)
def test_what_an_editor_says(section: dict[str, Any], valid: bool) -> None:
    assert VALIDATOR.is_valid({**yaml.safe_load(EXAMPLE), "schema": {"registry": section}}) is valid


def test_paths_stay_in_the_folder_of_the_file(folder: Folder, tmp_path: Path) -> None:
    section = folder.load(registry(ca_file="pki/ca.pem")).schema_.registry
    assert isinstance(section, ConfluentRegistryConfig)
    assert section.ca_file == tmp_path / "pki" / "ca.pem"
