"""What every `SchemaRegistry` does, as test cases to be subclassed (as those of `cdc.testing.sink_contract`):

class TestFiles(RegistryCases):
    def make_registry(self, base: Path) -> SchemaRegistry: ...
"""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest

from cdc.errors import ErrorKind, RegistryError
from cdc.ports import SchemaRegistry

LARGEST_ID = (1 << 31) - 1
"""Four bytes of a message hold it, and readers take them for a signed integer."""


def schema(name: str, *fields: str, **properties: str) -> str:
    """A record with optional fields of text."""
    made = [{"name": field, "type": ["null", "string"], "default": None} for field in fields]
    return json.dumps(
        {"type": "record", "name": name, "namespace": "cdc.testing", "fields": made} | properties
    )


def read(text: str) -> object:
    """A schema as readers see it: without properties, which a registry may drop."""
    data = json.loads(text)
    return data["namespace"], data["name"], [(field["name"], field["type"]) for field in data["fields"]]


class RegistryCases:
    """Cases for every registry."""

    def make_registry(self, base: Path) -> SchemaRegistry:
        """A registry; each call with the same folder gives a client of the same one, each folder has its own, or subjects
        of a name that was never used."""
        raise NotImplementedError

    def make_name(self) -> str:
        """Of a record and its subject, never used before."""
        return f"Record{uuid4().hex}"

    def test_a_schema_keeps_its_id(self, tmp_path: Path) -> None:
        name = self.make_name()
        first = self.make_registry(tmp_path).register(name, schema(name, "a"))
        again = self.make_registry(tmp_path).register(name, schema(name, "a"))
        assert again.id == first.id
        assert first.subject == name
        assert 0 <= first.id <= LARGEST_ID

    def test_white_space_makes_no_other_schema(self, tmp_path: Path) -> None:
        name = self.make_name()
        registry = self.make_registry(tmp_path)
        spaced = json.dumps(json.loads(schema(name, "a")), indent=4)
        assert registry.register(name, schema(name, "a")).id == registry.register(name, spaced).id

    def test_another_schema_has_another_id_and_both_stay(self, tmp_path: Path) -> None:
        name = self.make_name()
        registry = self.make_registry(tmp_path)
        old, new = schema(name, "a"), schema(name, "a", "b")
        ids = [registry.register(name, text).id for text in (old, new, old, new)]
        assert ids == [ids[0], ids[1], ids[0], ids[1]]
        assert ids[0] != ids[1]
        reader = self.make_registry(tmp_path)
        assert [read(reader.schema(id_).text) for id_ in ids[:2]] == [read(old), read(new)]

    def test_a_schema_may_stand_under_several_subjects(self, tmp_path: Path) -> None:
        name = self.make_name()
        registry = self.make_registry(tmp_path)
        for subject in (f"{name}-one", f"{name}-two"):
            registered = registry.register(subject, schema(name, "a"))
            assert read(registry.schema(registered.id).text) == read(schema(name, "a"))

    @pytest.mark.parametrize("odd", ["cdc.orders-value", "cdc.or_x2d_ders.Row", "-._", "A"])
    def test_what_topics_and_records_are_named_can_be_a_subject(self, tmp_path: Path, odd: str) -> None:
        name = self.make_name()
        registry = self.make_registry(tmp_path)
        subject = f"{odd}{name}"
        registered = registry.register(subject, schema(name, "a"))
        assert registered.subject == subject
        assert registry.register(subject, schema(name, "a")).id == registered.id

    def test_an_id_that_was_never_given(self, tmp_path: Path) -> None:
        registry = self.make_registry(tmp_path)
        registry.register(name := self.make_name(), schema(name, "a"))
        with pytest.raises(RegistryError) as caught:
            registry.schema(LARGEST_ID - 1)
        assert caught.value.kind is ErrorKind.NOT_FOUND

    def test_several_that_register_at_once(self, tmp_path: Path) -> None:
        name = self.make_name()
        registry = self.make_registry(tmp_path)
        subjects = [f"{name}{number % 2}" for number in range(8)]
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda subject: registry.register(subject, schema(subject, "a")), subjects))
        assert len({(registered.subject, registered.id) for registered in found}) == 2  # noqa: PLR2004
