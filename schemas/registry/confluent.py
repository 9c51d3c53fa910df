"""The registry `confluent`: a server that speaks the API of Confluent's Schema Registry.

Needs `confluent-kafka[schemaregistry]` (extra `registry`), which importing this imports. One call of the port is one
attempt at each address, without a pause: retrying is the engine's decision.
"""

import json
import ssl
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from confluent_kafka.schema_registry import Schema, SchemaRegistryClient

from cdc.errors import ErrorKind, RegistryError
from cdc.model import RegisteredSchema
from schemas.registry.answers import NOT_THE_API, mapped_errors
from schemas.registry.identity import reader_fingerprint

_LARGEST_ID = (1 << 31) - 1
"""The frame of a message has four bytes for it (Confluent documentation, "Wire format")."""

CountCall = Callable[[str, str], None]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Access:
    """Where the server is, and as whom it is asked. No form of it shows a secret."""

    urls: Sequence[str]
    """Of one registry, without credentials; asked in this order until one answers."""
    username: str = ""
    password: str = field(default="", repr=False)
    bearer_token: str = field(default="", repr=False)
    logical_cluster: str = ""
    """Confluent Cloud's name for the registry that `bearer_token` is for (`lsrc-...`)."""
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    key_password: str = field(default="", repr=False)
    timeout_seconds: float = 5.0
    """How long a connection, and each part of an answer, may take."""

    def __str__(self) -> str:
        return ", ".join(self.urls)


class ConfluentRegistry:
    """Asks the server each time. Several threads may use it at once.

    Args:
        access: the server.
        auto_register: whether schemas that the server does not have are registered there, or refused.
        count_call: for each call, its name and how it went.

    Raises:
        RegistryError: `CONFIGURATION` if the files of `access` are no certificates and keys.
    """

    def __init__(
        self, access: Access, *, auto_register: bool = True, count_call: CountCall | None = None
    ) -> None:
        self._place = f"schema registry {access}"
        self._timeout_seconds = access.timeout_seconds
        self._auto_register = auto_register
        self._count_call = count_call or (lambda _operation, _outcome: None)
        self._client = _client(access, self._place)

    def register(self, subject: str, schema: str) -> RegisteredSchema:
        """The id is the server's, and the server gives readers this schema for it.

        Raises:
            RegistryError: `NOT_FOUND` if it is not there and nothing may be registered, `UNENCODABLE` if the server
                calls it incompatible, `INVALID_REQUEST` if it takes no such schema or subject; and as `schema`.
        """
        about = f"{self._place}: subject {subject}"
        # Without white space: to some servers (Apicurio) it makes another schema.
        sent = Schema(json.dumps(json.loads(schema), ensure_ascii=False, separators=(",", ":")))
        id_: Any = self._id(subject, sent, about)  # whatever JSON the answer has there
        if not isinstance(id_, int) or isinstance(id_, bool) or not 0 <= id_ <= _LARGEST_ID:
            raise RegistryError(
                ErrorKind.MALFORMED,
                f"{about}: the answer has no id that fits the four bytes of a message",
                remedy=f"{NOT_THE_API}; a server that can give several kinds of ids has to give the short ones",
            )
        if reader_fingerprint(self.schema(id_).text) != reader_fingerprint(schema):
            raise RegistryError(
                ErrorKind.MALFORMED,
                f"{about}: for the id {id_}, which it gave this schema, the server has another one",
                remedy="look whether all addresses of `url` are one registry",
            )
        return RegisteredSchema(id_, subject, schema)

    def _id(self, subject: str, schema: Schema, about: str) -> int | None:
        def look_up() -> int | None:
            find = partial(self._client.lookup_schema, subject, schema)
            return self._ask("lookup", about, find, _register_by_hand(subject)).schema_id

        if not self._auto_register:
            return look_up()
        try:
            return self._ask("register", about, partial(self._client.register_schema, subject, schema))
        except RegistryError as refusal:
            if refusal.kind is not ErrorKind.UNENCODABLE:
                raise
            # Of two that register the same at once, some servers (Apicurio) call the later one a conflict.
            try:
                return look_up()
            except RegistryError as error:
                if error.kind is ErrorKind.NOT_FOUND:
                    raise refusal from None
                raise

    def schema(self, id: int) -> RegisteredSchema:  # noqa: A002 - the port's own word
        """The server does not say under which subjects: `subject` is empty.

        Raises:
            RegistryError: `NOT_FOUND`, `ACCESS_DENIED`, `THROTTLED`, `UNAVAILABLE`, `MALFORMED` if what answers is no
                such registry.
        """
        about = f"{self._place}: schema id {id}"
        found = self._ask("schema", about, lambda: self._client.get_schema(id))
        malformed = RegistryError(
            ErrorKind.MALFORMED, f"{about}: the answer holds no Avro schema", remedy=NOT_THE_API
        )
        text: Any = found.schema_str
        if not isinstance(text, str) or (found.schema_type or "AVRO") != "AVRO":
            raise malformed
        try:
            reader_fingerprint(text)
        except ValueError:
            raise malformed from None
        return RegisteredSchema(id, "", text)

    def probe(self, subjects: Collection[str]) -> list[str]:
        """What read-only calls find out, a line each.

        Args:
            subjects: that a run will use, as far as they are known.

        Raises:
            RegistryError: as `schema`; `ACCESS_DENIED` also if nothing may be written there and something will have to
                be, `NOT_FOUND` if a subject is missing that is not going to be registered.
        """
        mode = self._mode()
        level = self._told("config", self._client.get_compatibility)
        seen = [f"{self._place}: mode {mode or 'not told'}, compatibility {level or 'not told'}"]
        missing = []
        for subject in subjects:
            versions = self._told("versions", partial(self._client.get_versions, subject))
            own = self._told("config", partial(self._client.get_compatibility, subject))
            if not versions:
                missing.append(subject)
            count = _counted(len(versions)) if versions else "not registered yet"
            seen.append(f"subject {subject}: {count}" + (f", compatibility {own}" if own else ""))
        if missing and not self._auto_register:
            raise RegistryError(
                ErrorKind.NOT_FOUND,
                f"{self._place}: nothing is registered under: {', '.join(missing)}",
                remedy=_register_by_hand(missing[0]),
            )
        if missing and mode and mode != "READWRITE":
            raise RegistryError(
                ErrorKind.ACCESS_DENIED,
                f"{self._place}: its mode is {mode}, and it has to take: {', '.join(missing)}",
                remedy="set its mode to READWRITE, or register the schemas before",
            )
        return seen

    def close(self) -> None:
        self._client.close()

    def _mode(self) -> str | None:
        """None where the server has none (Apicurio): whether it is a registry at all, the other calls show."""
        try:
            return self._told("mode", self._client.get_global_mode)
        except RegistryError as error:
            if error.kind is ErrorKind.MALFORMED:
                return None
            raise

    def _told(self, operation: str, call: Callable[[], T]) -> T | None:
        """The answer; None where there is none, which is one too."""
        try:
            return self._ask(operation, f"{self._place}: {operation}", call)
        except RegistryError as error:
            if error.kind is ErrorKind.NOT_FOUND:
                return None
            raise

    def _ask(self, operation: str, about: str, call: Callable[[], T], remedy: str = "") -> T:
        # What is known is remembered elsewhere. The client would answer with what it sent instead of what is there.
        self._client.clear_caches()  # type: ignore[no-untyped-call]
        try:
            with mapped_errors(about, timeout_seconds=self._timeout_seconds, not_found=remedy):
                answer = call()
        except RegistryError as error:
            self._count_call(f"registry-{operation}", error.kind.value)
            raise
        self._count_call(f"registry-{operation}", "ok")
        return answer


def _counted(versions: int) -> str:
    return f"{versions} version{'' if versions == 1 else 's'}"


def _register_by_hand(subject: str) -> str:
    return (
        f"register the schema under the subject {subject} (docs/registry.md says how to get it), or set "
        "`auto_register: true`"
    )


def _client(access: Access, place: str) -> SchemaRegistryClient:
    settings: dict[str, Any] = {
        "url": ",".join(access.urls),
        "timeout": access.timeout_seconds,
        "max.retries": 0,
        "ssl.ca.location": _text(access.ca_file),
        "ssl.certificate.location": _text(access.certificate_file),
        "ssl.key.location": _text(access.key_file),
        "ssl.key.password": access.key_password or None,
    }
    if access.username:
        settings["basic.auth.user.info"] = f"{access.username}:{access.password}"
    if access.bearer_token:
        settings |= {
            "bearer.auth.credentials.source": "STATIC_TOKEN",
            "bearer.auth.token": access.bearer_token,
            "bearer.auth.logical.cluster": access.logical_cluster,
        }
    try:
        return SchemaRegistryClient({key: value for key, value in settings.items() if value is not None})
    except (OSError, ssl.SSLError, ValueError) as error:
        files = [path for path in (access.ca_file, access.certificate_file, access.key_file) if path]
        raise RegistryError(
            ErrorKind.CONFIGURATION,
            f"{place}: {_why(error)}: {', '.join(map(str, files)) or 'the certificates of this system'}",
            remedy="name files in PEM format that this user may read, and the password of the key if it has one",
        ) from None


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _why(error: Exception) -> str:
    """Without the text of others, which may quote what it was given."""
    if isinstance(error, ssl.SSLError):
        return "no certificate, or no key that goes with it, can be read"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"cannot be used ({type(error).__name__})"
