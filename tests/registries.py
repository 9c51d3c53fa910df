"""A schema registry without a disk, for tests that are about what is encoded, not about where schemas are kept."""

from cdc.errors import ErrorKind, RegistryError
from cdc.model import RegisteredSchema


class MemoryRegistry:
    def __init__(self) -> None:
        self._ids: dict[str, int] = {}
        self._schemas: dict[int, RegisteredSchema] = {}

    def register(self, subject: str, schema: str) -> RegisteredSchema:
        id_ = self._ids.setdefault(schema, len(self._ids) + 1)
        registered = RegisteredSchema(id_, subject, schema)
        self._schemas.setdefault(id_, registered)
        return registered

    def schema(self, id: int) -> RegisteredSchema:  # noqa: A002 - the port's own word
        try:
            return self._schemas[id]
        except KeyError:
            raise RegistryError(ErrorKind.NOT_FOUND, f"no schema has the id {id}") from None
