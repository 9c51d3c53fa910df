from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from cdc.model import RegisteredSchema
from cdc.ports import SchemaRegistry
from cdc.testing.registry_contract import RegistryCases
from schemas.registry.confluent import Access, ConfluentRegistry
from schemas.registry.files import FilesRegistry
from schemas.registry.remembering import RememberingRegistry
from tests.schema_registry.stub import stub


class TestFiles(RegistryCases):
    def make_registry(self, base: Path) -> SchemaRegistry:
        return FilesRegistry(base / "schemas")


class TestConfluent(RegistryCases):
    @pytest.fixture(autouse=True)
    def server(self) -> Iterator[None]:
        with ExitStack() as self.stack:
            self.url = self.stack.enter_context(stub()).url
            yield

    def make_registry(self, base: Path) -> SchemaRegistry:
        registry = ConfluentRegistry(Access([self.url]))
        self.stack.callback(registry.close)
        return registry


class TestRemembering(TestConfluent):
    def make_registry(self, base: Path) -> SchemaRegistry:
        return RememberingRegistry(super().make_registry(base), lambda _settings: None)


class TestLookedUp(TestConfluent):
    """Nothing is registered by the one that writes: somebody else did."""

    def make_registry(self, base: Path) -> SchemaRegistry:
        return _RegisteredByHand(super().make_registry(base), self._reader())

    def _reader(self) -> SchemaRegistry:
        registry = ConfluentRegistry(Access([self.url]), auto_register=False)
        self.stack.callback(registry.close)
        return registry


class _RegisteredByHand:
    def __init__(self, somebody: SchemaRegistry, writer: SchemaRegistry) -> None:
        self._somebody = somebody
        self._writer = writer
        self.schema = writer.schema

    def register(self, subject: str, schema: str) -> RegisteredSchema:
        self._somebody.register(subject, schema)
        return self._writer.register(subject, schema)
