"""Ids that are known, so that an outage of the registry stops nothing whose schema is known: in this process, and, by
what the pipeline's state keeps, in the next.

What is remembered of each schema is a setting: `schema.registry.id.{subject}.{fingerprint}` is `{id} {reader
fingerprint}` (`schemas.registry.identity`). The id says nothing at another registry, so it is looked at again, when the
process begins and before anything new is registered, whether readers still get this schema for it.
"""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar

from cdc.errors import ErrorKind, RegistryError
from cdc.model import RegisteredSchema
from cdc.ports import SchemaRegistry
from schemas.registry.identity import fingerprint, reader_fingerprint

_PREFIX = "schema.registry.id."
_SLOW_SECONDS = 0.5
_REST = 4.0
"""After a call that took longer and failed, the registry is left alone for so many times as long: a sink's thread, which
waits for it, is there for known schemas at least 80 % of the time."""

T = TypeVar("T")


_REMEDY = (
    "use the registry of before, or restore it: what was delivered cannot be read without its ids, and new ids would give "
    "the same items other keys; or begin anew under another pipeline name"
)


class RememberingRegistry:
    """A registry that is asked once for each schema. Several threads may use it at once.

    Args:
        registry: is asked for what is not known.
        learnt: takes what is to be kept for the next process, from any thread.
        monotonic: seconds.
    """

    def __init__(
        self,
        registry: SchemaRegistry,
        learnt: Callable[[Mapping[str, str]], None],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._registry = registry
        self._learnt = learnt
        self._monotonic = monotonic
        self._known: dict[str, int] = {}
        self._readers: dict[int, str] = {}
        """By id the reader fingerprint of its schema."""
        self._unverified: dict[int, str] = {}
        self._failure: RegistryError | None = None
        self._rests_until = 0.0

    def recall(self, settings: Mapping[str, str]) -> None:
        """Takes what an earlier process learnt; settings that are none of it are passed over.

        Raises:
            RegistryError: `STATE_FORMAT` if one is not as it was written.
        """
        for key, value in settings.items():
            if key.startswith(_PREFIX):
                id_, _, reader = value.partition(" ")
                if not (id_.isdecimal() and reader):
                    raise RegistryError(
                        ErrorKind.STATE_FORMAT,
                        f"the saved setting {key} is no id of a schema",
                        remedy="restore the state, or begin anew under another pipeline name",
                    )
                self._known[key] = int(id_)
                self._readers[int(id_)] = reader
        self._unverified = dict(self._readers)

    def verify(self) -> None:
        """Asks whether the ids that are remembered mean what they meant.

        Raises:
            RegistryError: `CONFIGURATION` if it has another schema under one of them, `NOT_FOUND` if it has none, as a
                server that is still loading; what the registry raises where it cannot tell.
        """
        for id_, reader in list(self._unverified.items()):
            try:
                found = self._ask(partial(self._registry.schema, id_))
                same = reader_fingerprint(found.text) == reader
            except RegistryError as error:
                if error.kind is not ErrorKind.NOT_FOUND:
                    raise
                raise RegistryError(
                    ErrorKind.NOT_FOUND,
                    f"the schema registry does not have the schema to which it gave the id {id_}",
                    remedy=_REMEDY,
                ) from None
            if not same:
                raise RegistryError(
                    ErrorKind.CONFIGURATION,
                    f"not the schema registry with which this pipeline's positions were saved: it has another schema "
                    f"under the id {id_}",
                    remedy=_REMEDY,
                )
            self._unverified.pop(id_, None)

    def register(self, subject: str, schema: str) -> RegisteredSchema:
        """
        Raises:
            RegistryError: what the registry raises, also for a short while after it did; as `verify`.
        """
        key = f"{_PREFIX}{subject}.{fingerprint(schema)}"
        id_ = self._known.get(key)
        if id_ is not None:
            return RegisteredSchema(id_, subject, schema)
        self.verify()
        registered = self._ask(partial(self._registry.register, subject, schema))
        reader = reader_fingerprint(schema)
        self._known[key] = registered.id
        self._readers[registered.id] = reader
        self._learnt({key: f"{registered.id} {reader}"})
        return registered

    def schema(self, id: int) -> RegisteredSchema:  # noqa: A002 - the port's own word
        return self._registry.schema(id)

    def _ask(self, call: Callable[[], T]) -> T:
        began = self._monotonic()
        failure = self._failure
        if failure is not None and began < self._rests_until:
            raise RegistryError(failure.kind, failure.message, remedy=failure.remedy)
        try:
            answer = call()
        except RegistryError as error:
            if error.kind not in _OF_THE_CALL:
                ended = self._monotonic()
                rest = _REST * (ended - began) if ended - began > _SLOW_SECONDS else 0.0
                self._failure, self._rests_until = error, ended + rest
                # Who answers after an outage may be another one.
                self._unverified = dict(self._readers)
            raise
        self._failure = None
        return answer


_OF_THE_CALL = (
    ErrorKind.NOT_FOUND,
    ErrorKind.UNENCODABLE,
    ErrorKind.INVALID_REQUEST,
    ErrorKind.CONFIGURATION,
)
"""The registry answers, and says no to this one."""
