"""The schema registry that a configuration names, and what the pipeline's state remembers of it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from pydantic import SecretStr

from cdc.config import Config, ConfluentRegistryConfig, FilesRegistryConfig
from cdc.connector import CountCall
from cdc.errors import ConfigError, ErrorKind, RegistryError
from cdc.ports import SchemaRegistry
from cdc.runtime.assembly import packages_of
from schemas.registry.files import FilesRegistry
from schemas.registry.remembering import RememberingRegistry

if TYPE_CHECKING:
    from schemas.registry.confluent import Access, ConfluentRegistry

Learnt = Callable[[Mapping[str, str]], None]

_TYPE = "schema.registry.type"
_FILES = "schema.registry.files"
_SUBJECT = "schema.registry.subject"
_log = structlog.stdlib.get_logger(__name__)


def unlearnt(_: Mapping[str, str]) -> None:
    """Of who registers nothing."""


def registry_of(config: Config, learnt: Learnt, count_call: CountCall) -> SchemaRegistry:
    """The schema registry, which is not asked anything yet.

    Args:
        config: names it.
        learnt: takes what a registry wants to know after a restart; called from the sinks' threads.
        count_call: as the connectors'.

    Raises:
        ConfigError: its package is not installed.
        RegistryError: `CONFIGURATION` if its certificates cannot be read.
    """
    settings = config.schema_.registry
    if isinstance(settings, FilesRegistryConfig):
        return FilesRegistry(settings.path)
    return RememberingRegistry(confluent_of(settings, count_call), learnt)


def confluent_of(settings: ConfluentRegistryConfig, count_call: CountCall) -> "ConfluentRegistry":
    """
    Raises:
        ConfigError, RegistryError: as `registry_of`.
    """
    with packages_of("the schema registry", extra="registry"):
        from schemas.registry.confluent import ConfluentRegistry

    return ConfluentRegistry(
        _access_of(settings), auto_register=settings.auto_register, count_call=count_call
    )


def _access_of(settings: ConfluentRegistryConfig) -> "Access":
    from schemas.registry.confluent import Access

    basic = settings.basic
    return Access(
        settings.url,
        username=basic.username if basic is not None else "",
        password=_secret(basic.password if basic is not None else None),
        bearer_token=_secret(settings.bearer_token),
        logical_cluster=settings.logical_cluster or "",
        ca_file=settings.ca_file,
        certificate_file=settings.certificate_file,
        key_file=settings.key_file,
        key_password=_secret(settings.key_password),
        timeout_seconds=settings.timeout_seconds,
    )


def _secret(value: SecretStr | None) -> str:
    return value.get_secret_value() if value is not None else ""


def remembered_registry(
    config: Config, registry: SchemaRegistry, saved: Mapping[str, str], *, create: bool, verify: bool = True
) -> dict[str, str]:
    """What the state remembers of the schema registry, where a sink needs one; a registry gets back what it learnt.

    Args:
        verify: whether a server is asked if it has what it gave ids to; that may take as long as it hangs.

    Raises:
        ConfigError: it is another one than before: ids, and with them keys and their partitions, would change.
        RegistryError: `NOT_FOUND`: it does not have what it gave ids to.
    """
    if all(config.envelope_of(sink) is None for sink in config.sinks):
        return {}
    settings = config.schema_.registry
    present: dict[str, str] = {_TYPE: settings.type}
    if isinstance(settings, ConfluentRegistryConfig):
        present[_SUBJECT] = settings.subject
    # The type was not saved when there was but one.
    before = ({_TYPE: "files"} if _FILES in saved else {}) | dict(saved)
    for key, now in present.items():
        then = before.get(key, now)
        if then != now:
            raise ConfigError(
                f"{key} is {now}, and this pipeline's positions were saved with {then}",
                remedy="put it back: new ids would give the same items other keys; or begin anew under another pipeline "
                "name",
            )
    if isinstance(registry, RememberingRegistry):
        registry.recall(saved)
        if verify:
            _verify(registry)
    elif isinstance(registry, FilesRegistry) and isinstance(settings, FilesRegistryConfig):
        present[_FILES] = _identity(registry, settings.path, saved, create=create)
    return present


def _identity(registry: FilesRegistry, path: Path, saved: Mapping[str, str], *, create: bool) -> str:
    identity = registry.identity(create=create and _FILES not in saved)
    if identity != saved.get(_FILES, identity):
        raise ConfigError(
            f"{path}: not the schema registry with which this pipeline's positions were saved",
            remedy="restore the folder: what was delivered cannot be read without its ids, and new ids would give the "
            "same items other keys; or begin anew under another pipeline name",
        )
    return identity


def _verify(registry: RememberingRegistry) -> None:
    try:
        registry.verify()
    except RegistryError as error:
        if error.kind is ErrorKind.CONFIGURATION:
            raise ConfigError(error.message, remedy=error.remedy) from error
        if error.kind is ErrorKind.NOT_FOUND:
            raise  # it may be loading, or lag behind: another start may find it well
        # What is known needs no registry, and before anything new is registered it is asked again.
        _log.warning("schema-registry-not-verified", reason=error.message, remedy=error.remedy)
