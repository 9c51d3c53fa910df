"""The section `schema.registry`: one model for each type of registry."""

import string
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    SecretStr,
    Tag,
    field_validator,
    model_validator,
)

from cdc.config.origin import BasedPath
from cdc.connector import ConfigModel
from schemas.subjects import SubjectStrategy

_PRINTABLE = frozenset(string.ascii_letters + string.digits + string.punctuation)


def _checked_url(url: str) -> str:
    """Says nothing of the URL itself, which may hold what does not belong there."""
    if "@" in url:
        raise ValueError("credentials do not belong into a URL: set `basic` or `bearer_token`")
    if not set(url) <= _PRINTABLE - set(",?#\\"):
        raise ValueError("expected http://HOST[:PORT][/PATH], without a query; several stand in a list")
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("expected http://HOST[:PORT][/PATH] or https://HOST[:PORT][/PATH]")
    return url.rstrip("/")


RegistryUrl = Annotated[str, AfterValidator(_checked_url)]


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


class FilesRegistryConfig(ConfigModel):
    """A folder of schemas, which needs no server."""

    type: Literal["files"] = "files"
    """`files`: a folder, needs no server."""
    path: BasedPath = Field("./cdc-schemas", validate_default=True)
    """The folder: `{id}.avsc` and `index.json`."""


class BasicAuth(ConfigModel):
    """HTTP Basic authentication."""

    username: Annotated[str, Field(min_length=1, pattern=r"^[^:]+$")]
    """Without a colon (RFC 7617)."""
    password: SecretStr
    """What goes with it; an API key's secret, where the username is the key."""


class ConfluentRegistryConfig(ConfigModel):
    """A server that speaks the API of Confluent's Schema Registry, as Karapace, Apicurio (`/apis/ccompat/v7`) and Redpanda
    do. Needs the extra `registry`."""

    type: Literal["confluent"]
    """`confluent`: a server that speaks that API."""
    url: Annotated[
        tuple[RegistryUrl, ...],
        Field(min_length=1),
        BeforeValidator(_listed, json_schema_input_type=str | tuple[str, ...]),
    ]
    """Where the API is, its path included; several addresses of one registry are asked in this order."""
    basic: BasicAuth | None = None
    """Username and password."""
    bearer_token: SecretStr | None = None
    """A token, instead of `basic`."""
    logical_cluster: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")] | None = None
    """Confluent Cloud, with `bearer_token`: the registry's `lsrc-…`."""
    ca_file: BasedPath | None = None
    """PEM: who signed the server's certificate; null: `SSL_CERT_FILE`, or the authorities that browsers trust."""
    certificate_file: BasedPath | None = None
    """PEM: the client's own certificate, where the server asks for one; it may hold the key too."""
    key_file: BasedPath | None = None
    """PEM: the key of `certificate_file`."""
    key_password: SecretStr | None = None
    """Of the key, if it is encrypted."""
    timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 5.0
    """How long each address may leave a call without an answer."""
    subject: SubjectStrategy = "topic-name"
    """Under which names a topic's schemas stand: `topic-name` (TOPIC-key, TOPIC-value), `record-name` (the record's full
    name), `topic-record-name` (both). A sink without topics uses the record's name."""
    auto_register: bool = True
    """Whether schemas are registered, or have to be there."""

    @field_validator("bearer_token")
    @classmethod
    def _token(cls, token: SecretStr | None) -> SecretStr | None:
        if token is not None and not (
            token.get_secret_value() and set(token.get_secret_value()) <= _PRINTABLE
        ):
            raise ValueError("expected a token: printable ASCII without white space")
        return token

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if self.basic is not None and self.bearer_token is not None:
            raise ValueError("basic and bearer_token exclude each other")
        if self.logical_cluster is not None and self.bearer_token is None:
            raise ValueError("logical_cluster goes with bearer_token")
        if self.certificate_file is None and (self.key_file is not None or self.key_password is not None):
            raise ValueError("key_file and key_password go with certificate_file")
        tls = self.ca_file is not None or self.certificate_file is not None
        if tls and not all(url.startswith("https:") for url in self.url):
            raise ValueError("ca_file and certificate_file have no effect on a url that begins with http:")
        return self


def _type_of(value: Any) -> str | None:
    """`files` where nothing is said; None for what can be no type."""
    if isinstance(value, Mapping):
        type_ = value.get("type", "files")
        return type_ if isinstance(type_, str) else None
    return getattr(value, "type", None)


RegistryConfig = Annotated[
    Annotated[FilesRegistryConfig, Tag("files")] | Annotated[ConfluentRegistryConfig, Tag("confluent")],
    Discriminator(_type_of),
]
